"""Claim check: a value over 256 KiB lies in the blob store, and its record carries the claim in a header."""

import asyncio
import dataclasses
import hashlib
import uuid
from collections.abc import Sequence

from schemas.documents import Claim
from schemas.envelope import Envelope
from schemas.errors import RecordError
from schemas.ports import BlobStore, Publisher
from schemas.records import Outgoing, Record

INLINE_LIMIT = 256 * 1024
_HEADER = "headrace_claim"


class ClaimingPublisher:
    """A publisher that puts large values aside first, durably: a record never names bytes that are not there."""

    def __init__(self, publisher: Publisher, blobs: BlobStore) -> None:
        self._publisher = publisher
        self._blobs = blobs

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """As `Publisher.publish`; raises `DependencyDown` when the blob store does not answer."""
        await self._publisher.publish([await put_aside(record, self._blobs) for record in records])

    async def ping(self) -> None:
        """Whether the log answers."""
        await self._publisher.ping()


async def put_aside(record: Outgoing, blobs: BlobStore) -> Outgoing:
    """The record with a claim in its value's place, where that is large; raises `DependencyDown`."""
    if record.value is None or len(record.value) <= INLINE_LIMIT:
        return record
    claim = await asyncio.to_thread(blobs.put, _key(record, record.value), record.value)
    header = (_HEADER, claim.model_dump_json().encode())
    return dataclasses.replace(record, value=b"{}", headers=(*record.headers, header))


async def redeem(record: Record, blobs: BlobStore) -> Record:
    """The record with its value fetched, where it carries a claim; raises `RecordError` for another job's bytes."""
    header = next((value for name, value in record.headers if name == _HEADER), None)
    if header is None:
        return record
    envelope, claim = Envelope.from_headers(record.headers), Claim.model_validate_json(header)
    if not claim.key.startswith(f"{envelope.tenant}/{envelope.job}/"):
        raise RecordError("the record claims bytes that are not its job's")
    value = await asyncio.to_thread(blobs.read, claim)
    return dataclasses.replace(record, value=value)


def _key(record: Outgoing, value: bytes) -> str:
    """Below the job, where the record has one; a dead letter of anybody's bytes lies apart."""
    try:
        envelope = Envelope.from_headers(record.headers)
    except RecordError:
        return f"dead-letters/{hashlib.sha256(value).hexdigest()}"
    return f"{envelope.tenant}/{envelope.job}/records/{envelope.id}-{uuid.uuid4().hex[:8]}"
