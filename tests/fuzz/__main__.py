"""Run targets one after the other; every input that breaks the promise is written to build/fuzz/.

The promise: each input ends as pages or as an error that blames it, in time, and this process lives on. The exit status
is 1 where it was broken. A child's death breaks nothing, but its input is kept as well.
"""

import argparse
import hashlib
import importlib
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Protocol

from processors.decoding.decoder import Decoder
from processors.decoding.limits import Limits
from schemas.errors import DecoderKilled, EmptyInput, InputError, UnsupportedMedia
from schemas.media import HEAD, media_type

TARGETS = ("media", "picture", "pdf", "office")
FOUND = Path("build/fuzz")
LIMITS = Limits(seconds=5, seconds_per_page=2, memory=2 * 1024**3, pixels=4_000_000, pages=50)
SLACK = 5.0  # seconds beyond the limits that a busy machine may take


class Target(Protocol):
    """A module of this folder."""

    def inputs(self) -> list[bytes]:
        """Small valid files."""
        ...

    def mutated(self, content: bytes, rng: random.Random) -> bytes:
        """One of them, damaged."""
        ...


class Broken(Exception):
    """The promise does not hold for an input."""


class Run:
    """One target's run."""

    def __init__(self, name: str, seed: int) -> None:
        self._name, self._seed = name, seed
        self._target: Target = importlib.import_module(f"tests.fuzz.{name}")
        self._dead = False
        self._decoder = Decoder(LIMITS, self._died)
        self.codes: Counter[str] = Counter()
        self.broken = 0
        self.slowest = 0.0

    def go(self, seconds: float) -> None:
        """Try inputs for so long, then say what they came to."""
        seeds = self._target.inputs()
        begun = time.monotonic()
        number = 0
        while time.monotonic() - begun < seconds:
            rng = random.Random(f"{self._seed} {number}")
            self._try(self._target.mutated(rng.choice(seeds), rng))
            number += 1
        self.close()
        _say(f"{self._name}: {number} inputs in {seconds:.0f} s from seed {self._seed}, {self.broken} broken")
        _say(f"  slowest {self.slowest:.2f} s; " + ", ".join(f"{code} {n}" for code, n in self.codes.most_common()))

    def close(self) -> None:
        """End the decoding child."""
        self._decoder.close()

    def _died(self) -> None:
        self._dead = True

    def _try(self, content: bytes) -> None:
        begun = time.monotonic()
        self._dead = False
        try:
            code = self._told(content) if self._name == "media" else self.decoded(content)
            if time.monotonic() - begun > LIMITS.seconds + LIMITS.seconds_per_page * LIMITS.pages + SLACK:
                raise Broken("it took too long")
        except Exception:  # noqa: BLE001 whatever it is, it is a finding
            self.broken += 1
            code = "broken"
            self._keep(content, code)
            traceback.print_exc()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.codes[code] += 1
        if self._dead:
            self.codes["(deaths)"] += 1
            self._keep(content, f"death-{code}")

    def _told(self, content: bytes) -> str:
        told = _type(content)
        if len(content) > HEAD and _type(content[:HEAD]) != told:
            raise Broken("the door and the decoder disagree")
        return told

    def decoded(self, content: bytes) -> str:
        """What the decoder makes of it: pages, or the code of an error."""
        try:
            count = sum(1 for _ in self._decoder.pages(content, media_type(content), 72))
        except DecoderKilled as error:
            raise Broken("nobody kills children here") from error
        except InputError as error:
            return error.code
        return "pages" if count else "no pages"

    def _keep(self, content: bytes, why: str) -> None:
        FOUND.mkdir(parents=True, exist_ok=True)
        (FOUND / f"{self._name}-{why}-{hashlib.sha256(content).hexdigest()[:12]}").write_bytes(content)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _type(content: bytes) -> str:
    try:
        return media_type(content)
    except (EmptyInput, UnsupportedMedia) as error:
        return error.code


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=" ".join(TARGETS))
    words = parser.parse_args()
    runs = [Run(name, words.seed) for name in words.targets or TARGETS]
    for run in runs:
        run.go(words.seconds)
    return 1 if any(run.broken for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
