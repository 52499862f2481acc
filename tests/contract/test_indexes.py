"""What every index promises, on real servers; the same words for each."""

import asyncio
import dataclasses
import json
import math
from collections.abc import Awaitable, Callable

import pytest

from schemas.envelope import Envelope
from schemas.errors import DependencyDown, ModelOutputInvalid, RecordError
from schemas.jobs import SearchHit, SearchMode
from schemas.ports import Query
from tests.contract.conftest import Rig
from tests.contract.passages import AHEAD, NOW, cosine, dropped, erased, page, passage, plain, tenant
from tests.sinks import events
from tests.sinks.databases import Database

MODES: tuple[SearchMode, ...] = ("vector", "keyword", "hybrid")


async def test_a_passage_is_found_with_its_place_and_its_cosine(rig: Rig) -> None:
    owner = tenant()
    far, near = passage(0, "far away", 1.0, language="en"), passage(1, "near by", 0.5)
    await rig.index.write([page(owner, "doc", 3, [far, near], job="job_a", run=2)])
    first, second = await rig.search.search(owner, Query("", AHEAD))
    assert (first.score, second.score) == pytest.approx((cosine(0.5), cosine(1.0)), abs=1e-6)
    assert (second.document_id, second.revision, second.job) == ("doc", NOW, "job_a")
    assert (second.page, second.chunk, second.text, second.language) == (3, 0, "far away", "en")
    assert (second.box, second.boxes, second.image_width, second.image_height) == (
        (1, 2, 3, 4),
        [(1, 2, 3, 4)],
        100,
        100,
    )
    assert first.language == ""


async def test_a_passage_may_have_no_box(rig: Rig) -> None:
    owner = tenant()
    bare = passage(0, "Dear all").model_copy(update={"box": None, "boxes": ()})
    two = passage(1, "two pieces", 0.2).model_copy(update={"boxes": ((1, 2, 3, 4), (5.5, 6, 7, 8))})
    await rig.index.write([page(owner, "mail", 1, [bare, two], width=None)])
    first, second = await rig.held(owner)
    assert (first.box, first.boxes, first.image_width, first.image_height) == (None, [], None, None)
    assert second.boxes == [(1, 2, 3, 4), (5.5, 6, 7, 8)]


async def test_every_page_is_confirmed_also_a_blank_one(rig: Rig) -> None:
    owner = tenant()
    out = await rig.index.write([plain(owner, "doc", 1, 0), plain(owner, "doc", 2, 1)])
    assert [json.loads(event.value or b"") for event in out] == [
        {"index": rig.kind, "count": 0},
        {"index": rig.kind, "count": 1},
    ]
    assert {event.topic for event in out} == {"headrace.events"}
    assert {Envelope.from_headers(event.headers).part for event in out} == {1, 2}


async def test_repeats_in_and_across_batches_leave_each_passage_once(rig: Rig) -> None:
    owner = tenant()
    task = plain(owner, "doc", 1, 2)
    first = await rig.index.write([task, task])
    again = await rig.index.write([task])
    held = await rig.held(owner)
    assert [hit.chunk for hit in held] == [0, 1]
    assert [hit.score for hit in held] == pytest.approx([cosine(0.1), cosine(0.11)], abs=1e-6)
    ids = {Envelope.from_headers(event.headers).id for event in (*first, *again)}
    assert (len(first), len(ids)) == (2, 1), "the event of a repeat has the id of the first"


async def test_a_batch_of_64_pages_is_found_whole(rig: Rig) -> None:
    owner = tenant()
    out = await rig.index.write([plain(owner, f"doc{number % 4}", number, 5) for number in range(1, 65)])
    assert len(out) == 64
    found = [hit for number in range(4) for hit in await rig.held(owner, f"doc{number}")]
    assert len({(hit.document_id, hit.page, hit.chunk) for hit in found}) == len(found) == 320


async def test_tenants_do_not_see_each_other_and_one_without_anything_finds_nothing(rig: Rig) -> None:
    mine, yours, nobody = tenant(), tenant(), tenant()
    await rig.index.write([plain(mine, "doc", 1, 1), plain(yours, "doc", 1, 2)])
    for mode in MODES:
        for owner, count in ((mine, 1), (yours, 2), (nobody, 0)):
            hits = await rig.search.search(owner, Query("doc page chunk", AHEAD, mode))
            assert (len(hits), {hit.job for hit in hits} <= {f"job_{owner}_doc_{NOW}"}) == (count, True)


