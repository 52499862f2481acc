"""The loop's outcomes, with a scripted handler and a publisher in memory."""

import asyncio
import dataclasses
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from processors.attempts import Attempts
from processors.inflight import InflightFile
from processors.runner import FARTHEST_BEYOND, Parts, Runner
from schemas.codec import decode, encode
from schemas.control import StepOrder
from schemas.documents import ChunksIndexed, PartFailed, Payload
from schemas.envelope import Envelope, new_trace
from schemas.errors import BlobMissing, DependencyDown, Encrypted, LogUnavailable, NewerThanUs
from schemas.failpoints import Failpoints
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Partition, Record
from schemas.topics import ATTEMPTS, DEAD_LETTERS, EVENTS
from schemas.work import Answer, Task

OUT = Outgoing("out", b"k", b"v")


class Handler:
    name = "test"

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.batches: list[int] = []

    async def open(self) -> None: ...

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        self.batches.append(len(tasks))
        answer = self.answers.pop(0) if self.answers else [OUT]
        if isinstance(answer, list) and answer and isinstance(answer[0], Outgoing):
            return [answer] * len(tasks)
        if isinstance(answer, list):
            return answer
        assert isinstance(answer, Exception)
        raise answer

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None: ...

    async def close(self) -> None: ...


class Log:
    """A publisher in memory that can be away for some calls."""

    def __init__(self, away: int = 0) -> None:
        self.records: list[Outgoing] = []
        self._away = away

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if records and self._away:
            self._away -= 1
            raise LogUnavailable
        self.records += records

    async def ping(self) -> None: ...

    def on(self, topic: str) -> list[Outgoing]:
        return [record for record in self.records if record.topic == topic]


class Orders:
    def __init__(self, cancelled: bool = False) -> None:
        self._cancelled = cancelled
        self.steps: dict[str, StepOrder] = {}

    def cancelled(self, job: str, run: int) -> bool:
        return self._cancelled

    def order(self, step: str) -> StepOrder | None:
        return self.steps.get(step)


class Marks(dict[bytes, bytes]):
    """A view that nothing follows."""


class Dice(random.Random):
    """Draws the smallest number there is."""

    def uniform(self, a: float, b: float) -> float:
        return a


def _record(offset: int, **changes: object) -> Record:
    envelope = Envelope(
        id="00000000-0000-0000-0000-000000000001", kind=ChunksIndexed.kind(), at=datetime.now(UTC), job="job_a",
        run=1, part=1, tenant="demo", plan=DOCUMENT.hash, document="d", traceparent=new_trace(),
    ).model_copy(update=changes)  # fmt: skip
    outgoing = encode("in", envelope, ChunksIndexed(index="i", count=1))
    return Record(Partition("in", 0), offset, 1, outgoing.key, outgoing.value, outgoing.headers, 0.0)


def _attempts(folder: Path, slot: str, marks: Marks | None = None) -> Attempts:
    return Attempts("g", InflightFile(folder, slot), Marks() if marks is None else marks)


class Bench:
    def __init__(
        self,
        handler: Handler,
        folder: Path,
        *,
        log: Log | None = None,
        orders: Orders | None = None,
        skips: bool = True,
    ) -> None:
        self.log = log or Log()
        self.handler = handler
        self.finished: list[int] = []
        self.owned = True
        self.beyond = 0
        self.marks = Marks()
        self.orders = orders or Orders()
        self.parts = Parts(
            handler=handler, publisher=self.log, attempts=_attempts(folder, "s-1", self.marks),
            orders=self.orders, failpoints=Failpoints("s-1", None),
            finish=lambda record: self.finished.append(record.offset), owned=lambda record: self.owned,
            beyond=lambda record: self.beyond, limit=8,
            unpack=self._as_is, skips=skips, slot="s-1", dice=Dice(), hold_seconds=(0.001,),
        )  # fmt: skip
        self.runner = Runner(self.parts)

    @staticmethod
    async def _as_is(record: Record) -> Record:
        return record

    async def work(self, *records: Record) -> None:
        for record in records:
            await self.runner.deliver(record)
        running = asyncio.create_task(self.runner.run())
        async with asyncio.timeout(10):
            while len(self.finished) < len(records):
                assert not running.done(), running.exception()
                await asyncio.sleep(0)
        await self.runner.drain(5)
        await running


