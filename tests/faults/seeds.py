"""The seeds of fault runs, HEADRACE_FAULT_SEED and those after it, and whether they are whole."""

import os


def of(number: int = 0) -> int:
    """The seed of the run of that number."""
    return int(os.environ.get("HEADRACE_FAULT_SEED") or 5) + number


def whole() -> bool:
    """Whether runs take the time they need (HEADRACE_FAULTS=whole, as in `make faults`); else they are selections."""
    return os.environ.get("HEADRACE_FAULTS") == "whole"
