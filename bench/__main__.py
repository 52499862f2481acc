"""`make bench`: every item, a table, one JSON file, and the page that shows them."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from bench import machine, pipeline

OUT = Path("build/bench.json")
PAGE = Path("docs/measurements.md")


def main() -> int:
    """Run, print, write; 1 where a limit was missed. An inconclusive run leaves the page as it was."""
    began = time.monotonic()
    print("c. pipeline: 20 rendered A4 pages, first POST to last succeeded, over the bare loop")
    about = machine.describe()
    result = pipeline.run(lambda line: print("  ", line, flush=True))
    print(f"   median ratio {result['ratio']['wall']:.3f} wall, {result['ratio']['cpu']:.3f} CPU: {result['verdict']}")
    for name, megabytes in sorted(result["memory_mb"].items()):
        print(f"   {name:18} {megabytes:7.0f} MB resident")
    report = {**about, "seconds": time.monotonic() - began, "pipeline": result}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2))
    print(f"written to {OUT}")
    if result["verdict"] != "inconclusive":
        PAGE.write_text(_page(report))
    return 1 if result["verdict"] == "missed" else 0


def _page(report: dict[str, Any]) -> str:
    """The page people read, made of the same figures."""
    result = report["pipeline"]
    rounds = [
        f"| {number} | {r['bare']['wall']:.1f} | {r['platform']['wall']:.1f} | {r['ratio']['wall']:.3f}"
        f" | {r['bare']['cpu']:.1f} | {r['platform']['cpu']:.1f} | {r['ratio']['cpu']:.3f} |"
        for number, r in enumerate(result["rounds"], 1)
    ]
    memory = [f"| {name} | {megabytes:.0f} |" for name, megabytes in sorted(result["memory_mb"].items())]
    dirty = ", with changes not committed" if report["dirty"] else ""
    return "\n".join(
        [
            "# Measurements",
            "",
            f"Written by `make bench` on {report['at']}, {report['cores']} cores ({report['machine']}),",
            f"Python {report['python']}, commit {report['commit'][:12]}{dirty}, {report['seconds']:.0f} s.",
            "",
            "## The whole way over a bare loop",
            "",
            "20 rendered A4 pages in 5 documents, real engines, warm stack, first POST to last `succeeded`, over the",
            "same engines in a tuned loop with one process a core on the same cores; interleaved rounds, seconds.",
            "",
            "| round | bare wall | platform wall | ratio | bare CPU | platform CPU | ratio |",
            "|---|---|---|---|---|---|---|",
            *rounds,
            "",
            f"Median ratio: wall {result['ratio']['wall']:.3f}, CPU {result['ratio']['cpu']:.3f};",
            f"limit {result['limit']:.2f}: {result['verdict']}.",
            "",
            "Resident memory after the rounds, of each process with its children:",
            "",
            "| process | MB |",
            "|---|---|",
            *memory,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
