"""Signs of life of a loop, written on the event loop and read by the watchdog's thread."""

from collections.abc import Iterator
from contextlib import contextmanager


class Pulse:
    """Counts what the loop gets done; a call that has a deadline of its own is no standstill while it lasts."""

    def __init__(self) -> None:
        self._beats = 0
        self._calls = 0

    @property
    def beats(self) -> int:
        """Rises whenever something was done: a record came to its outcome, a wait to its end."""
        return self._beats

    @property
    def in_bounded_call(self) -> bool:
        """Whether something runs that ends by itself, or ends the process."""
        return self._calls > 0

    def beat(self) -> None:
        """Something was done."""
        self._beats += 1

    @contextmanager
    def bounded_call(self) -> Iterator[None]:
        """The block is ended by a deadline of its own."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._beats += 1