async def test_a_batch_is_published_before_its_offsets_pass(tmp_path: Path) -> None:
    bench = Bench(Handler(), tmp_path)
    await bench.work(_record(0), _record(1), _record(2))
    assert bench.handler.batches == [3]
    assert bench.finished == [0, 1, 2]
    assert [record.value for record in bench.log.on("out")] == [OUT.value] * 3


async def test_the_callers_fault_is_a_dead_letter_and_a_failure_event(tmp_path: Path) -> None:
    bench = Bench(Handler([Encrypted()]), tmp_path)
    await bench.work(_record(0))
    (letter,) = bench.log.on(DEAD_LETTERS.name)
    assert letter.value == _record(0).value
    assert dict(letter.headers)["headrace_code"] == b"encrypted_document"
    (event,) = bench.log.on(EVENTS.name)
    assert json.loads(event.value or b"")["code"] == "encrypted_document"


async def test_a_dependency_that_is_down_is_waited_for_and_nothing_is_given_up(tmp_path: Path) -> None:
    bench = Bench(Handler(*[DependencyDown()] * 9), tmp_path)
    await bench.work(_record(0), _record(1))
    assert bench.handler.batches == [2, *[1] * 10], "after the first failure one is tried at a time"
    assert bench.finished == [0, 1]
    assert not bench.log.on(DEAD_LETTERS.name)


class Newer:
    """Decodes but the records of some offsets, as long as they are in it."""

    def __init__(self, *offsets: int) -> None:
        self.offsets = set(offsets)
        self.met: list[int] = []

    def __call__(self, record: Record) -> tuple[Envelope, Payload]:
        self.met.append(record.offset)
        if record.offset in self.offsets:
            raise NewerThanUs
        return decode(record)


def _holding() -> float | None:
    return REGISTRY.get_sample_value("headrace_step_holding", {"step": "test"})


async def test_a_record_of_a_newer_release_waits_by_itself_and_the_alarm_with_it(tmp_path: Path) -> None:
    bench, newer = Bench(Handler(), tmp_path), Newer(0)
    bench.runner = Runner(dataclasses.replace(bench.parts, decode=newer, hold_seconds=(3600.0,)))
    await bench.runner.deliver(_record(0))
    running = asyncio.create_task(bench.runner.run())
    async with asyncio.timeout(10):  # the whole loop waiting, even once, would take half an hour
        for offset in range(1, 100):
            await bench.runner.deliver(_record(offset))
        while len(bench.finished) < 99:
            await asyncio.sleep(0)
    assert _holding() == 1
    assert newer.met.count(0) == 1
    await bench.runner.drain(5)
    await running
    assert bench.finished == list(range(1, 100))
    assert not bench.log.on(DEAD_LETTERS.name)


async def test_the_alarm_ends_when_the_last_record_that_waited_by_itself_is_done_or_gone(tmp_path: Path) -> None:
    bench, newer = Bench(Handler(), tmp_path), Newer(0, 1)
    bench.runner = Runner(dataclasses.replace(bench.parts, decode=newer))
    for offset in range(3):
        await bench.runner.deliver(_record(offset))
    running = asyncio.create_task(bench.runner.run())
    async with asyncio.timeout(10):
        while newer.met.count(1) < 3:
            await asyncio.sleep(0)
        newer.offsets = {1}
        while len(bench.finished) < 2:
            await asyncio.sleep(0)
        assert _holding() == 1
        newer.offsets = set()
        while len(bench.finished) < 3:
            await asyncio.sleep(0)
        assert _holding() == 0
        newer.offsets = {3}
        await bench.runner.deliver(_record(3))
        while newer.met.count(3) < 3:
            await asyncio.sleep(0)
        assert _holding() == 1
        bench.runner.revoked([Partition("in", 0)])
        assert _holding() == 0
    await bench.runner.drain(5)
    await running