async def test_a_later_run_replaces_a_page_and_an_earlier_one_no_more(rig: Rig) -> None:
    owner = tenant()
    old, new, blank = (plain(owner, "doc", 1, count, run=run) for run, count in ((1, 3), (2, 1), (3, 0)))
    other = plain(owner, "doc", 2, 1)
    await rig.index.write([other])
    for batch, chunks in (([old], 3), ([new], 1), ([old], 1), ([old, new, old], 1), ([blank, new], 0), ([new], 0)):
        out = await rig.index.write(batch)
        assert len(out) == len(batch), "also what is not written is confirmed"
        assert [hit.chunk for hit in await rig.held(owner) if hit.page == 1] == list(range(chunks))
    assert [hit.page for hit in await rig.held(owner)] == [2], "other pages stay as they were"


async def test_another_job_of_the_same_revision_replaces_the_page_in_one_batch_or_two(rig: Rig) -> None:
    owner = tenant()
    first, second = (plain(owner, "doc", 1, count, job=job) for job, count in (("job_a", 3), ("job_b", 2)))
    await rig.index.write([first])
    await rig.index.write([second])
    assert [(hit.job, hit.chunk) for hit in await rig.held(owner)] == [("job_b", 0), ("job_b", 1)]
    first, second = (plain(owner, "both", 1, count, job=job) for job, count in (("job_c", 3), ("job_d", 2)))
    await rig.index.write([first, second])
    (job,) = {hit.job for hit in await rig.held(owner, "both")}
    assert len(await rig.held(owner, "both")) == {"job_c": 3, "job_d": 2}[job]


async def test_a_dropped_document_is_gone_up_to_its_revision_and_stays_gone(rig: Rig) -> None:
    mine, yours = tenant(), tenant()
    early, late = (plain(mine, "doc", 1, 2, revision=NOW + after) for after in (0, 2))
    await rig.index.write([early, late, plain(mine, "other", 1, 1), plain(yours, "doc", 1, 1)])
    assert await rig.index.write([dropped(mine, "doc", NOW + 1)]) == []
    left = [("doc", NOW + 2)] * 2 + [("other", NOW)]
    assert [(hit.document_id, hit.revision) for hit in await rig.held(mine)] == left
    assert len(await rig.held(yours)) == 1
    out = await rig.index.write([early, plain(mine, "doc", 7, 1, revision=NOW + 1)])
    assert len(out) == 2, "a page that comes too late is confirmed: the index holds what it should"
    assert [(hit.document_id, hit.revision) for hit in await rig.held(mine)] == left
    await rig.index.write([dropped(mine, "doc", NOW - 5)])
    assert await rig.held(mine, "doc") != [], "an earlier drop read later takes nothing that is newer"
    await rig.index.write([early])
    assert {hit.revision for hit in await rig.held(mine, "doc")} == {NOW + 2}, "nor does it lower the fence"


async def test_pages_and_the_drop_of_their_document_may_come_in_one_batch(rig: Rig) -> None:
    owner = tenant()
    batch = [plain(owner, "doc", 1, 2), dropped(owner, "doc"), plain(owner, "doc", 2, 1), erased(owner, "doc")]
    assert len(await rig.index.write([*batch, plain(owner, "doc", 3, 1, revision=NOW + 1)])) == 3
    assert [(hit.page, hit.revision) for hit in await rig.held(owner)] == [(3, NOW + 1)]


async def test_what_was_never_there_may_be_dropped_and_other_peoples_orders_change_nothing(rig: Rig) -> None:
    owner = tenant()
    assert await rig.index.write([dropped(owner, "doc")]) == []
    assert await rig.index.write([erased(owner, "doc2"), plain(owner, "doc2", 1, 1)]) != []
    assert len(await rig.held(owner)) == 1


async def test_no_page_slips_past_a_drop_that_runs_beside_it(rig: Rig) -> None:
    other = rig.another()
    await other.open()
    try:
        for _ in range(10):
            owner = tenant()
            pages = [plain(owner, f"doc{number}", 1, 2) for number in range(8)]
            drops = [dropped(owner, f"doc{number}") for number in reversed(range(8))]
            writes = [rig.index.write(pages[start : start + 2]) for start in range(0, 8, 2)]
            await asyncio.gather(*writes, other.write(drops))
            assert await rig.held(owner) == []
    finally:
        await other.close()


