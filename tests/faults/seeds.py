"""The seeds of fault runs: HEADRACE_FAULT_SEED and those after it."""

import os


def of(number: int = 0) -> int:
    """The seed of the run of that number."""
    return int(os.environ.get("HEADRACE_FAULT_SEED") or 5) + number