async def test_where_too_much_would_be_read_again_all_wait_for_the_record_that_waits(tmp_path: Path) -> None:
    bench = Bench(Handler(), tmp_path)
    bench.beyond = FARTHEST_BEYOND
    bench.runner = Runner(dataclasses.replace(bench.parts, hold_seconds=(3600.0,)))
    for record in (_record(0, plan="0" * 16), *map(_record, range(1, 9))):
        await bench.runner.deliver(record)
    running = asyncio.create_task(bench.runner.run())
    async with asyncio.timeout(10):
        while len(bench.finished) < 7:  # of its batch
            await asyncio.sleep(0)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert bench.finished == list(range(1, 8))
    await bench.runner.drain(5)
    await running


async def test_a_log_that_is_away_is_waited_for_and_no_offset_passes_before(tmp_path: Path) -> None:
    bench = Bench(Handler(), tmp_path, log=Log(away=5))
    await bench.work(_record(0))
    assert [record.value for record in bench.log.on("out")] == [OUT.value]
    assert bench.handler.batches == [1], "the work was not done again"


@pytest.mark.parametrize("whole", [ValueError("secret words"), Encrypted()], ids=["unknown", "one task's"])
async def test_one_bad_record_of_a_batch_harms_no_other(tmp_path: Path, whole: Exception) -> None:
    bench = Bench(Handler(whole, [OUT], Encrypted(), [OUT]), tmp_path)
    await bench.work(_record(0), _record(1), _record(2))
    assert bench.handler.batches == [3, 1, 1, 1]
    assert len(bench.log.on("out")) == 2
    assert len(bench.log.on(DEAD_LETTERS.name)) == 1


async def test_an_unknown_error_quotes_nothing_of_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.outcomes.TRIES", 1)
    bench = Bench(Handler(ValueError("secret words")), tmp_path)
    await bench.work(_record(0))
    assert b"secret" not in b"".join(value for record in bench.log.records for _, value in record.headers)
    assert all(b"secret" not in (record.value or b"") for record in bench.log.records)


@pytest.mark.parametrize(("orders", "deadline", "reason"), [(True, None, "cancelled"), (False, -1, "expired")])
async def test_moot_work_is_skipped_with_an_event(
    tmp_path: Path, orders: bool, deadline: int | None, reason: str
) -> None:
    bench = Bench(Handler(), tmp_path, orders=Orders(orders))
    late = None if deadline is None else datetime.now(UTC) + timedelta(seconds=deadline)
    await bench.work(_record(0, deadline=late))
    assert bench.handler.batches == []
    (event,) = bench.log.on(EVENTS.name)
    assert json.loads(event.value or b"")["reason"] == reason


async def test_suspects_run_alone_and_marked_and_their_mark_is_lifted(tmp_path: Path) -> None:
    (tmp_path / "s-1.inflight").write_text(json.dumps(["in[0]@1"]) + "\n")
    bench = Bench(Handler(), tmp_path)
    await bench.work(_record(0), _record(1), _record(2))
    assert sorted(bench.handler.batches) == [1, 2]
    mark = bench.log.on(ATTEMPTS.name)[0]
    assert json.loads(mark.value or b"") == {"count": 1}


async def test_the_third_death_is_the_last(tmp_path: Path) -> None:
    (tmp_path / "s-1.inflight").write_text(json.dumps(["in[0]@0"]) + "\n")
    bench = Bench(Handler(), tmp_path)
    bench.marks[b"g in[0]@0"] = b'{"count":2}'
    await bench.work(_record(0))
    assert bench.handler.batches == []
    assert dict(bench.log.on(DEAD_LETTERS.name)[0].headers)["headrace_code"] == b"poison_record"
    assert all(mark.value for mark in bench.log.on(ATTEMPTS.name)), "read again before its commit, it must not run"


