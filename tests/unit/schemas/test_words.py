"""Envelope, codec, ids and plans."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode, encode, follow, page_spread
from schemas.documents import PAYLOADS, ChunksIndexed, PartFailed
from schemas.envelope import Envelope, new_trace
from schemas.errors import NewerThanUs, NotFound, RecordError
from schemas.ids import JobIds
from schemas.jobs import TERMINAL, TRANSITIONS, JobState, allowed
from schemas.plans import DOCUMENT, PLANS, document
from schemas.records import Outgoing, Partition, Record
from schemas.settings import Settings
from schemas.topics import GROUPS, TOPICS

envelopes = st.builds(
    Envelope,
    id=st.uuids(), kind=st.sampled_from([payload.kind() for payload in PAYLOADS.values()]),
    at=st.datetimes(timezones=st.just(UTC)), job=st.text("abc234_", min_size=1, max_size=40), run=st.integers(1, 99),
    part=st.integers(0, 9999), attempt=st.integers(1, 9), tenant=st.just("demo"), plan=st.just(DOCUMENT.hash),
    lane=st.sampled_from(["interactive", "bulk"]), deadline=st.none() | st.datetimes(timezones=st.just(UTC)),
    document=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), revision=st.integers(1, 9),
    data_class=st.sampled_from(["public", "restricted"]), key_id=st.just(""), traceparent=st.builds(new_trace),
)  # fmt: skip


def _record(outgoing: Outgoing) -> Record:
    return Record(Partition(outgoing.topic, 0), 7, 1, outgoing.key, outgoing.value, outgoing.headers, 0.0)


@given(envelopes)
def test_an_envelope_survives_its_headers(envelope: Envelope) -> None:
    assert Envelope.from_headers(envelope.headers()) == envelope


@given(envelopes)
def test_headers_follow_cloudevents_binary_mode(envelope: Envelope) -> None:
    headers = dict(envelope.headers())
    assert headers["ce_specversion"] == b"1.0"
    assert headers["content-type"] == b"application/json"
    assert all(
        name.removeprefix("ce_").isalnum() and name == name.lower() for name in headers if name.startswith("ce_")
    )
    assert headers["traceparent"].decode() == envelope.traceparent


def _envelope(**changes: object) -> Envelope:
    base = Envelope(
        id=uuid.UUID(int=5), kind=ChunksIndexed.kind(), at=datetime.now(UTC), job="job_a", run=1, part=2, tenant="demo",
        plan=DOCUMENT.hash, document="d", traceparent=new_trace(),
    )  # fmt: skip
    return base.model_copy(update=changes)


def test_the_same_work_has_the_same_id_and_other_work_another() -> None:
    payload = PartFailed(step="ocr", code="x", detail="")
    one = follow("t", _envelope(), "ocr", payload)
    assert dict(one.headers)["ce_id"] == dict(follow("t", _envelope(), "ocr", payload).headers)["ce_id"]
    others = [
        follow("t", _envelope(run=2), "ocr", payload),
        follow("t", _envelope(), "embed", payload),
        follow("t", _envelope(), "ocr", payload, part=3),
        follow("t", _envelope(), "ocr", payload, digests=("", "other model")),
        follow("t", _envelope(id=uuid.UUID(int=6)), "ocr", payload),
    ]
    ids = {dict(item.headers)["ce_id"] for item in [one, *others]}
    assert len(ids) == 6
    trace = dict(one.headers)["traceparent"].decode().split("-")
    assert trace[1] != _envelope().traceparent.split("-")[1]


def test_a_following_record_stays_in_its_trace() -> None:
    parent = _envelope()
    child = Envelope.from_headers(follow("t", parent, "ocr", PartFailed(step="s", code="c", detail="")).headers)
    assert child.traceparent.split("-")[1] == parent.traceparent.split("-")[1]
    assert child.traceparent != parent.traceparent


@pytest.mark.parametrize(
    "changes",
    [{"kind": "headrace.FromTheFuture.v1"}, {"kind": "headrace.ChunksIndexed.v3"}, {"plan": "0" * 16}],
)
def test_what_is_newer_than_us_is_held(changes: dict[str, str]) -> None:
    with pytest.raises(NewerThanUs):
        decode(_record(encode("t", _envelope(**changes), ChunksIndexed(index="i", count=1))))


def test_the_next_version_is_read_and_its_new_fields_ignored() -> None:
    outgoing = encode("t", _envelope(kind="headrace.ChunksIndexed.v2"), ChunksIndexed(index="i", count=1))
    record = Record(Partition("t", 0), 0, 1, b"", b'{"index":"i","count":1,"added":true}', outgoing.headers, 0.0)
    assert decode(record)[1] == ChunksIndexed(index="i", count=1)


@given(st.binary(max_size=50))
def test_bytes_that_are_none_of_ours_are_record_errors(junk: bytes) -> None:
    headers = _envelope().headers()
    with pytest.raises(RecordError):
        decode(Record(Partition("t", 0), 0, 1, b"", junk, headers, 0.0))
    with pytest.raises(RecordError):
        decode(Record(Partition("t", 0), 0, 1, b"", b"{}", (("ce_id", junk),), 0.0))


IDS = JobIds({1: "one", 2: "two"})


def test_an_id_is_known_by_every_process_with_the_keys_and_tells_its_time() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    job = IDS.issue("demo", at=at.timestamp())
    assert JobIds({1: "one", 2: "two"}).check(job, "demo") == at
    assert JobIds({1: "one"}).check(JobIds({1: "one"}).issue("demo"), "demo") - datetime.now(UTC) < timedelta(seconds=5)


@given(st.integers(4, 40), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_changed_letter_is_a_forgery(place: int, letter: str) -> None:
    job = IDS.issue("demo")
    forged = job[:place] + letter + job[place + 1 :]
    if forged != job:
        with pytest.raises(NotFound):
            IDS.check(forged, "demo")


@pytest.mark.parametrize("job", ["", "job_", "job_" + "a" * 37, "x" * 41, "job_" + "A" * 37, "job_" + "a" * 36 + "\n"])
def test_what_is_no_id_is_not_found(job: str) -> None:
    with pytest.raises(NotFound):
        IDS.check(job, "demo")


FULL_WIDTH = 0xFEE0
TWINS = {"k": "\u212a", "s": "\u017f", "i": "\u0131", "a": "\u0430", "c": "\u0441", "e": "\u0435", "o": "\u043e"}


def test_no_character_of_an_id_has_a_twin() -> None:
    for _ in range(20):
        job = IDS.issue("demo")
        for place, character in enumerate(job):
            for twin in (chr(ord(character) + FULL_WIDTH), TWINS.get(character, character.upper())):
                if twin != character:
                    with pytest.raises(NotFound):
                        IDS.check(job[:place] + twin + job[place + 1 :], "demo")


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\U000e0041", "\n", " ", "=", "\0"]
)
def test_what_is_not_seen_in_an_id_is_no_part_of_it(unseen: str) -> None:
    job = IDS.issue("demo")
    for place in range(len(job) + 1):
        with pytest.raises(NotFound):
            IDS.check(job[:place] + unseen + job[place:], "demo")


def test_an_id_has_one_spelling() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    for _ in range(20):
        job = IDS.issue("demo")
        same_bytes = job[:-1] + letters[letters.index(job[-1]) ^ 1]  # differs in the one bit that no byte takes
        with pytest.raises(NotFound):
            IDS.check(same_bytes, "demo")


def test_a_foreign_id_and_one_of_a_retired_key_are_not_found() -> None:
    with pytest.raises(NotFound):
        IDS.check(IDS.issue("demo"), "other")
    with pytest.raises(NotFound):
        IDS.check(JobIds({3: "gone"}).issue("demo"), "demo")


def test_pages_of_a_job_go_round_the_partitions_evenly() -> None:
    for job in ("job_a", "job_b"):
        assert sorted(page_spread(job, page) % 4 for page in range(1, 9)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_plan_hash_covers_every_setting() -> None:
    changed = DOCUMENT.model_copy(
        update={
            "steps": (*DOCUMENT.steps[:1], DOCUMENT.steps[1].model_copy(update={"settings": {}}), *DOCUMENT.steps[2:])
        }
    )
    assert changed.hash != DOCUMENT.hash
    assert changed.digest("ocr") != DOCUMENT.digest("ocr")
    assert changed.digest("prepare") == DOCUMENT.digest("prepare")


def test_only_a_higher_run_leaves_a_terminal_state() -> None:
    for old in TERMINAL:
        for new in JobState:
            assert not allowed(old, new)
            assert allowed(old, new, run_rises=True) == (new in TRANSITIONS[old])


def test_every_topic_has_a_reader_and_every_group_a_topic() -> None:
    assert all(topic.readers for topic in TOPICS)
    assert set(GROUPS) == {
        "headrace.prepare", "headrace.ocr", "headrace.chunk", "headrace.embed", "headrace.index-pgvector",
        "headrace.index-weaviate", "headrace.projector", "headrace.eraser", "headrace.dead-letters",
        "headrace.webhooks", "headrace.dispatcher",
    }  # fmt: skip


def test_every_set_of_required_indexes_is_a_plan_of_its_own_in_whatever_order_it_is_named() -> None:
    assert document(("weaviate", "pgvector")) == document(("pgvector", "weaviate"))
    assert {plan.indexes for plan in PLANS.values()} == {("pgvector",), ("weaviate",), ("pgvector", "weaviate")}
    assert all(PLANS[plan.hash] is plan for plan in PLANS.values())


@pytest.mark.parametrize("wrong", ["", "pgvector,pgvector", "pgvector,elastic"])
def test_indexes_that_there_are_not_are_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INDEXES", wrong)
    with pytest.raises(ValueError, match="each once"):
        Settings()
