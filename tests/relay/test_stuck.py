"""A call of the log that never comes back: the relay ends its process, as nothing else ends a thread."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from producers.publisher import KafkaPublisher, _Confirmation
from producers.relay import EXIT_STUCK, Parts, Relay
from producers.relay_log import RelayLog
from schemas.broker import Broker
from schemas.errors import LogUnavailable
from schemas.ports import OutboxRow, Place
from schemas.records import Outgoing
from schemas.results import RelayPosition
from tests.sinks.databases import NO_FAILPOINTS


class OneRow:
    """An outbox with a row."""

    leads = True

    async def lead(self, news: Callable[[], object]) -> str:
        return "incarnation"

    async def begin(self, position: RelayPosition | None) -> Place:
        return Place(0, 0)

    async def read(self, after: Place) -> list[OutboxRow]:
        return [OutboxRow(Place(1, 1), "demo", Outgoing("headrace.results", b"job", b"{}"))] if after.xid == 0 else []

    async def held_back(self, after: Place) -> bool:
        return False

    async def backlog(self, after: Place) -> tuple[int, float]:
        return 0, 0.0

    async def prune(self, through: Place) -> bool:
        return False

    async def close(self) -> None:
        pass


class Stuck:
    """A session on the log of which one call waits until it is let go."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.go = threading.Event()

    def open(self) -> None:
        self._reach("open")

    def publish(self, records: Sequence[Outgoing], position: RelayPosition, leads: Callable[[], bool]) -> None:
        self._reach("publish")

    def close(self) -> None:
        self._reach("close")

    def _reach(self, where: str) -> None:
        if where == self.where:
            assert self.go.wait(30)


@pytest.mark.parametrize("where", ["open", "publish", "close"])
async def test_a_stuck_call_ends_the_process(where: str) -> None:
    session, ended = Stuck(where), asyncio.Event()
    codes: list[int] = []

    def abandon(code: int) -> None:
        codes.append(code)
        ended.set()

    parts = Parts(OneRow(), lambda: session, (), bool, bool, 0.2, abandon)  # type: ignore[arg-type,return-value]
    relay = Relay(parts)
    running = asyncio.create_task(relay.run())
    try:
        if where == "close":
            await asyncio.sleep(0.3)
            assert not codes, "one that works is left alone"
            relay.stop()
        await asyncio.wait_for(ended.wait(), 10)
    finally:
        relay.stop()
        session.go.set()
        await running
    assert codes == [EXIT_STUCK]


def _publisher(broker: Broker, seconds: float) -> tuple[KafkaPublisher, list[bool]]:
    ended: list[bool] = []
    return KafkaPublisher(broker, seconds, on_fatal=lambda: ended.append(True)), ended


async def test_a_publish_that_is_never_reported_ends_the_process(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, ended = _publisher(broker, 0.5)
    monkeypatch.setattr("producers.publisher._OVERTIME", 0.1)
    monkeypatch.setattr(_Confirmation, "settle", lambda self, error, message: None)
    with pytest.raises(LogUnavailable):
        await publisher.publish([Outgoing("headrace.control", b"x", None)])
    assert ended
    await publisher.close()


async def test_one_whose_report_comes_late_as_the_process_was_stopped_is_well(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, ended = _publisher(broker, 0.2)
    monkeypatch.setattr("producers.publisher._OVERTIME", 1.0)
    settle = _Confirmation.settle

    def late(self: _Confirmation, error: KafkaError | None, message: object) -> None:
        asyncio.get_running_loop().call_later(1.6, settle, self, None, message)

    monkeypatch.setattr(_Confirmation, "settle", late)
    await publisher.publish([Outgoing("headrace.control", b"x", None)])
    assert not ended
    await publisher.close()


def test_a_closed_session_asks_for_nothing_more() -> None:
    """A client that still waits for its beginning would fence the next session, once the log is back."""
    before = _clients()
    session = RelayLog(Broker(bootstrap="127.0.0.1:1"), NO_FAILPOINTS, 0.2)
    with pytest.raises(LogUnavailable) as kept:
        session.open()
    assert _clients() - before
    session.close()
    assert not _clients() - before, "though the session and the error that it ended with are still held"
    assert kept.tb


def _clients() -> set[int]:
    """The main threads of librdkafka's clients in this process."""
    return {int(task.name) for task in Path("/proc/self/task").iterdir() if (task / "comm").read_text() == "rdk:main\n"}
