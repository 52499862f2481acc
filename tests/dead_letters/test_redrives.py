"""Orders about dead letters, against real tables."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas import topics
from schemas.codec import decode
from schemas.documents import JobSubmitted, PagePrepared, PageRead, PagesReopened
from schemas.plans import DOCUMENT, PLANS, edited
from schemas.work import Task
from sinks.dead_letters import DeadLetters
from sinks.projector import Projector
from tests.dead_letters import letters
from tests.sinks import events
from tests.sinks.databases import Database, rows

Order = Callable[..., Awaitable[None]]
_moments = itertools.count(2_000_000_000, 60)


@pytest.fixture
async def partial(projector: Projector) -> str:
    """A job of two pages, of which the second failed."""
    job = events.new_job()
    await projector.write([events.submitted(job), events.prepared(job, 2), events.read(job, 1), events.indexed(job, 1)])
    await projector.write([events.failed(job, 2)])
    return job


async def waiting(database: Database, job: str) -> list[Any]:
    return await rows(database.admin, "SELECT * FROM waiting_records WHERE job = $1 ORDER BY topic, id", job)


async def outbox(database: Database, job: str, *topic: str) -> list[Any]:
    wanted = list(topic or (topics.EVENTS.name, topics.JOBS.name))
    return await rows(
        database.admin, "SELECT * FROM outbox WHERE job = $1 AND topic = ANY($2) ORDER BY seq", job, wanted
    )


async def audit(database: Database, letter: object) -> list[tuple[str, int | None, str]]:
    query = "SELECT action, run, reason FROM dead_letter_actions WHERE letter = $1 ORDER BY id"
    return [tuple(row) for row in await rows(database.admin, query, letter)]


async def _open(sink: DeadLetters, told: dict[str, int]) -> int:
    """How many letters of `embed` the sink says are open."""
    told.clear()
    await sink.idle(next(_moments), [])
    return told.get("embed", 0)


async def state(database: Database, letter: object) -> str:
    [(found,)] = await rows(database.admin, "SELECT state FROM dead_letters WHERE id = $1", letter)
    return str(found)


async def test_a_failed_page_waits_for_its_next_run_and_the_job_ends_well(
    database: Database, sink: DeadLetters, projector: Projector, order: Order, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    await order(letters.redrive(letters.id_of(record)))
    [row] = await waiting(database, partial)
    envelope, payload = decode(letters.record_of(row))
    assert (row["topic"], envelope.run, envelope.part, envelope.tenant) == (topics.OCR.name, 2, 2, "demo")
    assert isinstance(payload, PagePrepared)
    assert envelope.id != letters.addressed(record)[0].id
    [told] = await outbox(database, partial)
    opened, what = decode(letters.record_of(told))
    assert what == PagesReopened(pages=(2,), step="ocr")
    assert (await state(database, letters.id_of(record)), await audit(database, letters.id_of(record))) == (
        "redriven", [("redriven", 2, "")],
    )  # fmt: skip
    await projector.write([Task(opened, what, letters.record_of(told))])
    await projector.write([events.read(partial, 2, run=2), events.indexed(partial, 2, run=2)])
    [(job_state, run)] = await rows(database.admin, "SELECT state, run FROM jobs WHERE id = $1", partial)
    assert (job_state, run) == ("succeeded", 2)


async def test_the_same_order_twice_is_carried_out_once(
    database: Database, sink: DeadLetters, order: Order, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record, record))
    await sink.write(letters.told(record))
    again = letters.redrive(letters.id_of(record))
    for _ in range(2):
        await order(again, again)
    assert len(await waiting(database, partial)) == len(await audit(database, letters.id_of(record))) == 1


async def test_a_letter_of_another_tenant_is_nobodys_to_redrive(
    database: Database, sink: DeadLetters, order: Order, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    await order(letters.redrive(letters.id_of(record), tenant="other"))
    assert await waiting(database, partial) == []
    assert await state(database, letters.id_of(record)) == "open"


async def test_a_header_alone_makes_nobody_the_owner(database: Database, sink: DeadLetters, partial: str) -> None:
    forged, unknown = letters.rejected("ocr", partial, 2, tenant="other"), letters.rejected("ocr", events.new_job(), 1)
    await sink.write(letters.told(forged, unknown))
    for record in (forged, unknown):
        [(tenant,)] = await rows(database.admin, "SELECT tenant FROM dead_letters WHERE id = $1", letters.id_of(record))
        assert tenant == ""


async def test_a_letter_that_came_before_its_job_was_projected_finds_its_owner(
    database: Database, sink: DeadLetters, projector: Projector
) -> None:
    job = events.new_job()
    record = letters.rejected("ocr", job, 1)
    await sink.write(letters.told(record))
    await projector.write([events.submitted(job)])
    await sink.idle(0.0, [])
    [(tenant,)] = await rows(database.admin, "SELECT tenant FROM dead_letters WHERE id = $1", letters.id_of(record))
    assert tenant == "demo"


@pytest.mark.parametrize("step", ["chunk", "embed", "index-pgvector"])
async def test_a_page_that_failed_after_it_was_read_takes_what_was_read_into_its_next_run(
    database: Database, sink: DeadLetters, projector: Projector, order: Order, partial: str, step: str
) -> None:
    await projector.write([events.read(partial, 2, text="what was read")])
    record = letters.rejected(step, partial, 2)
    await sink.write(letters.told(record))
    await order(letters.redrive(letters.id_of(record)))
    told = [decode(letters.record_of(row)) for row in await outbox(database, partial)]
    reads = [(envelope.run, payload) for envelope, payload in told if isinstance(payload, PageRead)]
    assert [run for run, _ in reads] == [2]
    assert reads[0][1].text == ("read" if step == "chunk" else "what was read")
    assert sum(isinstance(payload, PagesReopened) for _, payload in told) == 1
    [row] = await waiting(database, partial)
    assert row["topic"] == letters.payload_of(step, partial)[0]


async def test_other_settings_make_a_plan_that_the_record_names(
    database: Database, sink: DeadLetters, order: Order, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    settings = {"ocr": {"det_limit_side": 1280}}
    await order(letters.redrive(letters.id_of(record), settings=settings))
    [row] = await waiting(database, partial)
    plan = edited(DOCUMENT, settings)
    assert letters.envelope(row).plan == plan.hash != DOCUMENT.hash
    assert plan.options("ocr") == {**DOCUMENT.options("ocr"), "det_limit_side": 1280}
    assert plan.hash not in PLANS, "only what lies on the log is learnt"


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ({"settings": {"ocr": {"det_limit_side": "wide"}}}, "ocr.det_limit_side: it is of type int"),
        ({"payload": {"width": 1}}, "the payload is no PagePrepared"),
    ],
)
async def test_edits_that_cannot_be_made_are_refused_in_the_audit(
    database: Database, sink: DeadLetters, order: Order, partial: str, edits: dict[str, Any], reason: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    await order(letters.redrive(letters.id_of(record), **edits))
    [(action, _, why)] = await audit(database, letters.id_of(record))
    assert (action, why.startswith(reason)) == ("refused", True)
    assert await state(database, letters.id_of(record)) == "open"
    assert await waiting(database, partial) == await outbox(database, partial) == []


async def test_an_edited_payload_names_no_bytes_of_others(
    database: Database, sink: DeadLetters, order: Order, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    payload = letters.prepared(partial).model_dump(mode="json")
    stolen = payload | {"image": payload["image"] | {"key": "other/job/pages/1/1.png"}}
    await order(letters.redrive(letters.id_of(record), payload=stolen))
    assert await waiting(database, partial) == []
    await order(letters.redrive(letters.id_of(record), payload=payload | {"width": 77}))
    [row] = await waiting(database, partial)
    assert decode(letters.record_of(row))[1] == letters.prepared(partial).model_copy(update={"width": 77})


async def test_a_document_that_could_not_be_prepared_begins_anew_as_by_a_retry(
    database: Database, sink: DeadLetters, projector: Projector, order: Order
) -> None:
    job = events.new_job()
    await projector.write([events.submitted(job), events.failed(job, 0)])
    record = letters.rejected("prepare", job, 0)
    await sink.write(letters.told(record))
    await order(letters.redrive(letters.id_of(record)))
    [row] = await outbox(database, job)
    envelope, payload = decode(letters.record_of(row))
    assert (row["topic"], envelope.run, envelope.part) == (topics.JOBS.name, 2, 0)
    assert payload == JobSubmitted(source=letters.SOURCE, filename="a.pdf")
    assert await waiting(database, job) == []


@pytest.mark.parametrize("way", ["cancelled", "deleted"])
async def test_letters_of_stopped_jobs_are_refused(
    database: Database, sink: DeadLetters, projector: Projector, order: Order, partial: str, way: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    stop = events.cancel(partial) if way == "cancelled" else events.dropped(f"doc-{partial}", 2**40)
    await projector.write(
        [events.submitted(partial, run=2), events.skipped(partial, 0, run=2)] if way == "cancelled" else [stop]
    )
    await order(letters.redrive(letters.id_of(record)))
    [(action, _, reason)] = await audit(database, letters.id_of(record))
    assert (action, "cancelled" in reason or "deleted" in reason) == ("refused", True)
    assert await waiting(database, partial) == []


async def test_what_is_kept_of_a_deleted_document_goes(
    database: Database, sink: DeadLetters, projector: Projector, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    await projector.write([events.dropped(f"doc-{partial}", 2**40)])
    await sink.idle(1e9, [])
    [row] = await rows(database.admin, "SELECT * FROM dead_letters WHERE id = $1", letters.id_of(record))
    assert (row["value"], row["key"], row["headers"], row["state"]) == (None, None, "[]", "discarded")
    assert [action for action, _, _ in await audit(database, letters.id_of(record))] == ["erased"]


async def test_a_letter_of_a_run_that_is_over_is_closed_without_work(
    database: Database, sink: DeadLetters, projector: Projector, order: Order, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    await projector.write([events.submitted(partial, run=2), events.prepared(partial, 2, run=2)])
    await order(letters.redrive(letters.id_of(record)))
    assert [action for action, _, _ in await audit(database, letters.id_of(record))] == ["superseded"]
    assert await waiting(database, partial) == []


async def test_letters_of_one_page_make_one_run_of_it(
    database: Database, sink: DeadLetters, projector: Projector, order: Order, partial: str
) -> None:
    await projector.write([events.read(partial, 2)])
    topic, payload = letters.payload_of("index-pgvector", partial)
    envelope = events.task(partial, 2, payload).envelope
    outgoing = letters.encode(topic, envelope, payload)
    both = [letters.letter(outgoing, step) for step in ("index-pgvector", "index-weaviate")]
    await sink.write(letters.told(*both))
    await order(letters.redrive(*map(letters.id_of, both)))
    assert len(await waiting(database, partial)) == 1
    actions = [(await audit(database, letters.id_of(record)))[0][0] for record in both]
    assert sorted(actions) == ["redriven", "superseded"]


async def test_a_letter_of_an_index_whose_page_is_done_goes_back_as_it_was(
    database: Database, sink: DeadLetters, projector: Projector, order: Order, partial: str
) -> None:
    record = letters.rejected("index-pgvector", partial, 1)
    await sink.write(letters.told(record))
    await order(letters.redrive(letters.id_of(record)))
    [row] = await waiting(database, partial)
    assert (letters.envelope(row).run, letters.envelope(row).id) == (1, letters.addressed(record)[0].id)
    assert await outbox(database, partial) == []


async def test_a_redriven_record_that_fails_again_is_a_letter_of_its_own(
    database: Database, sink: DeadLetters, order: Order, partial: str
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    await order(letters.redrive(letters.id_of(record)))
    [row] = await waiting(database, partial)
    lain = letters.record_of(row)
    second = letters.letter(letters.Outgoing(row["topic"], row["key"], lain.value, lain.headers), "ocr")
    await sink.write(letters.told(second))
    assert letters.id_of(second) != letters.id_of(record)
    assert (await state(database, letters.id_of(record)), await state(database, letters.id_of(second))) == (
        "redriven", "open",
    )  # fmt: skip


async def test_discarded_letters_are_closed_for_good(
    database: Database, sink: DeadLetters, order: Order, partial: str, open_letters: dict[str, int]
) -> None:
    record = letters.rejected("ocr", partial, 2)
    await sink.write(letters.told(record))
    await order(letters.discard(letters.id_of(record)), letters.redrive(letters.id_of(record)))
    assert await audit(database, letters.id_of(record)) == [("discarded", None, "")]
    assert await state(database, letters.id_of(record)) == "discarded"
    open_before = await _open(sink, open_letters)
    again = letters.rejected("embed", partial, 2)
    await sink.write(letters.told(again))
    assert await _open(sink, open_letters) == open_before + 1


async def test_bytes_of_nobody_are_kept_as_they_were(database: Database, sink: DeadLetters) -> None:
    strange = letters.Outgoing(topics.OCR.name, b"\x00\xff", b"\x00\x01", (("a\x00b", b"\xff"),))
    record = letters.letter(strange, "ocr", detail="no \x00 envelope")
    await sink.write(letters.told(record))
    [row] = await rows(database.admin, "SELECT * FROM dead_letters WHERE id = $1", letters.id_of(record))
    assert (row["tenant"], row["key"], row["value"], row["topic"]) == ("", b"\x00\xff", b"\x00\x01", topics.OCR.name)
