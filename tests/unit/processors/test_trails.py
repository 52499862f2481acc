"""What a loop's records tell of the attempts that led to them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import trail
from schemas.errors import Encrypted, HeadraceError, NewerThanUs
from schemas.records import Outgoing, Partition, Record
from schemas.topics import DEAD_LETTERS, DELAYED, EVENTS
from schemas.trail import HEADER, Attempt
from tests.unit.processors.test_runner import OUT, Bench, Handler, Log, Orders, _record

BEFORE = Attempt("prepare", 1, 1.0, 0.5, 0.25)


class Slow(HeadraceError):
    code = "slow"


def _with(record: Record, *attempts: Attempt) -> Record:
    return replace(record, headers=(*record.headers, (HEADER, trail.packed(attempts))), at=10.0)


def _steps(records: Iterable[Outgoing]) -> list[list[tuple[str, int, str]]]:
    return [[(each.step, each.number, each.code) for each in trail.read(record.headers)] for record in records]


async def test_what_a_step_makes_tells_of_the_steps_before_and_of_it(tmp_path: Path) -> None:
    bench = Bench(Handler(), tmp_path)
    await bench.work(_with(_record(1), BEFORE), _record(2))
    assert _steps(bench.log.on("out")) == [[("prepare", 1, ""), ("test", 1, "")], [("test", 1, "")]]
    first, own = trail.read(bench.log.on("out")[0].headers)
    assert first == BEFORE
    assert own.queued == pytest.approx(own.at - 10.0, abs=0.002)


async def test_an_attempt_that_failed_is_told_with_the_one_that_did_not(tmp_path: Path) -> None:
    bench = Bench(Handler(Slow(), Slow()), tmp_path)
    await bench.work(_record(1))
    assert _steps(bench.log.on("out")) == [[("test", 1, "slow"), ("test", 2, "slow"), ("test", 3, "")]]
    first, second, third = trail.read(bench.log.on("out")[0].headers)
    assert second.queued == pytest.approx(second.at - first.at - first.run, abs=0.002)
    assert third.at >= second.at >= first.at


async def test_one_that_failed_for_good_is_told_by_the_event_and_the_letter_stays_as_it_came(tmp_path: Path) -> None:
    bench = Bench(Handler(Slow(), Slow(), Slow()), tmp_path)
    await bench.work(_with(_record(1), BEFORE))
    assert _steps(bench.log.on(EVENTS.name)) == [[("prepare", 1, ""), *(("test", n, "slow") for n in (1, 2, 3))]]
    assert _steps(bench.log.on(DEAD_LETTERS.name)) == [[("prepare", 1, "")]]


async def test_the_next_record_of_the_same_place_begins_anew(tmp_path: Path) -> None:
    bench = Bench(Handler(Slow(), [OUT], Encrypted()), tmp_path)
    await bench.work(_record(1))
    again = Bench(bench.handler, tmp_path, log=(log := Log()))
    await again.work(_record(1))
    assert _steps(log.on(EVENTS.name)) == [[("test", 1, "encrypted_document")]]


async def test_what_comes_back_later_takes_its_way_along(tmp_path: Path) -> None:
    bench = Bench(Handler(Slow(retry_after=3600)), tmp_path)
    record = replace(_record(1), partition=Partition("headrace.chunk", 0))
    await bench.work(record)
    [waiting] = bench.log.on(DELAYED.name)
    assert _steps([waiting]) == [[("test", 1, "slow")]]
    later = Record(Partition("headrace.chunk", 0), 2, 1, waiting.key, waiting.value, waiting.headers, 0.0)
    again = Bench(Handler(), tmp_path, log=(log := Log()))
    await again.work(later)
    assert _steps(log.on("out")) == [[("test", 1, "slow"), ("test", 2, "")]]


async def test_what_was_not_tried_says_why(tmp_path: Path) -> None:
    bench = Bench(Handler(), tmp_path, orders=Orders(cancelled=True))
    await bench.work(_with(_record(1), BEFORE))
    assert _steps(bench.log.on(EVENTS.name)) == [[("prepare", 1, ""), ("test", 1, "cancelled")]]


async def test_what_waits_for_something_else_is_no_attempt(tmp_path: Path) -> None:
    bench = Bench(Handler(NewerThanUs("later")), tmp_path)
    await bench.work(_record(1))
    assert _steps(bench.log.on("out")) == [[("test", 1, "")]]


_ATTEMPTS = st.builds(
    Attempt,
    st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    st.integers(1, 1000),
    *(st.floats(0, 1e10) for _ in range(3)),
    st.text(st.characters(codec="ascii", categories=["L"]), max_size=64),
)


@given(st.lists(_ATTEMPTS, max_size=64))
def test_what_is_told_is_read(attempts: list[Attempt]) -> None:
    [told] = trail.tell([OUT], attempts)
    assert list(trail.read(told.headers)) == attempts


def test_of_a_long_way_the_newest_is_told() -> None:
    attempts = [Attempt("ocr", number, 1.0, 1.0, 1.0) for number in range(1, 67)]
    [told] = trail.tell([OUT], attempts)
    assert list(trail.read(told.headers)) == attempts[2:]


@given(st.binary(max_size=64) | st.sampled_from([b'[["ocr",0,1,1,1,""]]', b'[["ocr",1,NaN,1,1,""]]', b"[[]]", b"{}"]))
def test_what_cannot_be_read_tells_nothing(content: bytes) -> None:
    assert trail.read([(HEADER, content)]) == ()
