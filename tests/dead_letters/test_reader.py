"""Dead letters as their tenant reads them, from real tables under the API's own role."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from schemas.dead_letters import Chosen, LetterFilter, LetterQuery, cause_of
from schemas.errors import BadRequest
from sinks.dead_letters import DeadLetters
from sinks.postgres.letter_reader import PostgresLetterReader
from sinks.projector import Projector
from tests.dead_letters import letters
from tests.dead_letters.test_redrives import Order
from tests.sinks import events
from tests.sinks.databases import Database


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[PostgresLetterReader]:
    reader = PostgresLetterReader(database.api)
    yield reader
    await reader.close()


@pytest.fixture
async def failed(projector: Projector, sink: DeadLetters) -> str:
    """A job with five pages that failed, four alike."""
    job = events.new_job()
    await projector.write([events.submitted(job), events.prepared(job, 6), events.failed(job, 5)])
    told = [letters.rejected("ocr", job, page, detail=f"page {page} is {page * 100} wide") for page in range(1, 5)]
    await sink.write(letters.told(*told, letters.rejected("chunk", job, 5, detail="no words")))
    return job


async def test_a_list_goes_page_by_page_through_every_letter_once(reader: PostgresLetterReader, failed: str) -> None:
    found, after = [], None
    while True:
        page = await reader.letters("demo", LetterQuery(job=failed, limit=2, after=after))
        found += page.data
        if (after := page.next) is None:
            break
    assert sorted(letter.page for letter in found) == [1, 2, 3, 4, 5]
    assert len({letter.id for letter in found}) == 5
    assert {letter.cause for letter in found if letter.step == "ocr"} == {found[-1].cause, found[0].cause} - {
        letter.cause for letter in found if letter.step == "chunk"
    }


async def test_filters_rule_out_what_they_name(reader: PostgresLetterReader, failed: str) -> None:
    [first, *_, last] = (await reader.letters("demo", LetterQuery(job=failed))).data
    later = first.at + timedelta(seconds=1)
    rules: list[tuple[dict[str, Any], int]] = [
        ({"step": "chunk"}, 1), ({"code": "decode_failed"}, 5), ({"code": "other"}, 0), ({"state": ("redriven",)}, 0),
        ({"cause": cause_of("ocr", "decode_failed", "page 9 is 7 wide")}, 4),
        ({"since": last.at}, 5), ({"since": later}, 0), ({"until": later}, 5), ({"until": last.at}, 0),
    ]  # fmt: skip
    for where, pages in rules:
        assert len((await reader.letters("demo", LetterQuery(job=failed, **where))).data) == pages, where


async def test_causes_count_what_failed_alike(reader: PostgresLetterReader, failed: str) -> None:
    found = (await reader.causes("demo", LetterFilter(job=failed))).data
    assert [(cause.step, cause.letters) for cause in found] == [("ocr", 4), ("chunk", 1)]
    example = await reader.letter("demo", found[0].example)
    assert example is not None
    assert example.summary.detail == found[0].detail


async def test_nobody_sees_the_letters_of_another(reader: PostgresLetterReader, failed: str) -> None:
    [one, *_] = (await reader.letters("demo", LetterQuery(job=failed))).data
    assert (await reader.letters("other", LetterQuery())).data == []
    assert await reader.letter("other", one.id) is None
    assert await reader.chosen("other", Chosen(letters=(one.id,)), 10) == []


async def test_one_letter_tells_its_story_and_what_was_done_about_it(
    reader: PostgresLetterReader, failed: str, order: Order
) -> None:
    [one] = (await reader.letters("demo", LetterQuery(job=failed, step="chunk"))).data
    await order(letters.redrive(one.id, by="me", settings={"chunk": {"max_characters": 300}}))
    found = await reader.letter("demo", one.id)
    assert found is not None
    assert [event.event for event in found.story] == ["page.failed"]
    assert [(line.action, line.by, line.run) for line in found.audit] == [("redriven", "me", 2)]
    assert found.audit[0].edits == {"settings": {"chunk": {"max_characters": 300}}}
    assert found.record.partition.topic == "headrace.chunk"


async def test_open_letters_are_chosen_by_what_they_have_in_common(reader: PostgresLetterReader, failed: str) -> None:
    assert len(await reader.chosen("demo", Chosen(where=LetterFilter(job=failed, step="ocr")), 100)) == 4
    assert len(await reader.chosen("demo", Chosen(where=LetterFilter(job=failed)), 3)) == 3
    assert {letter.state for letter in await reader.chosen("demo", Chosen(all=True), 100)} == {"open"}


@pytest.mark.parametrize("cursor", ["x", "WyJhdCIsMSwibm8iXQ"])
async def test_a_cursor_of_another_list_is_refused(reader: PostgresLetterReader, cursor: str) -> None:
    with pytest.raises(BadRequest):
        await reader.letters("demo", LetterQuery(after=cursor))


async def test_an_unknown_letter_is_none(reader: PostgresLetterReader) -> None:
    assert await reader.letter("demo", uuid.uuid4()) is None
