"""Lapsed orders and marks of records that are gone are forgotten; what stands, stays."""

from datetime import UTC, datetime, timedelta

import pytest

from producers import provisioning
from producers.lapsed import tombstones
from producers.publisher import KafkaPublisher
from schemas.broker import Broker
from schemas.control import AttemptsMarked, ControlEntry, StepOrder, plan_key, step_key
from schemas.plans import DOCUMENT
from schemas.records import Outgoing
from schemas.topics import ATTEMPTS, CONTROL
from sinks.order_sweep import OrderSweep
from sinks.postgres.engine import connect
from tests.sinks.databases import Database, fresh
from tests.sinks.test_sweeps import caught_up
from tests.support import read

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=60)


@pytest.fixture
def database(postgres: str) -> Database:
    """One of its own: how far its projector is counts."""
    return fresh(postgres)


async def test_orders_and_marks_go_once_no_record_can_mean_them(kafka: Broker, database: Database) -> None:
    provisioning.apply(kafka, dev=True)
    publisher = KafkaPublisher(kafka)
    orders = {
        b"job_lapsed": ControlEntry(action="cancel", until=NOW), b"job_endless": ControlEntry(action="cancel"),
        b"job_stands": ControlEntry(action="cancel", until=LATER + timedelta(days=1)),
        step_key("idle"): StepOrder(step="idle", halted=True, at=NOW), plan_key(DOCUMENT.hash): DOCUMENT,
    }  # fmt: skip
    records = [Outgoing(CONTROL.name, key, order.model_dump_json().encode()) for key, order in orders.items()]
    records.append(Outgoing(ATTEMPTS.name, b"a record", AttemptsMarked(count=2).model_dump_json().encode()))
    await publisher.publish(records)
    await publisher.close()
    assert tombstones(kafka, NOW + timedelta(days=1)) == []
    engine = connect(database.sink)
    sweep = OrderSweep(engine, kafka, 10)
    await caught_up(database, LATER)
    lapsed = (await sweep.run(dry=True))["orders_and_marks"]  # other tests' as well
    assert (await sweep.run())["orders_and_marks"] == lapsed >= 3
    assert (await sweep.run())["orders_and_marks"] == 0
    await engine.dispose()
    gone = {
        message.key() for topic in (CONTROL, ATTEMPTS) for message in read(kafka, topic.name) if not message.value()
    }
    assert gone >= {b"job_lapsed", b"job_endless", b"a record"}
    assert not gone & {b"job_stands", step_key("idle"), plan_key(DOCUMENT.hash)}
