"""`make bench`: every item, one JSON file, and the page that shows them. ITEMS="streams sinks" runs only those."""

import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import accept, fairness, machine, pipeline, prepare, queueing, sinks, streams, webhooks

ITEMS: dict[str, ModuleType] = {
    "accept": accept,
    "pipeline": pipeline,
    "streams": streams,
    "sinks": sinks,
    "prepare": prepare,
    "fairness": fairness,
    "queueing": queueing,
    "webhooks": webhooks,
}
"""Each module has `TITLE`, `run(say) -> result with "verdict"`, and `page(result) -> lines`."""

OUT = Path("build/bench.json")
PAGE = Path("docs/measurements.md")


def main() -> int:
    """Run, print, write; 1 where a limit was missed. A part of the items, or an inconclusive run, leaves the page."""
    wanted = sys.argv[1:] or list(ITEMS)
    began = time.monotonic()
    about = machine.describe()
    items = {name: _run(name) for name in wanted}
    report = {**about, "seconds": time.monotonic() - began, "items": items}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2))
    print(f"written to {OUT}")
    verdicts = {result["verdict"] for result in items.values()}
    if set(wanted) == set(ITEMS) and "inconclusive" not in verdicts:
        PAGE.write_text(_page(report))
    return 1 if "missed" in verdicts else 0


def _run(name: str) -> dict[str, Any]:
    print(f"{name}: {ITEMS[name].TITLE}")
    result: dict[str, Any] = ITEMS[name].run(lambda line: print("  ", line, flush=True))
    print(f"   {result['verdict']}")
    return result


def _page(report: dict[str, Any]) -> str:
    """The page people read, made of the same figures."""
    dirty = ", with changes not committed" if report["dirty"] else ""
    lines = [
        "# Measurements",
        "",
        f"Written by `make bench` on {report['at']}, {report['cores']} cores ({report['machine']}),",
        f"Python {report['python']}, commit {report['commit'][:12]}{dirty}, {report['seconds']:.0f} s.",
    ]
    for name, result in report["items"].items():
        lines += ["", f"## {ITEMS[name].TITLE}", "", *ITEMS[name].page(result)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
