"""Claim check: a value over 256 KiB lies in the blob store, and its record carries the claim in a header."""

import asyncio
import dataclasses
import uuid
from collections.abc import Sequence

from schemas.documents import Claim
from schemas.envelope import Envelope
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
        await self._publisher.publish([await self._put_aside(record) for record in records])

    async def ping(self) -> None:
        """Whether the log answers."""
        await self._publisher.ping()

    async def _put_aside(self, record: Outgoing) -> Outgoing:
        if record.value is None or len(record.value) <= INLINE_LIMIT or not _is_ours(record):
            return record
        envelope = Envelope.from_headers(record.headers)
        key = f"{envelope.tenant}/{envelope.job}/records/{envelope.id}-{uuid.uuid4().hex[:8]}"
        claim = await asyncio.to_thread(self._blobs.put, key, record.value)
        header = (_HEADER, claim.model_dump_json().encode())
        return dataclasses.replace(record, value=b"{}", headers=(*record.headers, header))


async def redeem(record: Record, blobs: BlobStore) -> Record:
    """The record with its value fetched, where it carries a claim."""
    header = next((value for name, value in record.headers if name == _HEADER), None)
    if header is None:
        return record
    value = await asyncio.to_thread(blobs.read, Claim.model_validate_json(header))
    return dataclasses.replace(record, value=value)


def _is_ours(record: Outgoing) -> bool:
    names = {name for name, _ in record.headers}
    return "ce_id" in names and "headrace_code" not in names  # a dead letter keeps its original bytes
