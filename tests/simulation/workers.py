"""What the processes of a history are made of: the real classes over what is simulated."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from processors.stream.kafka_stream import KafkaStream
from processors.stream.port import Feed, Group
from processors.watermark import Watermarks
from schemas import topics
from schemas.control import ControlEntry, StepOrder, step_key
from schemas.failpoints import Failpoints
from schemas.records import Partition
from sinks.dead_letters import DeadLetters
from sinks.fenced_index import FencedIndex
from sinks.index_fence import Admission
from sinks.projector import Projector
from tests.simulation.group import SimulatedConsumer
from tests.simulation.log import View
from tests.simulation.steps import PICTURE

NO_FAILPOINTS = Failpoints("", None)
READS: dict[str, tuple[str, ...]] = {
    "prepare": topics.GROUPS["headrace.prepare"],
    "ocr": topics.GROUPS["headrace.ocr"],
    "index": (topics.VECTORS.name,),
    "projector": (topics.JOBS.name, topics.EVENTS.name),
    "dispatcher": topics.GROUPS["headrace.dispatcher"],
    "letters": topics.GROUPS["headrace.dead-letters"],
}
LIMITS = {"prepare": 1, "ocr": 3, "index": 8, "projector": 8, "dispatcher": 8, "letters": 8}
HEARS_ALL = frozenset({"projector", "letters"})
ALLOWANCE = 2
"""Pages that a tenant may have in work as interactive."""


class SimulatedStream(KafkaStream):
    """The real stream over a consumer of the log in memory."""

    def __init__(self, group: Group, watermarks: Watermarks, consumer: SimulatedConsumer) -> None:
        super().__init__(group, watermarks)
        self._simulated = consumer

    async def serve_here(self, build: Callable[[], Awaitable[Feed]]) -> int:
        """As `serve`, on the loop that runs."""
        return await self._serve(build, bool)

    def stop(self) -> None:
        """SIGTERM."""
        self._stopping.set()

    def _consumer(self) -> Any:
        return self._simulated


class SimulatedProjector(Projector):
    """The real projector over the tables in memory."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._failpoints = NO_FAILPOINTS


class SimulatedLetters(DeadLetters):
    """The real sink of dead letters over the tables in memory."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._failpoints = NO_FAILPOINTS
        self._on_open = bool
        self._tended = 0.0

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """By the virtual clock: how long a history takes is not to be seen in it."""
        await super().idle(asyncio.get_running_loop().time(), partitions)


class SimulatedIndex(FencedIndex):
    """An index in the fence's own transaction."""

    index = "pgvector"
    transactional = True
    name = "index-pgvector"

    async def _delete(self, connection: Any, admitted: Admission) -> None:
        assert not admitted.drops

    async def _replace(self, connection: Any, admitted: Admission) -> None:
        for page in admitted.pages:
            row = {"job": page.job, "page": page.page, "run": page.run, "event": page.event}
            connection.put("chunks", (str(page.place),), row)


class Orders:
    """`headrace.control` as a worker sees it."""

    def __init__(self, view: View) -> None:
        self._view = view

    def cancelled(self, job: str, run: int) -> bool:
        value = self._view.get(job.encode())
        return value is not None and run <= ControlEntry.model_validate_json(value).run

    def order(self, step: str) -> StepOrder | None:
        value = self._view.get(step_key(step))
        return None if value is None else StepOrder.model_validate_json(value)


class Disk:
    """A slot's own disk: what is noted there outlives its processes."""

    def __init__(self, disks: dict[str, str], slot: str) -> None:
        self._disks = disks
        self._slot = slot

    def left(self) -> str:
        return self._disks.get(self._slot, "")

    def write(self, text: str) -> None:
        self._disks[self._slot] = text

    def close(self) -> None:
        self._disks.pop(self._slot, None)


class Blobs:
    """The blob store: pictures of pages that were prepared lie there, and nothing else is large."""

    def find(self, key: str) -> bytes | None:
        return PICTURE.model_dump_json().encode()
