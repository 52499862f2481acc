"""Retries, breaker and holds over minutes of outage, in virtual time with the real loop."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from processors.attempts import Attempts
from processors.breaker import Budget
from processors.inflight import InflightFile
from processors.runner import Parts, Runner
from schemas.codec import encode
from schemas.control import StepOrder
from schemas.documents import ChunksIndexed
from schemas.envelope import Envelope, new_trace
from schemas.errors import DependencyDown, Encrypted, HeadraceError, ModelOutputInvalid, Overloaded
from schemas.failpoints import Failpoints
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Partition, Record
from schemas.topics import CONTROL, DEAD_LETTERS, DELAYED, OCR
from schemas.work import Answer, Task
from tests.unit.processors.virtual import run

Verdict = Callable[[int, float], Exception | None]
"""What comes of a record, by its number and the time."""


class World:
    """One worker whose step takes 0.1 s a record, with a step order topic of its own."""

    def __init__(self, folder: Path, verdict: Verdict, *, limit: int = 1, topic: str = OCR.name, seed: int = 7) -> None:
        self.name = "ocr"
        self._verdict = verdict
        self._topic = topic
        self.calls: list[tuple[float, int]] = []
        self.published: list[Outgoing] = []
        self.finished: set[int] = set()
        self.orders: dict[str, StepOrder] = {}
        self.runner = Runner(
            Parts(
                handler=self, publisher=self, attempts=Attempts("g", InflightFile(folder, "ocr-1"), self),
                orders=self, failpoints=Failpoints("ocr-1", None), finish=lambda done: self.finished.add(done.offset),
                owned=lambda _: True, beyond=lambda _: 0, limit=limit, unpack=self.unpack, slot="ocr-1",
                now=lambda: 1e9 + asyncio.get_running_loop().time(), dice=random.Random(seed),
            )
        )  # fmt: skip

    def get(self, key: bytes) -> bytes | None:
        return None

    def cancelled(self, job: str, run: int) -> bool:
        return False

    def order(self, step: str) -> StepOrder | None:
        return self.orders.get(step)

    async def unpack(self, record: Record) -> Record:
        return record

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None: ...

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self.published += records
        for record in records:
            if record.topic == CONTROL.name:
                self.orders["ocr"] = StepOrder.model_validate_json(record.value or b"")

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        await asyncio.sleep(0.1 * len(tasks))
        now = asyncio.get_running_loop().time()
        answers: list[Answer] = []
        for task in tasks:
            self.calls.append((now, task.record.offset))
            error = self._verdict(task.record.offset, now)
            if isinstance(error, DependencyDown):
                raise error
            if error is not None and not isinstance(error, HeadraceError):
                raise error
            answers.append(error if isinstance(error, HeadraceError) else [Outgoing("out", b"k", b"v")])
        return answers

    def on(self, topic: str) -> list[Outgoing]:
        return [record for record in self.published if record.topic == topic]

    async def feed(self, count: int) -> None:
        for number in range(count):
            await self.runner.deliver(_record(number, self._topic))

    def work(self, count: int, until: Callable[[], bool], *, meanwhile: Callable[[], None] = lambda: None) -> float:
        """Run in virtual time until it is so; the seconds that took. An hour is too long."""

        async def whole() -> float:
            feeding = asyncio.create_task(self.feed(count))
            working = asyncio.create_task(self.runner.run())
            async with asyncio.timeout(3600):
                while not until():
                    assert not working.done()
                    meanwhile()
                    await asyncio.sleep(0.25)
            took = asyncio.get_running_loop().time()
            feeding.cancel()
            await self.runner.drain(5)
            await working
            return took

        return run(whole())


def _record(number: int, topic: str) -> Record:
    envelope = Envelope(
        id="00000000-0000-0000-0000-000000000001", kind=ChunksIndexed.kind(), at=datetime.now(UTC), job="job_a",
        run=1, part=1, tenant="demo", plan=DOCUMENT.hash, document="d", traceparent=new_trace(),
    )  # fmt: skip
    out = encode(topic, envelope, ChunksIndexed(index="i", count=1))
    return Record(Partition(topic, 3), number, 1, out.key, out.value, out.headers, 0.0)


def _headers(record: Outgoing) -> dict[str, bytes]:
    return dict(record.headers)


def _ill(begin: float, end: float, error: type[Exception]) -> Verdict:
    return lambda _, now: error() if begin <= now < end else None


@pytest.mark.parametrize("error", [DependencyDown, TimeoutError, ConnectionError], ids=["says so", "hangs", "breaks"])
@pytest.mark.parametrize("limit", [1, 16])
def test_after_five_minutes_of_outage_all_is_done_and_nothing_was_hammered_or_given_up(
    tmp_path: Path, error: type[Exception], limit: int
) -> None:
    world = World(tmp_path, _ill(10, 310, error), limit=limit)
    took = world.work(400, lambda: len(world.finished) == 400)
    assert not world.on(DEAD_LETTERS.name), "an outage is no record's fault"
    during = [at for at, _ in world.calls if 20 <= at < 310]
    assert len(during) <= 300, "at most one record a second while nothing answers"
    after = Counter(offset for at, offset in world.calls if at >= 310)
    assert after.total() <= 1.5 * len(after), "recovery costs more than the work itself"
    assert took <= 310 + 2 + 1.5 * 40, "and is over soon"


def test_one_bad_record_is_tried_three_times_with_jitter_and_given_up_alone(tmp_path: Path) -> None:
    world = World(tmp_path, lambda number, _: ValueError() if number == 5 else None)
    world.work(60, lambda: len(world.finished) == 60)
    times = [at for at, number in world.calls if number == 5]
    assert len(times) == 3
    (letter,) = world.on(DEAD_LETTERS.name)
    assert _headers(letter)["headrace_attempt"] == b"3"


def test_waits_are_drawn_from_the_whole_span(tmp_path: Path) -> None:
    waits = []
    for seed in range(40):
        world = World(tmp_path, lambda number, _: ValueError() if number == 0 else None, seed=seed)
        world.work(1, lambda world=world: len(world.finished) == 1)
        first, second, _ = (at for at, _ in world.calls)
        waits.append(second - first - 0.1)
    assert min(waits) < 0.4 < 1.6 < max(waits) <= 2.1


def test_a_dependency_that_says_when_is_asked_again_then_and_by_way_of_the_log(tmp_path: Path) -> None:
    world = World(tmp_path, lambda number, _: Overloaded(retry_after=120) if number == 0 else None)
    world.work(10, lambda: len(world.finished) == 10)
    (delayed,) = world.on(DELAYED.name)
    told = _headers(delayed)
    assert told["ce_attempt"] == b"2"
    assert (told["headrace_topic"], told["headrace_spread"]) == (OCR.name.encode(), b"3")
    assert 1e9 + 120 <= float(told["headrace_due"]) <= 1e9 + 180 + 1
    assert (delayed.key, delayed.value) == (_record(0, OCR.name).key, _record(0, OCR.name).value)
    assert Envelope.from_headers(delayed.headers).attempt == 2
    assert [number for _, number in world.calls].count(0) == 1, "its offset passed; it is not tried here"


def test_what_came_back_for_the_third_time_is_given_up_with_its_true_attempt(tmp_path: Path) -> None:
    world = World(tmp_path, lambda *_: ValueError())
    record = _record(0, OCR.name)
    third = tuple((name, b"3" if name == "ce_attempt" else value) for name, value in record.headers)

    async def feed(_: int) -> None:
        await world.runner.deliver(Record(record.partition, 0, 1, record.key, record.value, third, 0.0))

    world.feed = feed  # type: ignore[method-assign]
    world.work(1, lambda: len(world.finished) == 1)
    assert len(world.calls) == 1
    assert _headers(world.on(DEAD_LETTERS.name)[0])["headrace_attempt"] == b"3"


def test_an_event_never_leaves_its_place_for_long(tmp_path: Path) -> None:
    world = World(tmp_path, lambda _, now: Overloaded(retry_after=120) if now < 5 else None, topic="headrace.events")
    assert world.work(1, lambda: len(world.finished) == 1) < 45
    assert not world.on(DELAYED.name)


def test_retries_are_a_tenth_of_the_records_of_the_last_minute_or_ten() -> None:
    budget = Budget()
    assert [budget.spend(0) for _ in range(12)] == [True] * 10 + [False] * 2
    for number in range(200):
        budget.count(number / 10)
    assert [budget.spend(20) for _ in range(12)] == [True] * 10 + [False] * 2, "twenty of two hundred"
    assert not budget.spend(50)
    assert [budget.spend(90) for _ in range(12)] == [True] * 10 + [False] * 2, "what was a minute ago counts no more"


def test_a_dependency_that_fails_three_calls_of_ten_is_held_and_costs_few_dead_letters(tmp_path: Path) -> None:
    chance = random.Random(1)
    world = World(tmp_path, lambda *_: ValueError() if chance.random() < 0.3 else None)
    world.work(600, lambda: len(world.finished) == 600)
    assert len(world.on(DEAD_LETTERS.name)) <= 6, "without the budget sixteen, by chance alone"


def test_a_record_that_fails_for_good_keeps_nobody_behind_it_from_the_open_breaker(tmp_path: Path) -> None:
    world = World(tmp_path, lambda number, now: ValueError() if number == 0 or now < 20 else None)
    world.work(100, lambda: len(world.finished) == 100)
    assert len(world.on(DEAD_LETTERS.name)) == 1


def test_nonsense_halts_the_step_before_much_is_given_up_and_all_else_is_done_once_it_goes_on(tmp_path: Path) -> None:
    cured = False
    world = World(tmp_path, lambda number, _: ModelOutputInvalid() if not cured and number % 10 < 3 else None, limit=8)
    halted_at: list[tuple[float, int]] = []

    def watch() -> None:
        nonlocal cured
        now = asyncio.get_running_loop().time()
        order = world.orders.get("ocr")
        if order and order.halted and not halted_at:
            halted_at.append((now, len(world.calls)))
        if halted_at and now > halted_at[0][0] + 600 and not cured:
            assert len(world.calls) <= halted_at[0][1] + 8, "halted, and yet at work"
            cured = True
            world.orders["ocr"] = StepOrder(step="ocr", halted=False, at=datetime.now(UTC))

    world.work(300, lambda: len(world.finished) == 300, meanwhile=watch)
    assert halted_at
    assert cured
    assert len(world.on(DEAD_LETTERS.name)) <= 8
    assert len(world.on(CONTROL.name)) == 1
    assert world.on(CONTROL.name)[0].key == b"step:ocr"


def test_one_tenants_encrypted_documents_halt_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, lambda number, _: Encrypted() if number % 2 else None)
    world.work(300, lambda: len(world.finished) == 300)
    assert not world.orders
    assert len(world.on(DEAD_LETTERS.name)) == 150
