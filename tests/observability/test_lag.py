"""How far groups are behind, asked of the real broker: cheap under a backlog, and never the end of the process."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from producers import provisioning
from producers.clients import librdkafka
from producers.lag import GroupLag, LagSource
from schemas.broker import Broker
from schemas.errors import DependencyDown
from schemas.topics import DEAD_LETTERS, GROUPS, JOBS, OPTIONAL_GROUPS, VECTORS
from tests.support import until

ALWAYS = {(group, topic) for group, topics in GROUPS.items() if group not in OPTIONAL_GROUPS for topic in topics}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that nobody has asked about a group yet; the tests here follow each other."""
    server = Kafka(tmp_path_factory.mktemp("fresh-kafka"), *ports.free(2))
    with children.running(server):
        provisioning.apply(server.broker, dev=True)
        yield server.broker


@pytest.fixture(scope="module")
def source(broker: Broker) -> Iterator[LagSource]:
    made = LagSource(broker)
    yield made
    made.close()


def _read(source: LagSource) -> dict[tuple[str, str], GroupLag]:
    return {(row.group, row.topic): row for row in source.read()}


def _produce(broker: Broker, topic: str, partition: int, age: float) -> None:
    producer = Producer(librdkafka(broker))
    producer.produce(topic, b"value", b"key", partition, timestamp=int(1000 * (time.time() - age)))
    assert producer.flush(10) == 0


def _commit(broker: Broker, group: str, topic: str, offset: int) -> None:
    consumer = Consumer({**librdkafka(broker), "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


def test_the_first_question_about_groups_ends_no_process(broker: Broker) -> None:
    """It makes the broker load its groups, which librdkafka's admin client dies of."""
    ask = f"""if True:
        from producers.lag import Broker, DependencyDown, LagSource
        source = LagSource(Broker({broker.bootstrap!r}))
        for _ in range(20):
            try:
                print(len(source.read()))
                break
            except DependencyDown:
                pass
    """
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(ALWAYS)))


def test_an_optional_group_is_behind_only_once_it_has_committed(broker: Broker, source: LagSource) -> None:
    assert _read(source).keys() == ALWAYS
    _produce(broker, VECTORS.name, 0, 0)
    _produce(broker, VECTORS.name, 0, 0)
    assert _read(source).keys() == ALWAYS
    (optional,) = OPTIONAL_GROUPS
    _commit(broker, optional, VECTORS.name, 1)
    assert _read(source)[optional, VECTORS.name].lag == 1


def test_each_group_has_its_own_oldest_record(broker: Broker, source: LagSource) -> None:
    for age in (5000, 400):
        _produce(broker, JOBS.name, 0, age)
    _produce(broker, JOBS.name, 1, 30)
    _commit(broker, "headrace.dispatcher", JOBS.name, 1)
    rows = _read(source)
    dispatcher, projector = rows["headrace.dispatcher", JOBS.name], rows["headrace.projector", JOBS.name]
    assert (dispatcher.lag, projector.lag) == (2, 3)
    assert 400 <= dispatcher.oldest_age_seconds < 500
    assert 5000 <= projector.oldest_age_seconds < 5100


def test_a_backlog_on_every_partition_is_read_at_once(broker: Broker, source: LagSource) -> None:
    places = [(topic, number) for _, topic in ALWAYS for number in range(2)]
    for place in places:
        _produce(broker, *place, 60)
    source.read()
    began = time.monotonic()
    rows = _read(source)
    assert time.monotonic() - began < 2, "a scrape has ten seconds: partitions must not be read one after the other"
    assert all(rows[item].oldest_age_seconds >= 60 for item in ALWAYS)


def test_dead_letters_are_counted(broker: Broker, source: LagSource) -> None:
    before = source.dead_letters()
    _produce(broker, DEAD_LETTERS.name, 0, 0)
    until(lambda: source.dead_letters() == before + 1, 5, "one more")


def test_a_log_that_is_away_is_said_in_time() -> None:
    (port,) = ports.free(1)
    away = LagSource(Broker(f"127.0.0.1:{port}"))
    began = time.monotonic()
    with pytest.raises(DependencyDown):
        away.read()
    with pytest.raises(DependencyDown):
        away.dead_letters()
    assert time.monotonic() - began < 9
    away.close()
