"""Waiting for a client that has time limits of its own, which hold only while the wall clock goes on."""

import asyncio
from typing import Any


async def comes(work: "asyncio.Future[Any]", seconds: float, again: float) -> bool:
    """Whether `work` is done within `seconds`, or `again` so many: to who was stopped (SIGSTOP) the clock ran on."""
    for patience in (seconds, again):
        if (await asyncio.wait({work}, timeout=patience))[0]:
            return True
    return False
