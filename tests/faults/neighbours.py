"""How much of the machine others took while a row ran: a time that was measured beside them says nothing."""

import psutil

from bench.machine import Span, cpu_of


class Neighbours:
    """Counts from now; asked while our own processes still live."""

    def __init__(self) -> None:
        self._span = Span()
        self._ours = _ours()

    def neighbours(self) -> float:
        """The share of the machine's processors that was neither idle nor ours."""
        before, now = self._ours, _ours()
        spent = sum(seconds - before.get(pid, 0.0) for pid, seconds in now.items())
        return float(self._span.end(spent)["neighbours"])


def _ours() -> dict[int, float]:
    """CPU seconds of this process and all below it, by pid; what ended in between counts with its parent."""
    me = psutil.Process()
    return cpu_of([me, *me.children(recursive=True)])
