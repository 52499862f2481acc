"""The port: raw bytes in with their position, offsets out when the loop lets them pass."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from processors.watermark import Watermarks
from schemas.broker import Broker
from schemas.records import Partition, Record


class Feed(Protocol):
    """What a stream drives: the loop of `processors.runner`."""

    async def open(self) -> None:
        """Get ready; called while the group is joined."""
        ...

    async def deliver(self, record: Record) -> None:
        """Take a record, waiting for room."""
        ...

    async def has_room(self, *, first: bool = False) -> int:
        """Wait until records of a topic of the first class, or of any other, may be delivered without waiting."""
        ...

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """These partitions are another's now."""
        ...

    async def run(self) -> None:
        """Work until drained."""
        ...

    @property
    def notes_idle(self) -> bool:
        """Whether `idle` is wanted."""
        ...

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Nothing is left to read."""
        ...

    async def drain(self, seconds: float) -> None:
        """Begin nothing new and wait at most `seconds` for what runs."""
        ...


@dataclass(frozen=True, slots=True)
class Group:
    """One member of a consumer group. `instance` is its static id: the worker's stable slot."""

    name: str
    instance: str
    topics: tuple[str, ...]
    broker: Broker
    session_seconds: float = 10.0
    commit_seconds: float = 1.0
    grace_seconds: float = 8.0


class Stream(Protocol):
    """An adapter. Its constructor takes a `Group` and the `Watermarks` that the loop finishes records in."""

    def serve(self, build: Callable[[], Awaitable[Feed]], ready: Callable[[], None]) -> int:
        """Own the event loop until SIGTERM or SIGINT; the exit status (70 where the loop failed).

        `build` makes the loop on that event loop; `ready` is called once partitions are assigned and it is open.
        """
        ...


Adapter = Callable[[Group, Watermarks], Stream]
COMMIT_METADATA = "headrace"
"""Marks our commits, so that a person sees in any Kafka tool who wrote an offset."""
EXIT_FAILED = 70
"""The loop itself failed: offsets not committed are read again by whoever comes next (EX_SOFTWARE of sysexits.h)."""
