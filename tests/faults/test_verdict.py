"""The judge finds what is wrong: each test plants one fault in a history that is right."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from schemas.codec import index_id
from schemas.envelope import Envelope, new_trace
from schemas.plans import DOCUMENT
from schemas.topics import CHUNK, EMBED, EVENTS, JOBS, OCR, RESULTS, VECTORS
from tests.faults.history import Commit, Death, History, Job, Passage, Place, Row, Said
from tests.faults.verdict import Expected, Verdict, judge

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PROMISED = {"a": Expected("demo", mark="Pump 0", pages=1)}


def _said(topic: str, kind: str, part: int, at: int, value: dict[str, object] | None = None, run: int = 1) -> Said:
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}/{run}/{part}")
    envelope = Envelope(
        id=name, kind=f"headrace.{kind}.v1", at=NOW, job="a", run=run, part=part, tenant="demo", plan=DOCUMENT.hash,
        document="doc", traceparent=new_trace(),
    )  # fmt: skip
    return Said(topic, 0, at, at, str(name), kind, Place("a", run, part), "demo", envelope, value or {})


READ = _said(EVENTS.name, "PageRead", 1, 30)
EMBEDDED = _said(VECTORS.name, "ChunksEmbedded", 1, 50, {"engine": {"digest": "d"}, "chunks": [{"index": 0}]})
INDEXED = _said(EVENTS.name, "ChunksIndexed", 1, 60, {"index": "pgvector"})
PASSAGE = Passage(str(index_id(EMBEDDED.envelope, 0, "d")), "a", "demo")
RIGHT = History(
    said=(
        _said(JOBS.name, "JobSubmitted", 0, 10), _said(EVENTS.name, "DocumentPrepared", 0, 15),
        _said(OCR.name, "PagePrepared", 1, 20), READ, _said(CHUNK.name, "PageRead", 1, 30),
        _said(EMBED.name, "PageChunked", 1, 40), EMBEDDED, INDEXED,
        _said(RESULTS.name, "PageEnded", 1, 70), _said(RESULTS.name, "JobEnded", 0, 70),
    ),
    commits=(Commit("headrace.ocr", OCR.name, 0, 21, 31),),
    deaths=(Death("ocr-1", "commit", f"{OCR.name}[0]@20", 30),),
    jobs=(Job("a", "demo", "succeeded", 1, 1, None, NOW),),
    results=(Row("a", 1, "demo", READ.id, text="Pump 0 was checked"),),
    parts=(Row("a", 1, "demo", READ.id, "read"), Row("a", 1, "demo", INDEXED.id, "indexed:pgvector")),
    indexes={"pgvector": (PASSAGE,)},
)  # fmt: skip


def _judged(history: History) -> Verdict:
    return judge(history, PROMISED, ("pgvector",))


def test_a_right_history_is_clean() -> None:
    verdict = _judged(RIGHT)
    assert verdict.clean, verdict.told()
    assert verdict.parts == 1
    assert not verdict.repeats


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (replace(RIGHT, jobs=()), "lost"),
        (replace(RIGHT, jobs=(replace(RIGHT.jobs[0], state="running"),)), "lost"),
        (replace(RIGHT, jobs=(replace(RIGHT.jobs[0], state="failed"),)), "lost"),
        (replace(RIGHT, jobs=(replace(RIGHT.jobs[0], pages=2),)), "lost"),
        (replace(RIGHT, jobs=(replace(RIGHT.jobs[0], deadline=datetime(2020, 1, 1, tzinfo=UTC)),)), "lost"),
        (replace(RIGHT, results=()), "lost"),
        (replace(RIGHT, parts=RIGHT.parts[:1]), "lost"),
        (replace(RIGHT, indexes={"pgvector": ()}), "lost"),
        (replace(RIGHT, said=RIGHT.said[:-1]), "lost"),
        (replace(RIGHT, said=(*RIGHT.said[:-2], RIGHT.said[-1])), "lost"),
        (replace(RIGHT, letters={"letter"}), "lost"),
        (replace(RIGHT, said=(*RIGHT.said, RIGHT.said[-1])), "doubled"),
        (replace(RIGHT, said=(*RIGHT.said, replace(READ, id=str(uuid.uuid4())))), "doubled"),
        (replace(RIGHT, results=(replace(RIGHT.results[0], id=str(uuid.uuid4())),)), "doubled"),
        (replace(RIGHT, indexes={"pgvector": (PASSAGE, PASSAGE)}), "doubled"),
        (replace(RIGHT, indexes={"pgvector": (PASSAGE, replace(PASSAGE, id=str(uuid.uuid4())))}), "doubled"),
        (replace(RIGHT, indexes={"pgvector": (replace(PASSAGE, tenant="other"),)}), "strayed"),
        (replace(RIGHT, results=(replace(RIGHT.results[0], tenant="other"),)), "strayed"),
        (replace(RIGHT, results=(replace(RIGHT.results[0], text="Pump 1 was checked"),)), "strayed"),
        (replace(RIGHT, said=(*RIGHT.said[:-1], replace(RIGHT.said[-1], tenant="other"))), "strayed"),
        (replace(RIGHT, commits=(Commit("headrace.ocr", OCR.name, 0, 21, 29),)), "early"),
        (replace(RIGHT, deaths=(Death("ocr-1", "commit", f"{OCR.name}[0]@20", 31),)), "early"),
    ],
)  # fmt: skip
def test_each_fault_is_found(broken: History, kind: str) -> None:
    verdict = _judged(broken)
    assert getattr(verdict, kind), f"not found: {kind}"


def test_the_same_work_done_again_is_counted_and_harmless() -> None:
    verdict = _judged(replace(RIGHT, said=(*RIGHT.said, READ)))
    assert verdict.clean
    assert verdict.repeats == {EVENTS.name: 1}


def test_a_later_copy_on_another_partition_makes_no_commit_early() -> None:
    copy = replace(READ, topic=CHUNK.name, partition=1, at=99)
    assert not _judged(replace(RIGHT, said=(copy, *RIGHT.said))).early
