"""Two projectors that write at once, and a third on a database of its own that is told everything in one batch."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from hypothesis import strategies as st

from schemas.jobs import JobView
from schemas.work import Task
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import told
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh, rows

Turns = list[tuple[list[Task], list[Task]]]  # what each of the two projectors writes at the same time
Rows = dict[str, list[tuple[Any, ...]]]

_TABLES = {
    "jobs": "SELECT to_jsonb(jobs) - 'last_event' FROM jobs WHERE id = ANY($1) ORDER BY id",
    "parts": "SELECT to_jsonb(parts) FROM parts WHERE job = ANY($1) ORDER BY job, part, kind",
    "results": "SELECT to_jsonb(results) FROM results WHERE job = ANY($1) ORDER BY job, part",
    "trails": "SELECT to_jsonb(trails) FROM trails WHERE job = ANY($1) ORDER BY job, part, run, kind",
    "documents": "SELECT to_jsonb(documents) FROM documents WHERE document_id IN "
    "(SELECT document_id FROM jobs WHERE id = ANY($1)) ORDER BY document_id",
    "outbox": "SELECT ce_id, tenant, job, topic, key, headers, value FROM outbox WHERE key = ANY($1) OR key IN "
    "(SELECT tenant || '/' || document_id FROM jobs WHERE id = ANY($1)) ORDER BY ce_id",
}
_FILENAME = re.compile(r'"filename":(null|"a.pdf")')  # known only where the submission was projected before the end
_TRACE = re.compile(r'\["traceparent", "[^"]*"\]')  # of the task that led to it: any of them may come last


@dataclass(frozen=True, repr=False)
class World:
    """Everything on one event loop, kept over all examples of a test."""

    runner: asyncio.Runner
    projectors: tuple[Projector, Projector]
    reader: PostgresJobReader
    database: Database
    reference: Projector
    other: Database

    @classmethod
    @contextmanager
    def of(cls, server: str) -> Iterator[Self]:
        """A world on two new databases of this server."""
        database, other = fresh(server), fresh(server)
        with asyncio.Runner() as runner:
            first, second = (Projector(database.sink, NO_FAILPOINTS) for _ in range(2))
            reader, reference = PostgresJobReader(database.api), Projector(other.sink, NO_FAILPOINTS)
            yield cls(runner, (first, second), reader, database, reference, other)
            for part in (first, second, reader, reference):
                runner.run(part.close())

    def play(self, job: str, turns: Turns) -> list[JobView]:
        """Write each turn's two batches at once; the job's view after each turn."""
        return self.runner.run(self._play(job, turns))

    def ends(self, job: str) -> list[tuple[str, int]]:
        """How the runs of a job ended, as subscribers were told."""
        return self.runner.run(told.ends(self.database.admin, job))

    def pages(self, job: str) -> list[tuple[int, int, str]]:
        """Page, run and fate of the job's pages, as subscribers were told."""
        return self.runner.run(told.pages(self.database.admin, job))

    def story(self, job: str) -> list[tuple[int, str, int]]:
        """Run, event and part of each line of the job's story."""
        return self.runner.run(told.story(self.database.admin, job))

    def outbox(self, *keys: str) -> list[told.Announced]:
        """What was announced under these keys, in order."""
        return self.runner.run(told.outbox(self.database.admin, *keys))

    def document(self, name: str) -> dict[str, Any]:
        """What is kept of a document itself."""
        query = "SELECT revision, job, current, dropped FROM documents WHERE document_id = $1"
        [row] = self.runner.run(rows(self.database.admin, query, name))
        return dict(row)

    def rows(self, *jobs: str) -> Rows:
        """All that is kept of jobs and their documents, but for what depends on the order of events by its nature."""
        return self.runner.run(_rows(self.database, jobs))

    def rows_in_one_batch(self, *jobs: str, history: Sequence[Task]) -> Rows:
        """The same, of the database that was told the whole history at once."""
        self.runner.run(self.reference.write(history))
        return self.runner.run(_rows(self.other, jobs))

    async def _play(self, job: str, turns: Turns) -> list[JobView]:
        views = []
        for batches in turns:
            pairs = zip(self.projectors, batches, strict=True)
            await asyncio.gather(*(projector.write(batch) for projector, batch in pairs if batch))
            views.append(await self.reader.job("demo", job))
        return [view for view in views if view is not None]


@st.composite
def _interleavings(draw: st.DrawFn, count: int, extra: int) -> list[tuple[list[int], list[int]]]:
    """Every number below `count` at least once, some below `count + extra` again, in any order, cut into batches."""
    repeats = draw(st.lists(st.integers(0, count + extra - 1), max_size=6))
    order = draw(st.permutations([*range(count), *repeats]))
    turns = []
    while order:
        mine, others = draw(st.integers(1, 5)), draw(st.integers(0, 5))
        turns.append((order[:mine], order[mine : mine + others]))
        order = order[mine + others :]
    return turns


def interleaved(data: st.DataObject, history: Sequence[Task], *, repeated: Sequence[Task] = ()) -> Turns:
    """A history in any order, some of it twice and some of what was written before again, for two projectors."""
    known = [*history, *repeated]
    turns = data.draw(_interleavings(len(history), len(repeated)))
    return [([known[n] for n in mine], [known[n] for n in others]) for mine, others in turns]


async def _rows(database: Database, jobs: Sequence[str]) -> Rows:
    found = {
        table: [tuple(row) for row in await rows(database.admin, query, list(jobs))] for table, query in _TABLES.items()
    }
    found["outbox"] = [(*row[:-2], _TRACE.sub("", row[-2]), _FILENAME.sub("", row[-1])) for row in found["outbox"]]
    return found
