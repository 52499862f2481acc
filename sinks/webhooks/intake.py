"""What there is to deliver: an event of `headrace.results` is one message, delivered to each endpoint that asks."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.failpoints import Failpoints
from schemas.records import Outgoing
from schemas.results import DocumentDeleted
from schemas.work import Task
from sinks.postgres import webhook_statements as sql
from sinks.postgres.engine import answers, transaction
from sinks.postgres.rows import bulk
from sinks.webhooks.messages import message_of


class Webhooks:
    """A `Sink` over `headrace.results`, as role `headrace_sink`: an event that comes again changes nothing.

    `begin` is called when PostgreSQL answers for the first time, `due` whenever there may be something to deliver,
    `end` at the end.
    """

    name = "webhooks"

    def __init__(
        self,
        engine: AsyncEngine,
        failpoints: Failpoints,
        public_url: str,
        *,
        begin: Callable[[], object] = lambda: None,
        due: Callable[[], object] = lambda: None,
        end: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._engine = engine
        self._failpoints = failpoints
        self._public_url = public_url
        self._begin = begin
        self._due = due
        self._end = end

    async def open(self) -> None:
        """Raise `DependencyDown` while PostgreSQL does not answer."""
        await answers(self._engine)
        self._begin()

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Store a batch in one transaction; of a document that was deleted, what was read is told no more.

        Raises `DependencyDown` while PostgreSQL does not answer.
        """
        found = {message.id: message for task in tasks if (message := message_of(task, self._public_url)) is not None}
        gone = [
            {"tenant": task.envelope.tenant, "document_id": task.envelope.document, "revision": task.envelope.revision}
            for task in tasks
            if isinstance(task.payload, DocumentDeleted)
        ]
        async with transaction(self._engine) as connection:
            stored = await bulk(connection, sql.TAKE, [found[name].model_dump() for name in sorted(found)])
            await bulk(connection, sql.FORGET, gone)
            self._failpoints.reach("sink", str(tasks[0].record))
        if stored:
            self._due()
        return ()

    async def close(self) -> None:
        """Let go."""
        if self._end is not None:
            await self._end()
        await self._engine.dispose()
