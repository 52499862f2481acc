"""`make bench`: every item, a table, and one JSON file."""

import json
import sys
import time
from pathlib import Path

from bench import machine, pipeline

OUT = Path("build/bench.json")


def main() -> int:
    """Run, print, write; 1 where a limit was missed."""
    began = time.monotonic()
    print("c. pipeline: 20 rendered A4 pages, first POST to last succeeded, over the bare loop")
    result = pipeline.run(lambda line: print("  ", line, flush=True))
    print(f"   median ratio {result['ratio']['wall']:.3f} wall, {result['ratio']['cpu']:.3f} CPU: {result['verdict']}")
    for name, megabytes in sorted(result["memory_mb"].items()):
        print(f"   {name:18} {megabytes:7.0f} MB resident")
    OUT.parent.mkdir(exist_ok=True)
    report = {**machine.describe(), "seconds": time.monotonic() - began, "pipeline": result}
    OUT.write_text(json.dumps(report, indent=2))
    print(f"written to {OUT}")
    return 1 if result["verdict"] == "missed" else 0


if __name__ == "__main__":
    sys.exit(main())