async def test_a_clean_end_leaves_no_suspects_and_a_kill_leaves_exactly_what_ran(tmp_path: Path) -> None:
    bench = Bench(Handler(), tmp_path)
    await bench.runner.deliver(_record(4))
    attempts = _attempts(tmp_path, "s-2")
    attempts.running([_record(4), _record(5)])
    assert [_attempts(tmp_path, "s-2").suspect(_record(n)) for n in (3, 4, 5)] == [False, True, True]
    attempts.close()
    assert not _attempts(tmp_path, "s-2").suspect(_record(4))


async def test_who_must_hear_of_everything_skips_nothing(tmp_path: Path) -> None:
    bench = Bench(Handler(), tmp_path, orders=Orders(cancelled=True), skips=False)
    await bench.work(_record(0))
    assert bench.handler.batches == [1]


async def test_a_failure_that_cannot_be_told_begets_no_other(tmp_path: Path) -> None:
    bench = Bench(Handler([Encrypted()]), tmp_path)
    envelope = Envelope.from_headers(_record(0).headers).model_copy(update={"kind": PartFailed.kind()})
    told = encode("in", envelope, PartFailed(step="s", code="c", detail=""))
    await bench.work(Record(Partition("in", 0), 0, 1, told.key, told.value, told.headers, 0.0))
    assert len(bench.log.on(DEAD_LETTERS.name)) == 1
    assert not bench.log.on(EVENTS.name)


async def test_a_suspect_that_waits_is_no_suspect_of_another_death(tmp_path: Path) -> None:
    (tmp_path / "s-1.inflight").write_text(json.dumps(["in[0]@0"]) + "\n")
    bench = Bench(Handler(*[DependencyDown()] * 6), tmp_path)
    await bench.work(_record(0))
    assert len(bench.log.on(ATTEMPTS.name)) == 2, "one mark, and its tombstone"
    assert not bench.log.on(DEAD_LETTERS.name)


@pytest.mark.parametrize("name", ["ce_time", "ce_part", "ce_type", "traceparent", "ce_id"])
@pytest.mark.parametrize("value", [b"", b"\xff", b"9" * 5000, b"headrace.X.v" + b"9" * 5000])
async def test_no_header_can_stop_the_loop(tmp_path: Path, name: str, value: bytes) -> None:
    bench = Bench(Handler(), tmp_path)
    good = _record(0)
    headers = tuple((key, value if key == name else kept) for key, kept in good.headers)
    await bench.work(Record(good.partition, 0, 1, good.key, good.value, headers, 0.0), _record(1))
    assert len(bench.log.on(DEAD_LETTERS.name)) == 1
    assert [record.value for record in bench.log.on("out")] == [OUT.value]


async def test_a_record_whose_partition_has_gone_is_not_judged_here(tmp_path: Path) -> None:
    bench = Bench(Handler([Encrypted()]), tmp_path)
    bench.owned = False
    await bench.runner.deliver(_record(0))
    running = asyncio.create_task(bench.runner.run())
    while not bench.handler.batches:
        await asyncio.sleep(0)
    await bench.runner.drain(5)
    await running
    assert not bench.log.records


async def test_a_call_that_outlasts_the_grace_is_no_death(tmp_path: Path) -> None:
    class Slow(Handler):
        async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
            await asyncio.Event().wait()
            return []

    bench = Bench(Slow(), tmp_path)
    await bench.runner.deliver(_record(0))
    running = asyncio.create_task(bench.runner.run())
    while not (tmp_path / "s-1.inflight").read_text():
        await asyncio.sleep(0)
    await bench.runner.drain(0.01)
    assert not _attempts(tmp_path, "s-1").suspect(_record(0))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_claimed_bytes_that_are_gone_are_tried_three_times_and_given_up(
    tmp_path: Path,
) -> None:
    tried: list[int] = []

    async def gone(record: Record) -> Record:
        tried.append(record.offset)
        raise BlobMissing

    bench = Bench(Handler(), tmp_path)
    bench.runner = Runner(dataclasses.replace(bench.parts, unpack=gone))
    await bench.work(_record(0))
    assert tried == [0, 0, 0]
    assert dict(bench.log.on(DEAD_LETTERS.name)[0].headers)["headrace_code"] == b"blob_missing"
