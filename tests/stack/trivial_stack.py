"""A supervisor over trivial children, as a process of its own: `python trivial_stack.py DATA`."""

import sys
from pathlib import Path

from deploy.local.layout import Layout
from deploy.local.slots import Slot
from deploy.local.supervisor import Phase, Supervisor

WELL_BEHAVED = """
import json, os, signal, sys, time
draft = sys.argv[1] + ".draft"
with open(draft, "w") as file:
    json.dump({"pid": os.getpid(), "at": time.time()}, file)
os.rename(draft, sys.argv[1])
signal.pause()
"""


def slot(place: Layout, name: str) -> Slot:
    return Slot(name, "worker", (sys.executable, "-I", "-S", "-c", WELL_BEHAVED, str(place.ready(name))))


def main() -> None:
    place = Layout(Path(sys.argv[1]))
    place.make()

    def report(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    phases: list[Phase] = [lambda: [slot(place, "first")], lambda: [slot(place, "second"), slot(place, "third")]]
    with place.held():
        supervisor = Supervisor(place, report)
        supervisor.clean()
        supervisor.run(phases, on_ready=lambda: report("ready"))


if __name__ == "__main__":
    main()