@pytest.mark.parametrize("mode", MODES)
async def test_filters_hold_in_every_mode(rig: Rig, mode: SearchMode) -> None:
    owner = tenant()
    for document in ("a", "b"):
        for number in (1, 2):
            texts = [passage(i, "total amount", 0.1 + i / 10, language=code) for i, code in enumerate(("en", "de"))]
            await rig.index.write([page(owner, document, number, texts)])

    async def found(**wanted: object) -> set[tuple[str, int, str]]:
        hits = await rig.search.search(owner, Query("total", AHEAD, mode, 100, **wanted))  # type: ignore[arg-type]
        return {(hit.document_id, hit.page, hit.language) for hit in hits}

    assert len(await found()) == 8
    assert await found(document_id="a", page=2, language="de") == {("a", 2, "de")}
    assert {document for document, _, _ in await found(document_id="b")} == {"b"}
    assert {number for _, number, _ in await found(page=1)} == {1}
    assert {language for _, _, language in await found(language="en")} == {"en"}
    assert await found(document_id="A") == await found(document_id="a b") == await found(page=3) == set()
    assert len(await rig.search.search(owner, Query("total", AHEAD, mode, limit=3))) == 3


INJECTED = ("a' OR '1'='1", '"}]}', 'a"; DROP TABLE chunks; --', "a'; DELETE FROM chunks; --", "*", "%", "a\\")


async def test_ids_and_words_that_are_code_elsewhere_find_and_delete_only_what_is_named_so(rig: Rig) -> None:
    mine, yours = tenant(), tenant()
    texts = [passage(0, "harvest of apples", 0.1), passage(1, "the turbine hall", 0.2)]
    await rig.index.write([page(owner, name, 1, texts) for owner in (mine, yours) for name in ("a", "b")])
    stands = [await rig.held(owner) for owner in (mine, yours)]
    assert [len(held) for held in stands] == [4, 4]
    for words in INJECTED:
        for mode in MODES:
            assert await rig.search.search(mine, Query("apples", AHEAD, mode, 100, document_id=words)) == []
            found = await rig.search.search(mine, Query(words, AHEAD, mode, 100))
            assert {_place(hit) for hit in found} == (set() if mode == "keyword" else {*map(_place, stands[0])})
        await rig.index.write([dropped(mine, words, NOW + 9)])
        assert [await rig.held(owner) for owner in (mine, yours)] == stands
    named = [page(mine, words, 1, texts, job=events.new_job(), revision=NOW + 10) for words in INJECTED]
    await rig.index.write(named)
    for words in INJECTED:
        hits = await rig.search.search(mine, Query("apples", AHEAD, "keyword", 100, document_id=words))
        assert [hit.document_id for hit in hits] == [words], "it is a name like any other"
    await rig.index.write([dropped(mine, words, NOW + 10) for words in INJECTED])
    assert [await rig.held(owner) for owner in (mine, yours)] == stands


def _place(hit: SearchHit) -> tuple[str, str, int, int]:
    return (hit.job, hit.document_id, hit.page, hit.chunk)


async def test_words_are_found_in_any_case_and_the_rarer_one_weighs_more(rig: Rig) -> None:
    owner = tenant()
    common = [passage(i, f"the end of the page {i}", 1.0) for i in range(8)]
    await rig.index.write([page(owner, "doc", 1, [*common, passage(8, "an INVOICE from the Acme company", 1.0)])])

    async def chunks(words: str) -> list[int]:
        hits = await rig.search.search(owner, Query(words, mode="keyword", limit=20))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        return [hit.chunk for hit in hits]

    assert await chunks("invoice") == [8]
    assert (await chunks("The invoice of the end"))[0] == 8, "one rare word before three that are everywhere"
    assert len(await chunks("the Invoice")) == 9, "any of the words will do"
    for strange in ("voice", "invoices", "!?", "' | (", "\\", "☃"):
        assert await chunks(strange) == []
    for strange in ("invoice'", "!invoice & (", "'invoice' | \\", "invoice:*", "\x00invoice\ud800", "*:invoice <->"):
        assert await chunks(strange) == [8], strange


