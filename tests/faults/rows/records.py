"""Row 33: records of a release that is newer than the one that reads them."""

import os
import signal

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from producers.clients import librdkafka
from schemas.topics import CHUNK, DEAD_LETTERS
from tests.faults.suite import Row, Scene
from tests.support import read, until


def _newer(scene: Scene) -> None:
    """A page comes in a version that nobody here knows: it is held, and waits for a release that does."""
    scene.last(5)
    like = read(scene.world.broker, CHUNK.name)[-1]
    letters = len(read(scene.world.broker, DEAD_LETTERS.name))
    headers = [(name, _later(value) if name == "ce_type" else value) for name, value in like.headers()]
    producer = Producer(librdkafka(scene.world.broker))
    placed: list[int] = []
    producer.produce(
        CHUNK.name, like.value(), like.key(), partition=like.partition(), headers=headers,
        on_delivery=lambda _, message: placed.append(message.offset() or 0),
    )  # fmt: skip
    producer.flush(20)
    place = TopicPartition(CHUNK.name, like.partition(), placed[0] + 1)
    until(lambda: _committed(scene, place) == placed[0], 30, "all before it done")
    scene.last(6)
    scene.expect(_committed(scene, place) == placed[0], "a record of an unknown version was passed")
    scene.expect(len(read(scene.world.broker, DEAD_LETTERS.name)) == letters, "it became a dead letter")
    # The release that knows it comes: here, as if it had been read by then.
    AdminClient(librdkafka(scene.world.broker)).delete_records([place])[place].result(10)
    since = len(scene.world.stack.events())
    os.kill(scene.world.stack.pids()["chunk-1"], signal.SIGTERM)
    scene.killer.recovered("chunk-1", since)


def _later(kind: bytes) -> bytes:
    return kind.rpartition(b".v")[0] + b".v9"


def _committed(scene: Scene, place: TopicPartition) -> int:
    admin = AdminClient(librdkafka(scene.world.broker))
    request = ConsumerGroupTopicPartitions("headrace.chunk", [TopicPartition(place.topic, place.partition)])
    (answer,) = admin.list_consumer_group_offsets([request]).values()
    return int(answer.result(10).topic_partitions[0].offset)


ROWS = (Row(33, "a record of a newer release", _newer),)
