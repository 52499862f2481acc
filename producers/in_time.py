"""Waiting for a client that has time limits of its own, which hold only while the wall clock goes on."""

import asyncio
from collections.abc import Sequence
from typing import Any


async def come(work: "Sequence[asyncio.Future[Any]]", seconds: float, again: float) -> bool:
    """Whether all is done within `seconds`, or `again` so many: to who was stopped (SIGSTOP) the clock ran on."""
    for patience in (seconds, again):
        if not (await asyncio.wait(work, timeout=patience))[1]:
            return True
    return False