async def test_hybrid_puts_first_what_both_ways_find_and_leaves_nothing_out(rig: Rig) -> None:
    owner = tenant()
    texts = ((0, "harvest of apples", 0.05), (1, "the turbine hall", 0.2), (2, "the turbine and its wheel", 1.4))
    await rig.index.write([page(owner, "doc", 1, [passage(*text) for text in texts])])
    hits = await rig.search.search(owner, Query("turbine", AHEAD, "hybrid"))
    assert hits[0].chunk == 1
    assert {hit.chunk for hit in hits} == {0, 1, 2}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


NO_DIRECTION = {
    "nan": [math.nan] * 384,
    "one nan": [1.0] + [math.nan] + [0.0] * 382,
    "infinite": [math.inf] + [0.0] * 383,
    "minus infinite": [0.0] * 383 + [-math.inf],
    "zero": [0.0] * 384,
    "denormal": [1e-40] * 384,
    "too long for float32": [1e30] * 384,
    "short": [1.0] * 383,
    "long": [1.0] * 385,
    "empty": [],
}


@pytest.mark.parametrize("name", NO_DIRECTION)
async def test_a_vector_without_a_direction_is_refused_and_nothing_is_written(rig: Rig, name: str) -> None:
    owner = tenant()
    bad = page(owner, "doc", 2, [passage(0, "bad", vector=events.packed(NO_DIRECTION[name]))])
    with pytest.raises(ModelOutputInvalid):
        await rig.index.write([plain(owner, "doc", 1, 1), bad])
    assert await rig.held(owner) == []
    for mode in ("vector", "hybrid"):
        with pytest.raises(ModelOutputInvalid):
            await rig.search.search(owner, Query("bad", tuple(NO_DIRECTION[name]), mode))


@pytest.mark.parametrize("bad", [passage(0, "", vector="no base64!"), None])
async def test_a_record_that_is_none_of_ours_is_refused_and_nothing_is_written(rig: Rig, bad: object) -> None:
    owner = tenant()
    task = events.indexed("job_x", 1) if bad is None else page(owner, "doc", 2, [bad])  # type: ignore[list-item]
    with pytest.raises(RecordError):
        await rig.index.write([plain(owner, "doc", 1, 1), task])
    assert await rig.held(owner) == []


async def test_any_text_is_stored_and_found_with_what_no_database_takes_replaced(rig: Rig) -> None:
    owner = tenant()
    strange = (
        "nul\x00here",
        "half \ud83d of a pair",
        "whole 😀 pair",
        "\u202ertl \u0000",
        "",
        "x" * 5000,
        "ünïcödé 漢字",
    )
    task = page(owner, "doc", 1, [])
    # Put in behind the serialiser's back: it lets no half of a pair out.
    payload = task.payload.model_copy(update={"chunks": tuple(passage(i, text) for i, text in enumerate(strange))})
    await rig.index.write([dataclasses.replace(task, payload=payload)])
    expected = [text.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd") for text in strange]
    assert [hit.text for hit in await rig.held(owner)] == expected
    [hit] = await rig.search.search(owner, Query("ÜNÏCÖDÉ", mode="keyword"))
    assert hit.chunk == 6


async def test_a_server_that_is_not_there_is_a_dependency_that_is_down(rig: Rig, unused_tcp_port: int) -> None:
    nowhere = f"127.0.0.1:{unused_tcp_port}"
    told, database = dict(rig.told), rig.database
    if rig.kind == "weaviate":
        told = {"weaviate": f"http://{nowhere}", "weaviate_grpc": f"localhost:{unused_tcp_port}"}
    else:
        urls = [f"postgresql://headrace_{role}:{role}@{nowhere}/postgres" for role in ("api", "sink")]
        database = Database("", *urls)
    away = Rig(rig.kind, database, told)
    query = Query("word", AHEAD)
    page_of = plain(tenant(), "doc", 1, 1)
    attempts: tuple[Callable[[], Awaitable[object]], ...] = (
        away.index.open,
        lambda: away.index.write([page_of]),
        away.search.ping,
        lambda: away.search.search(tenant(), query),
    )
    for attempt in attempts:
        async with asyncio.timeout(12):
            with pytest.raises(DependencyDown) as raised:
                await attempt()
        assert raised.value.retry_after is not None
    await away.close()
