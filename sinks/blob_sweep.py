"""Bytes that no record, dead letter or job can name any more, swept behind the projector."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.lifetimes import DRAFT, Lifetimes
from schemas.ports import BlobStore, StoredBlob
from sinks.postgres.engine import transaction
from sinks.sweeps import low_water

_DRAFT = re.compile(r".+\.[0-9a-f]{32}\.draft")
_UPLOAD = re.compile(r"[^/]+/[0-9a-f]{32}(/source)?")  # with it as N-1 names them
_LETTER = re.compile(r"dead-letters/[0-9a-f]{64}")
_RECORD = re.compile(r"[^/]+/(job_[^/]+)/records/[^/]+")
_OF_JOB = re.compile(r"[^/]+/(job_[^/]+)/.+")

_SUBMITTED = text("SELECT source_key FROM jobs WHERE source_key = ANY(:keys)")
_KNOWN = text("SELECT id FROM jobs WHERE id = ANY(:jobs)")
# Whose records may still be read: a job that goes on or ended lately, one with a dead letter, one that waits.
_AT_WORK = text("""
    SELECT id FROM jobs WHERE id = ANY(:jobs) AND (finished_at IS NULL OR finished_at >= :before)
    UNION SELECT job FROM dead_letters WHERE job = ANY(:jobs)
    UNION SELECT job FROM waiting_records WHERE job = ANY(:jobs)
    UNION SELECT job FROM waiting_jobs WHERE job = ANY(:jobs)
""")


class BlobSweep:
    """One round over the blob store."""

    def __init__(self, engine: AsyncEngine, blobs: BlobStore, lives: Lifetimes) -> None:
        self._engine = engine
        self._blobs = blobs
        self._lives = lives

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Delete what is old enough and named by nobody; raises `DependencyDown`."""
        found: Counter[str] = Counter()
        through = await low_water(self._engine)
        if through is None:
            return found
        async for blobs in self._blobs.listed():
            for what, keys in (await self._orphans(blobs, through)).items():
                found[what] += len(keys)
                for key in () if dry else keys:
                    await self._blobs.delete(key)
        return found

    async def _orphans(self, blobs: Iterable[StoredBlob], through: datetime) -> dict[str, list[str]]:
        drafts = [blob.key for blob in blobs if _DRAFT.fullmatch(blob.key) and blob.at < through - DRAFT]
        old = [blob.key for blob in blobs if not _DRAFT.fullmatch(blob.key) and blob.at < through - self._lives.named]
        return {
            "drafts": drafts,
            "uploads_of_no_job": await self._unsubmitted([key for key in old if _UPLOAD.fullmatch(key)]),
            "bytes_of_records": await self._of_jobs(old, _RECORD, _AT_WORK, through - self._lives.named),
            "bytes_of_no_job": await self._of_jobs([key for key in old if not _RECORD.fullmatch(key)], _OF_JOB, _KNOWN),
            "bytes_of_dead_letters": [key for key in old if _LETTER.fullmatch(key)],
        }

    async def _unsubmitted(self, keys: Sequence[str]) -> list[str]:
        kept = await self._asked(_SUBMITTED, {"keys": list(keys)}) if keys else ()
        return [key for key in keys if key not in kept]

    async def _of_jobs(
        self, keys: Iterable[str], form: re.Pattern[str], keepers: TextClause, before: datetime | None = None
    ) -> list[str]:
        """Those keys of this form whose jobs `keepers` does not name."""
        jobs = {key: match[1] for key in keys if (match := form.fullmatch(key))}
        if not jobs:
            return []
        told = {"jobs": sorted(set(jobs.values()))} | ({} if before is None else {"before": before})
        kept = await self._asked(keepers, told)
        return [key for key, job in jobs.items() if job not in kept]

    async def _asked(self, statement: TextClause, values: Mapping[str, object]) -> Collection[str]:
        async with transaction(self._engine) as connection:
            return set(await connection.scalars(statement, values))
