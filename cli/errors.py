"""How a command fails: what went wrong, what to do, and the exit code."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every verb."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNAUTHORIZED = 4
    NOT_FOUND = 5
    TIMEOUT = 6
    INTERRUPTED = 130


class CliError(Exception):
    """Ends the command with `code`, printing `error: message` and, where there is one, `hint: hint` on stderr."""

    def __init__(self, message: str, code: int = Exit.FAILED, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
