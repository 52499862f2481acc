"""Dead letters as rows: the bytes as they were, what happened, and whose they are."""

from collections.abc import Callable, Mapping, Sequence

from schemas.documents import Payload
from schemas.envelope import Envelope
from schemas.failpoints import Failpoints
from schemas.records import Outgoing, Partition, Record
from schemas.work import Task
from sinks.letter_rows import envelope_of, letter_row
from sinks.postgres import letters
from sinks.postgres.engine import answers, connect, transaction
from sinks.postgres.rows import bulk

_TEND_SECONDS = 10.0


class DeadLetters:
    """A `Sink` over `headrace.dead-letters`, as role `headrace_sink`: it takes whatever lies there.

    `on_open` is told how many letters are open at each step.
    """

    name = "dead-letters"

    def __init__(self, url: str, failpoints: Failpoints, on_open: Callable[[Mapping[str, int]], object]) -> None:
        self._engine = connect(url)
        self._failpoints = failpoints
        self._on_open = on_open
        self._tended = 0.0

    async def open(self) -> None:
        """Raise `DependencyDown` while PostgreSQL does not answer."""
        await answers(self._engine)

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Store a batch in one transaction, each letter once; raises `DependencyDown`."""
        rows = {row["id"]: row for row in (letter_row(task.record) for task in tasks)}
        async with transaction(self._engine) as connection:
            await bulk(connection, letters.STORE, list(rows.values()))
            self._failpoints.reach("sink", str(tasks[0].record))
        return ()

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Find the owners of letters whose jobs were not projected yet; now and then erase, and count what is open."""
        async with transaction(self._engine) as connection:
            await connection.execute(letters.ADOPT)
            if caught_up_at < self._tended + _TEND_SECONDS:
                return
            await connection.execute(letters.ERASE)
            rows = (await connection.execute(letters.OPEN)).all()
        self._tended = caught_up_at
        self._on_open({row.step: row.letters for row in rows})

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


async def as_it_lies(record: Record) -> Record:
    """The record itself: bytes that were put aside stay where they are."""
    return record


def addressed(record: Record) -> tuple[Envelope, Payload]:
    """A letter's envelope, or that of nobody; its payload is no matter of ours."""
    return envelope_of(record), Payload()
