"""This release and the one before read each other's records, and this one leaves nothing of the log's map behind."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schemas import topics
from schemas.codec import KINDS, decode, encode
from schemas.control import AttemptsMarked, ControlEntry
from schemas.documents import PartSkipped
from schemas.envelope import Envelope
from schemas.errors import NewerThanUs
from schemas.plans import PLANS, Plan
from schemas.records import Outgoing, Partition, Record
from schemas.results import RelayPosition
from tests.upgrade import releases

RECORDS = releases.samples()
WITH_ENVELOPE = [
    record for record in RECORDS
    if any(name == "ce_type" for name, _ in record.headers) and record.partition.topic != topics.DEAD_LETTERS.name
]  # fmt: skip
PLAIN = {
    topics.CONTROL.name: ControlEntry,
    topics.RELAY.name: RelayPosition,
    topics.ATTEMPTS.name: AttemptsMarked,
}
_READ = """
import json, sys
from schemas.codec import decode
from schemas.errors import NewerThanUs
from schemas.records import Partition, Record
for line in sys.stdin:
    item = json.loads(line)
    headers = tuple((name, value.encode()) for name, value in item["headers"])
    try:
        envelope, payload = decode(Record(Partition("t", 0), 0, 1, b"", item["value"].encode(), headers, 0.0))
    except NewerThanUs:
        print("newer")
    else:
        print(json.dumps([envelope.model_dump(mode="json"), payload.model_dump(mode="json")]))
"""


def _kind(record: Record) -> str:
    return dict(record.headers)["ce_type"].decode()


@pytest.mark.parametrize("record", WITH_ENVELOPE, ids=lambda item: f"{item.offset}-{_kind(item)}")
def test_this_release_reads_what_the_last_one_wrote_and_loses_no_field_of_it(record: Record) -> None:
    envelope, payload = decode(record)
    written = json.loads(record.value or b"{}")
    assert written.items() <= payload.model_dump(mode="json").items()
    assert {(name, value) for name, value in record.headers if name != "time"} <= {*envelope.headers()}


@pytest.mark.parametrize("record", [r for r in RECORDS if r.partition.topic in PLAIN], ids=str)
def test_this_release_reads_the_last_ones_records_without_an_envelope(record: Record) -> None:
    PLAIN[record.partition.topic].model_validate_json(record.value or b"")


def test_every_kind_that_the_last_release_knew_is_sampled_and_known() -> None:
    named = {name for topic in releases.kept("topics.json").values() for name in topic["records"]} - {
        "ControlEntry", "RelayPosition", "AttemptsMarked",
    }  # fmt: skip
    assert {_kind(record).split(".")[1] for record in WITH_ENVELOPE} == named
    assert named <= KINDS.keys()


def test_every_plan_of_the_last_release_is_known_as_it_was() -> None:
    for name, plan in releases.kept("plans.json").items():
        assert PLANS[name] == Plan.model_validate(plan)


def test_the_last_release_reads_what_this_one_writes_and_holds_on_what_it_does_not_know() -> None:
    ours = [encode("t", *decode(record)) for record in WITH_ENVELOPE]
    stranger = Envelope.from_headers(ours[0].headers).model_copy(update={"kind": "headrace.Unheard.v1"})
    said = _read_by_last([*ours, Outgoing("t", b"", b"{}", stranger.headers())])
    assert said.pop() == "newer"
    for record, line in zip(WITH_ENVELOPE, said, strict=True):
        envelope, payload = json.loads(line)
        assert envelope["id"] == dict(record.headers)["ce_id"].decode()
        assert json.loads(record.value or b"{}").items() <= payload.items()


def test_a_major_version_or_plan_that_nobody_here_knows_is_held_and_no_dead_letter() -> None:
    envelope, _ = decode(WITH_ENVELOPE[0])
    for change in ({"kind": "headrace.PartSkipped.v3"}, {"kind": "headrace.Unheard.v1"}, {"plan": "0" * 16}):
        stranger = envelope.model_copy(update={"kind": PartSkipped.kind(), **change})
        record = Record(Partition("t", 0), 0, 1, b"", b'{"step":"ocr","reason":"cancelled"}', stranger.headers(), 0.0)
        with pytest.raises(NewerThanUs):
            decode(record)


def test_no_topic_of_the_last_release_is_gone_smaller_or_kept_for_a_shorter_time() -> None:
    now = {topic.name: topic for topic in topics.TOPICS}
    for name, before in releases.kept("topics.json").items():
        topic = now[name]
        assert topic.partitions >= before["partitions"], name
        assert topic.compacted == before["compacted"], name
        assert topic.retention_ms >= before["retention_ms"], name
        assert {*before["records"]} <= {*topic.records}, name
        assert topic.key == before["key"] or topic.compacted, name


def _read_by_last(records: list[Outgoing]) -> list[Any]:
    """What the last release's own code makes of these, a line each."""
    before = releases.last()
    lines = [
        json.dumps({"headers": [[n, v.decode()] for n, v in r.headers], "value": (r.value or b"").decode()})
        for r in records
    ]
    done = subprocess.run(
        [str(before.python), "-P", "-c", _READ],
        input="\n".join(lines), env=before.environment(), cwd=Path("/"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()
