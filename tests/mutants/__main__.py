"""`make mutants`: each mutant in a copy of the tree, against what is to catch it; who survives wants a test."""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import SIMULATION, Mutant

ROOT = Path(__file__).parents[2]
HISTORIES = 3000
AT_ONCE = 2
LIMIT_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a mutant fared: `said` is the first line of whoever caught it."""

    mutant: Mutant
    caught: bool
    said: str
    seconds: float


def main() -> int:
    """Try the mutants whose names hold one of the words given, or all, two at a time; 1 where one survived."""
    words = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    began, survivors = time.monotonic(), []
    with ExitStack() as trees, ThreadPoolExecutor(AT_ONCE) as hands:
        free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for _ in range(AT_ONCE):
            free.put(trees.enter_context(_copied()))
        for verdict in hands.map(lambda mutant: _in_turn(free, mutant), chosen):
            _say(verdict)
            survivors += [] if verdict.caught else [verdict.mutant.name]
    caught = len(chosen) - len(survivors)
    sys.stdout.write(f"\n{caught} of {len(chosen)} caught in {time.monotonic() - began:.0f} s\n")
    for name in survivors:
        sys.stdout.write(f"SURVIVED {name}\n")
    return 1 if survivors else 0


def _in_turn(free: "queue.SimpleQueue[Path]", mutant: Mutant) -> Verdict:
    """Try a mutant in a tree that no other uses meanwhile."""
    tree = free.get()
    try:
        return _tried(tree, mutant)
    finally:
        free.put(tree)


@contextmanager
def _copied() -> Iterator[Path]:
    """The tracked files of this tree, in a folder of their own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    with tempfile.TemporaryDirectory(prefix="headrace-mutants-") as folder:
        tree = Path(folder)
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, tree / name)
        yield tree


def _tried(tree: Path, mutant: Mutant) -> Verdict:
    path = tree / mutant.file
    whole = path.read_text()
    if whole.count(mutant.text) != 1:
        return Verdict(mutant, False, "its text no longer stands there once", 0.0)
    path.write_text(whole.replace(mutant.text, mutant.wrong))
    began = time.monotonic()
    try:
        done = subprocess.run(
            _command(mutant),
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(mutant, False, f"nothing in {LIMIT_SECONDS} s", time.monotonic() - began)
    finally:
        path.write_text(whole)
    return Verdict(mutant, done.returncode == 1, _first(done.stdout + done.stderr), time.monotonic() - began)


def _command(mutant: Mutant) -> list[str]:
    if mutant.caught_by == SIMULATION:
        return [sys.executable, "-m", "tests.simulation", "--count", str(HISTORIES), "--processes", "1"]
    return [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.caught_by]


def _first(output: str) -> str:
    lines = output.splitlines()
    for mark in ("VIOLATED", "FAILED", "ERROR", "E  "):
        if found := next((line for line in lines if line.startswith(mark)), None):
            return found.removeprefix("VIOLATED ")
    return lines[-1] if lines else "nothing"


def _say(verdict: Verdict) -> None:
    mutant = verdict.mutant
    state = "caught" if verdict.caught else "SURVIVED"
    by = Path(mutant.caught_by.partition("::")[0]).stem
    sys.stdout.write(
        f"{state:8} {mutant.name:58} {mutant.breaks:9} {by:16} {verdict.seconds:5.1f} s  {verdict.said[:110]}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
