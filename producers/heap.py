"""The heaps of a process that lives for weeks: Python's collector has less to look at, C's heap gives back.

glibc gives back the end of its heap by itself, and nothing between pieces that are in use. A process that lives for
weeks so keeps the worst of every moment: after an hour of work under kills, an eighth of a worker's memory was that.
"""

import ctypes
import gc
import threading
import time
from collections.abc import Callable

SECONDS = 60.0
_YOUNG = 10_000
"""New objects before the collector looks through them: requests under way hold more than its own 700."""


def settle() -> None:
    """To be called when all is loaded: it lives as long as the process, and no later collection walks through it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    trim_often()


def trimmer() -> Callable[[], object] | None:
    """What gives memory back; None where the C library is not glibc."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another libc, another system
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)


def trim_often(seconds: float = SECONDS) -> None:
    """Give back what the C heap holds and nobody uses, in a daemon thread, for as long as the process lives."""
    trim = trimmer()
    if trim is None:
        return

    def work() -> None:
        while True:
            time.sleep(seconds)
            trim()

    threading.Thread(target=work, name="heap", daemon=True).start()
