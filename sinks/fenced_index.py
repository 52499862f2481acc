"""What every index does with a batch; where its passages lie is its own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.failpoints import Failpoints
from schemas.records import Outgoing
from schemas.work import Task
from sinks.index_fence import Admission, admission, announced
from sinks.index_pages import confirmations, drops_of, pages_of
from sinks.postgres.engine import answers


class FencedIndex(ABC):
    """A `Sink` over `headrace.vectors` and `headrace.documents`, as role `headrace_sink`.

    `index` names it in plans and in its events; `transactional` says whether it is written in the fence's own
    transaction, so that nothing is ever half-written.
    """

    index: ClassVar[str]
    transactional: ClassVar[bool]
    name: str

    def __init__(self, engine: AsyncEngine, failpoints: Failpoints) -> None:
        self._engine = engine
        self._failpoints = failpoints

    async def open(self) -> None:
        """Raise `DependencyDown` while PostgreSQL does not answer."""
        await answers(self._engine)

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Delete and store what a batch says, in one transaction; one `ChunksIndexed` a page, blank pages too.

        A page that is not written, as a later run has it or its document was dropped, is confirmed as well: the index
        holds what it should. Raises `ModelOutputInvalid` for a vector that is no direction in 384 dimensions,
        `RecordError` for one that is no base64, both before anything is sent; `DependencyDown` while PostgreSQL or
        the index itself does not answer.
        """
        pages, drops = pages_of(tasks), drops_of(tasks)
        noted = frozenset() if self.transactional else await announced(self._engine, self.index, pages)
        async with admission(self._engine, self.index, pages, drops, noted) as (connection, admitted):
            await self._delete(connection, admitted)
            await self._replace(connection, admitted)
            self._failpoints.reach("sink", str(tasks[0].record))
        return confirmations(tasks, self.index)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    @abstractmethod
    async def _delete(self, connection: AsyncConnection, admitted: Admission) -> None:
        """Forget the passages of each dropped document up to its revision, and those of the refused pages."""

    @abstractmethod
    async def _replace(self, connection: AsyncConnection, admitted: Admission) -> None:
        """Leave in the pages' places their passages, and nothing else."""
