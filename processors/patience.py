"""The waits of a loop: told to the alarm, growing, and jittered, so that peers do not all come back at once."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence

from processors import telemetry
from processors.pulse import Pulse

log = logging.getLogger(__name__)
HOLD_SECONDS = (0.2, 0.5, 1.0, 2.0)  # short, as recovery is promised in seconds
_TELL_EVERY = 30  # turns: a long outage is said once a minute


class Patience:
    """How one loop waits. `steps` are the seconds of the first, second … turn; the last is every later one's."""

    def __init__(self, name: str, dice: random.Random, pulse: Pulse, steps: Sequence[float] = HOLD_SECONDS) -> None:
        self._name = name
        self._holding = telemetry.of_step(name).holding
        self._dice = dice
        self._pulse = pulse
        self._steps = steps
        self._hurry = asyncio.Event()
        self._apart: dict[str, int] = {}

    async def hold(self, turn: int, reason: str, *, to_the_end: bool = False) -> None:
        """Wait out the `turn`th turn (from 1), at once over when the process is to end, unless `to_the_end`."""
        self._tell(turn, reason)
        seconds = self._seconds(turn)
        await (asyncio.sleep(seconds) if to_the_end else self.rest(seconds))
        self._pulse.beat()

    def apart(self, record: str, reason: str) -> float:
        """Seconds until a record that waits by itself is tried again. The alarm lasts until it is `settled`."""
        turn = self._apart[record] = self._apart.get(record, 0) + 1
        if record == next(iter(self._apart)):  # as many others may wait for the same
            self._tell(turn, f"{record} waits, others do not: {reason}")
        return self._seconds(turn)

    def settled(self, record: str) -> None:
        """The record waits no more."""
        if self._apart.pop(record, None) is not None:
            self.over()

    def forget(self) -> None:
        """Partitions went: what waits by itself is another's, or comes to say so again."""
        if self._apart:
            self._apart.clear()
            self.over()

    async def rest(self, seconds: float) -> None:
        """Wait, at most until the process is to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def over(self) -> None:
        """The alarm's end, unless a record waits by itself."""
        self._holding.set(1 if self._apart else 0)

    def hurry(self) -> None:
        """The process is to end: no wait is worth its while."""
        self._hurry.set()

    def _tell(self, turn: int, reason: str) -> None:
        self._holding.set(1)
        if turn == 1 or turn % _TELL_EVERY == 0:
            log.error("%s holds: %s", self._name, reason)

    def _seconds(self, turn: int) -> float:
        return self._steps[min(turn, len(self._steps)) - 1] * self._dice.uniform(0.5, 1.0)
