"""Where a relay goes on: the position lies on the log, in the transaction of the records before it."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from producers import relay_log
from producers.relay_log import Fenced, RelayLog
from schemas.broker import Broker
from schemas.errors import DependencyDown, LogUnavailable
from schemas.failpoints import Failpoints
from schemas.records import Outgoing
from schemas.results import RelayPosition
from schemas.topics import RESULTS
from tests.relay.harness import RelayProcess, by_confluent, eight_writers, relayed
from tests.sinks.databases import Database, rows

Open = Callable[[], RelayLog]


@pytest.fixture
def session(broker: Broker) -> Iterator[Open]:
    made: list[RelayLog] = []

    def make() -> RelayLog:
        made.append(RelayLog(broker, Failpoints("relay-1", None), 5))
        return made[-1]

    yield make
    for found in made:
        with suppress(Fenced, AttributeError):  # an attribute: of one that the test has closed
            found.close()


def _record(name: str) -> Outgoing:
    return Outgoing(RESULTS.name, b"job_a", b"{}", (("ce_id", name.encode()), ("ce_type", b"headrace.Tried.v1")))


def _position(seq: int) -> RelayPosition:
    return RelayPosition(incarnation="here", xid=7, seq=seq)


def _leads() -> bool:
    return True


def test_a_session_reads_the_last_committed_position(
    session: Open, broker: Broker, since: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = session()
    first.open()
    first.publish([_record("a")], _position(1), _leads)
    first.publish([_record("b")], _position(2), _leads)
    for _ in range(4):  # what was not committed lies on the topic behind the last that was
        other = session()
        other.open()
        with pytest.raises(DependencyDown):
            other.publish([_record("never")], _position(3), lambda: False)
        other.close()
    monkeypatch.setattr(relay_log, "_TAILS", (2, 5))
    assert session().open() == _position(2)
    assert [seen.id for seen in by_confluent(broker, since)] == ["a", "b"]


def test_a_relay_without_the_lock_commits_nothing(session: Open, broker: Broker, since: dict[int, int]) -> None:
    first = session()
    before = first.open()
    with pytest.raises(DependencyDown, match="lock is lost"):
        first.publish([_record("a")], _position(1), lambda: False)
    first.close()
    assert by_confluent(broker, since) == []
    assert session().open() == before


def test_a_batch_that_a_zombie_left_open_is_never_committed(
    session: Open, broker: Broker, since: dict[int, int]
) -> None:
    zombie = session()
    zombie.open()
    zombie.publish([_record("a")], _position(1), _leads)

    def sleeps_while_another_begins() -> bool:
        assert session().open() == _position(1)
        return True

    with pytest.raises(Fenced):
        zombie.publish([_record("zombie's")], _position(2), sleeps_while_another_begins)
    last = session()
    assert last.open() == _position(1)
    last.publish([_record("b")], _position(2), _leads)
    assert [seen.id for seen in by_confluent(broker, since)] == ["a", "b"]


def test_a_topic_that_is_missing_is_said_with_the_place(session: Open) -> None:
    first = session()
    first.open()
    first.publish([_record("a")], _position(1), _leads)
    with pytest.raises(LogUnavailable, match=r"outbox\[7\]@1 .*topic missing-.*[Uu]nknown topic"):
        first.publish([Outgoing(f"missing-{uuid.uuid4().hex}", b"k", b"{}")], _position(2), _leads)


async def test_a_new_database_on_an_old_log_is_relayed_from_its_beginning(
    broker: Broker, database: Database, since: dict[int, int], relay: Callable[..., RelayProcess], session: Open
) -> None:
    other = session()
    other.open()
    other.publish([], RelayPosition(incarnation=str(uuid.uuid4()), xid=10**15, seq=10**15), _leads)
    other.close()
    await eight_writers(database.sink, 1)
    process = relay()
    await relayed(broker, database, since)
    assert "this database is another one" in process.said()


async def test_a_database_that_went_back_in_time_is_relayed_anew_and_its_rows_are_adopted(
    broker: Broker, database: Database, since: dict[int, int], relay: Callable[..., RelayProcess], session: Open
) -> None:
    await eight_writers(database.sink, 1)
    (row,) = await rows(database.admin, "SELECT id::text FROM incarnation")
    other = session()
    other.open()
    other.publish([], RelayPosition(incarnation=row["id"], xid=10**15, seq=10**15), _leads)
    other.close()
    await rows(database.admin, "UPDATE outbox SET xid = '1000000000000000' WHERE seq % 2 = 0")  # as a dump brings them
    process = relay()
    await relayed(broker, database, since)
    assert "restored?" in process.said()
    process.end()
    process.start()
    process.ready()
    assert process.said().count("restored?") == 1
