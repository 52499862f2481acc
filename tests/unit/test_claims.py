"""A record's claim is redeemed where its bytes are the record's own job's, and nowhere else."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from producers.claims import INLINE_LIMIT, put_aside, redeem
from schemas import topics
from schemas.documents import Claim, PageRead
from schemas.envelope import Envelope, new_trace
from schemas.errors import DecodeFailed, RecordError
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Partition, Record
from sinks.blobs import FolderBlobs

LARGE = b"x" * (INLINE_LIMIT + 1)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path)


def _headers(tenant: str, job: str) -> tuple[tuple[str, bytes], ...]:
    return Envelope(
        id=uuid.uuid4(), kind=PageRead.kind(), at=datetime.now(UTC), job=job, run=1, part=1, tenant=tenant,
        plan=DOCUMENT.hash, document="doc", traceparent=new_trace(),
    ).headers()  # fmt: skip


def _claiming(claim: Claim, tenant: str = "demo", job: str = "job_a") -> Record:
    headers = (*_headers(tenant, job), ("headrace_claim", claim.model_dump_json().encode()))
    return Record(Partition(topics.CHUNK.name, 0), 0, 0, job.encode(), b"{}", headers, 0.0)


async def test_a_large_value_comes_back_to_its_own_record(blobs: FolderBlobs) -> None:
    sent = await put_aside(Outgoing(topics.CHUNK.name, b"job_a", LARGE, _headers("demo", "job_a")), blobs)
    read = Record(Partition(sent.topic, 0), 0, 0, sent.key, sent.value, sent.headers, 0.0)
    assert (sent.value, (await redeem(read, blobs)).value) == (b"{}", LARGE)


@pytest.mark.parametrize(
    "key",
    [
        "other/job_a/records/1", "demo/job_b/records/1", "other/job_b/source", "demo2/job_a/records/1",
        "demo/job_ab/records/1", "DEMO/job_a/records/1", "dead-letters/1",
    ],
)  # fmt: skip
async def test_bytes_of_another_tenant_or_job_are_refused_though_they_are_there(blobs: FolderBlobs, key: str) -> None:
    with pytest.raises(RecordError, match="claims bytes that are not its job's"):
        await redeem(_claiming(blobs.put(key, b"words")), blobs)


@pytest.mark.parametrize("tenant", ["other", "demo2", "dem"])
async def test_a_claim_of_ours_is_none_to_a_record_whose_header_names_another_tenant(
    blobs: FolderBlobs, tenant: str
) -> None:
    claim = blobs.put("demo/job_a/records/1", b"words")
    assert (await redeem(_claiming(claim), blobs)).value == b"words"
    with pytest.raises(RecordError):
        await redeem(_claiming(claim, tenant=tenant), blobs)


@pytest.mark.parametrize(
    "step", ["../job_b/source", "../../other/job_a/source", "x/../../job_b/source", "/../job_b/source", ""]
)
async def test_no_way_leads_out_of_the_job_s_folder(blobs: FolderBlobs, step: str) -> None:
    blobs.put("demo/job_b/source", b"words")
    claim = blobs.put("other/job_a/source", b"words").model_copy(update={"key": f"demo/job_a/{step}"})
    with pytest.raises(RecordError):
        await redeem(_claiming(claim), blobs)


async def test_a_claim_that_lies_about_its_bytes_is_refused(blobs: FolderBlobs) -> None:
    claim = blobs.put("demo/job_a/records/1", b"words")
    for lie in ({"sha256": "0" * 64}, {"size": 6}):
        with pytest.raises(DecodeFailed):
            await redeem(_claiming(claim.model_copy(update=lie)), blobs)


async def test_a_claim_without_an_envelope_is_nobodys(blobs: FolderBlobs) -> None:
    record = _claiming(blobs.put("demo/job_a/records/1", b"words"))
    with pytest.raises(RecordError):
        await redeem(replace(record, headers=record.headers[-1:]), blobs)
