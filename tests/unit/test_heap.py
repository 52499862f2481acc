"""Memory that glibc holds between pieces in use is given back."""

import subprocess
import sys

import pytest

from producers.heap import trimmer

_TORN = """
import time
import psutil
from producers.heap import trim_often

pieces = [bytearray(100_000) for _ in range(1500)]  # each smaller than what glibc maps by itself
kept = pieces[::50]
pieces.clear()
held = psutil.Process().memory_info().rss
trim_often(0.05)
deadline = time.monotonic() + 20
while psutil.Process().memory_info().rss > held - 80_000_000:
    assert time.monotonic() < deadline, (held, psutil.Process().memory_info().rss)
    time.sleep(0.01)
"""


@pytest.mark.skipif(trimmer() is None, reason="the C library is not glibc")
def test_a_torn_heap_is_given_back_while_some_of_it_is_in_use() -> None:
    subprocess.run([sys.executable, "-c", _TORN], check=True, timeout=60)


def test_another_c_library_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert trimmer() is None
