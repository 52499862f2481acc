"""What the loop hands to a step or a sink, and what it wants back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from schemas.documents import Payload
from schemas.envelope import Envelope
from schemas.errors import HeadraceError
from schemas.records import Outgoing, Partition, Record


@dataclass(frozen=True, slots=True)
class Task:
    """One decoded record; `queued` is the seconds since the log took it."""

    envelope: Envelope
    payload: Payload
    record: Record
    queued: float = 0.0


Answer = Sequence[Outgoing] | HeadraceError


class Step(Protocol):
    """A verb of a pipeline. Runs in the worker's one engine thread, never on the event loop."""

    name: str

    def load(self) -> None:
        """Load models, once, before the first batch (blocking, in the engine thread)."""
        ...

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task, in order: the records to publish, or the error that this task alone came to.

        Raising means that the batch as a whole failed; the loop then runs its tasks one by one.
        """
        ...


class Sink(Protocol):
    """Writes a batch to the world in one transaction. `name` is also the consumer group's."""

    name: str

    async def open(self) -> None:
        """Connect; raise `DependencyDown` while that is not possible."""
        ...

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Write all or nothing, idempotently; return the events to publish before the offsets pass.

        Raises `DependencyDown` when the store does not answer (the batch is held and written again). Raising
        `InputError` or `RecordError` with several tasks makes the loop write them one by one, to find the bad one.
        """
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


@runtime_checkable
class NotesIdle(Protocol):
    """A sink that is also told when it has read all there is, for which its stream asks the log each second."""

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Called about once a second while nothing is left to read.

        `partitions` are those assigned to this process; all that lay on them before `caught_up_at` (s) is written.
        """
        ...
