"""The courier: claims what is due, sends it in lanes, and says what became of it. At least once.

Any number of couriers may work: each claims for itself alone, for as long as a lease. What one had claimed when it was
killed is due again when the lease ends, with the same id and body. A slow or dead receiver delays no other (`lanes`).
"""

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from schemas.errors import Contended, DependencyDown
from schemas.failpoints import Failpoints
from sinks.postgres.deliveries import Claimed
from sinks.webhooks.egress import Answer
from sinks.webhooks.lanes import AHEAD, Lane, Lanes
from sinks.webhooks.verdicts import Verdict, judge, succeeded

log = logging.getLogger(__name__)
_MOST_CLAIMED = 256
_MOST_SETTLED = 256
_MOST_UNSETTLED = 2048
_LOOK_SECONDS = 15.0
_GAP_SECONDS = 0.01  # between two looks: each is for all that happened meanwhile
_DOWN_SECONDS = 1.0
_SHOWN_BYTES = 4096


class Session(Protocol):
    """Requests to one endpoint."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send, and read the answer; never raises."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...


class Book(Protocol):
    """`sinks.postgres.deliveries.Deliveries`."""

    async def claim(self, rooms: Mapping[str, int], room: int, most: int) -> tuple[list[Claimed], float | None]:
        """What is due, and the seconds until more is."""
        ...

    async def settle(self, outcomes: Sequence[Mapping[str, Any]], endpoints: Sequence[Mapping[str, Any]]) -> list[str]:
        """What became of it."""
        ...

    async def release(self, held: Sequence[tuple[str, str]]) -> None:
        """Give back."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a courier works with. `schedule`: seconds before each attempt; `seconds`: the longest that one takes;
    `lease`: how long what is claimed is this courier's. `sign` makes the headers of an attempt; it raises KeyError
    or ValueError where no secret can. `holding` is told 1 while PostgreSQL is away, `count` each outcome.
    """

    book: Book
    session: Callable[[], Session]
    sign: Callable[[Claimed, datetime], dict[str, str]]
    failpoints: Failpoints
    schedule: Sequence[float]
    seconds: float
    lease: float
    holding: Callable[[float], object] = lambda _: None
    count: Callable[[str], object] = lambda _: None
    dice: random.Random = field(default_factory=random.Random)


class _Held(NamedTuple):
    claimed: Claimed
    until: float

    @property
    def message(self) -> str:
        return self.claimed.message


class Courier:
    """One process's share of the work; `run` goes on until it is cancelled, `ring` says that something may be due."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lanes: Lanes[_Held] = Lanes()
        self._sessions: dict[str, Session] = {}
        self._bell = asyncio.Event()
        self._ended = asyncio.Event()
        self._unsettled: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._failed: list[asyncio.Task[None]] = []
        self._longest_pause = min(5.0, parts.schedule[1] if len(parts.schedule) > 1 else 5.0)

    def ring(self) -> None:
        """Look now."""
        self._bell.set()

    async def run(self) -> None:
        """Deliver. What is under way when it is cancelled is left to its lease, the rest given back."""
        settling = asyncio.create_task(self._settle(), name="settle")
        try:
            while True:
                self._bell.clear()
                pause = await self._round()
                for task in (settling, *self._failed):
                    if task.done():
                        task.result()
                await asyncio.sleep(_GAP_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._bell.wait()
        finally:
            settling.cancel()
            for task in self._sending:
                task.cancel()
            with contextlib.suppress(DependencyDown, Contended):
                await self._parts.book.release(self._lanes.waiting())

    async def _round(self) -> float:
        """Claim and begin; the seconds until there may be more to do."""
        if self._lanes.full or len(self._unsettled) > _MOST_UNSETTLED:
            return _LOOK_SECONDS  # the end of a request, or of what is settled, rings
        began, resumes = time.monotonic(), self._lanes.resumes()
        found = await self._claimed()
        if found is None:
            return _DOWN_SECONDS
        claimed, due = found
        for item in claimed:
            until = began + self._parts.lease - self._parts.seconds  # so that an attempt also ends within the lease
            self._lanes.add(item.endpoint, _Held(item, until), failing=item.failing)
        self._begin()
        for endpoint in self._lanes.tidy():
            if session := self._sessions.pop(endpoint, None):
                self._spawn(session.close())
        if len(claimed) == _MOST_CLAIMED:
            return 0.0
        # By when the rooms were told: a pause that ended since then gave no room.
        resumes = None if resumes is None else max(0.0, began + resumes - time.monotonic())
        return min(each for each in (due, resumes, _LOOK_SECONDS) if each is not None)

    async def _claimed(self) -> tuple[list[Claimed], float | None] | None:
        try:
            found = await self._parts.book.claim(self._lanes.rooms(), AHEAD, _MOST_CLAIMED)
        except (DependencyDown, Contended) as error:
            log.warning("nothing is delivered: %s", error)
            self._parts.holding(1.0)
            return None
        self._parts.holding(0.0)
        return found

    def _begin(self, only: Lane[_Held] | None = None) -> None:
        for lane, held in self._lanes.begin(only):
            self._spawn(self._send(lane, held))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and task.exception() is not None:  # ours: `run` raises it
            self._failed.append(task)
            self._bell.set()

    async def _send(self, lane: Lane[_Held], held: _Held) -> None:
        claimed, at = held.claimed, datetime.now(UTC)
        self._parts.failpoints.reach("claimed", claimed.message)
        headers, answer = await self._asked(claimed, at)
        self._parts.failpoints.reach("sent", claimed.message)
        proved = claimed.verifies and _proves(claimed, answer)
        unproved = claimed.verifies and not proved and succeeded(answer.status)
        error = "unproved" if unproved else answer.error
        status = None if unproved else answer.status
        verdict = judge(status, answer.retry_after, claimed.tries, self._parts.schedule, self._parts.dice)
        self._note(claimed, at, headers, answer, verdict, error, proved=proved)
        self._lanes.end(
            lane, held, well=verdict.well, seconds=answer.seconds, asked=verdict.asked, pause=self._longest_pause
        )
        self._parts.count("delivered" if verdict.well else "refused" if answer.error == "refused" else "failed")
        self._begin(lane)
        if len(lane.waiting) <= AHEAD // 4:
            self._bell.set()

    async def _asked(self, claimed: Claimed, at: datetime) -> tuple[dict[str, str], Answer]:
        try:
            headers = self._parts.sign(claimed, at)
        except (KeyError, ValueError):
            log.error("%s has no secret that HEADRACE_ID_KEYS makes; rotate it", claimed.endpoint)
            return {}, Answer(None, "", b"", "unsigned", 0.0)
        session = self._sessions.get(claimed.endpoint)
        if session is None:
            session = self._sessions[claimed.endpoint] = self._parts.session()
        return headers, await session.post(claimed.url, headers, claimed.body)

    def _note(
        self,
        claimed: Claimed,
        at: datetime,
        headers: Mapping[str, str],
        answer: Answer,
        verdict: Verdict,
        error: str,
        *,
        proved: bool,
    ) -> None:
        outcome = {
            "endpoint": claimed.endpoint,
            "message": claimed.message,
            "at": at.isoformat(),
            "seconds": answer.seconds,
            "status": answer.status,
            "error": error,
            "request": dict(headers),
            "response": answer.body[:_SHOWN_BYTES].decode(errors="replace"),
            "state": verdict.state,
            "wait": verdict.wait,
            "tries": verdict.tries,
        }
        endpoint = {
            "endpoint": claimed.endpoint,
            "well": verdict.well,
            "lately": verdict.well,
            "gone": verdict.gone,
            "proved": proved,
            "code": claimed.code,
            "at": at.isoformat(),
        }
        self._unsettled.append((outcome, endpoint))
        self._ended.set()

    async def _settle(self) -> None:
        """Write down what requests came to, in batches as large as they come while one is written."""
        while True:
            await self._ended.wait()
            self._ended.clear()
            while self._unsettled:
                batch = self._unsettled[:_MOST_SETTLED]
                try:
                    ended = await self._parts.book.settle([one for one, _ in batch], _by_endpoint(batch))
                except Contended:
                    continue
                except DependencyDown as error:
                    log.warning("what was delivered is not noted: %s", error)
                    self._parts.holding(1.0)
                    await asyncio.sleep(_DOWN_SECONDS)
                    continue
                self._parts.failpoints.reach("settled", batch[0][0]["message"])
                del self._unsettled[: len(batch)]
                for endpoint in ended:
                    log.warning("webhook endpoint %s is disabled", endpoint)
            self._bell.set()  # something may be due again before anything that was known of


def _by_endpoint(batch: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row an endpoint: the newest word on it, with what any of them proved or ended."""
    found: dict[str, dict[str, Any]] = {}
    for _, row in batch:
        before = found.get(row["endpoint"], row)
        both = {name: before[name] or row[name] for name in ("lately", "gone", "proved")}
        found[row["endpoint"]] = {**row, **both}
    return [found[name] for name in sorted(found)]


def _proves(claimed: Claimed, answer: Answer) -> bool:
    """Whether the endpoint told back the code it was sent: only who reads its requests can."""
    if not succeeded(answer.status):
        return False
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):  # a receiver may answer with any number of brackets
        return False
    return isinstance(told, dict) and told.get("code") == claimed.code
