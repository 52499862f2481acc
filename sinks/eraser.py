"""The eraser: takes the bytes of deleted documents out of the blob store."""

from collections.abc import Sequence

from schemas.documents import JobErased
from schemas.errors import RecordError
from schemas.ports import BlobStore
from schemas.records import Outgoing
from schemas.work import Task


class Eraser:
    """A `Sink` over `headrace.documents`: of what lies there it obeys `JobErased` alone, and as often as it comes."""

    name = "eraser"

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def open(self) -> None:
        """Raise `DependencyDown` while the blob store does not answer."""
        await self._blobs.ping()

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Erase each job's upload and all below its folder; publishes nothing.

        Raises `RecordError`, before anything is erased, for bytes that are not the tenant's own; `DependencyDown` while
        the blob store does not answer.
        """
        named = [_named(task, task.payload) for task in tasks if isinstance(task.payload, JobErased)]
        for source, folder in named:
            await self._blobs.delete(source)
            await self._blobs.delete_below(folder)
        return ()

    async def close(self) -> None:
        """Nothing is held open."""


def _named(task: Task, payload: JobErased) -> tuple[str, str]:
    """The upload's key and the job's folder."""
    tenant, job = task.envelope.tenant, task.envelope.job
    if not job or not payload.source.startswith(f"{tenant}/"):
        raise RecordError("the record names bytes that are not its tenant's")
    return payload.source, f"{tenant}/{job}"
