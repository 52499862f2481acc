"""`python -m tests.simulation`: histories for some seconds, or one of them again, exactly and line by line."""

import argparse
import logging
import sys

from tests.simulation import farm
from tests.simulation.farm import say
from tests.simulation.history import History, of_seed, run
from tests.simulation.plan import Plan


def main() -> int:
    """Run what the command line says; 1 where an invariant was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--seed", type=int, help="this seed's history alone, with its trace")
    one.add_argument("--plan", help="this plan's history alone, with its trace (one line of JSON)")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, help="so many seeds instead of so many seconds")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if given.seed is not None:
        return _told(of_seed(given.seed))
    if given.plan is not None:
        return _told(run(Plan.parsed(given.plan)))
    return farm.run(given)


def _told(history: History) -> int:
    say("\n".join(history.trace))
    say(f"plan {history.plan.line()}")
    say(f"{history.steps} steps in {history.seconds:.1f} s of its own time, trace {history.digest}")
    for violation in history.violations:
        say(f"VIOLATED {violation}")
    return 1 if history.violations else 0


if __name__ == "__main__":
    sys.exit(main())
