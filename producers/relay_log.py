"""The log as the relay uses it: a transaction holds a batch of records and the position after them, or neither."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from producers.clients import Complaint, librdkafka
from schemas.broker import Broker
from schemas.errors import DependencyDown, LogUnavailable, NewerThanUs
from schemas.failpoints import Failpoints
from schemas.records import Outgoing
from schemas.results import RelayPosition
from schemas.topics import RELAY

TRANSACTIONAL_ID = "headrace.relay-0"
TRANSACTION_MS = 10_000
"""How long a transaction whose relay is gone may hold `read_committed` readers back, where no other relay starts."""
_SHARD = b"0"
_TAILS = (1_000, 100_000)  # records at the end of the topic among which the position is looked for, then all


class Fenced(Exception):
    """The producer is of no more use: another relay has begun, or the log refuses this one for good."""


class RelayLog:
    """One session of the transactional producer (blocking). After any error only `close` is left to call: the next
    session's `open` settles what this one left, and reads which of both, commit or abort, it came to.

    All raise `Fenced`, or `LogUnavailable` where nothing was said within `seconds`.
    """

    def __init__(self, broker: Broker, failpoints: Failpoints, seconds: float) -> None:
        self._broker = broker
        self._failpoints = failpoints
        self._seconds = seconds
        self._complaint = Complaint()
        self._after = "the beginning of the outbox"
        self._refusal = ""
        self._producer = Producer(
            {
                **librdkafka(broker),
                "transactional.id": TRANSACTIONAL_ID,
                "transaction.timeout.ms": TRANSACTION_MS,
                "acks": "all",
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "message.max.bytes": 1_000_000,
                "topic.metadata.propagation.max.ms": 1000,  # a topic that is missing is said, not waited for
                "error_cb": self._complaint.hear,
            }
        )

    def open(self) -> RelayPosition | None:
        """Fence every older session, and read how far it came; None where there never was one."""
        with self._told():
            self._producer.init_transactions(self._seconds)
            position = self._position()
        if position is not None:
            self._after = _named(position)
        return position

    def publish(self, records: Sequence[Outgoing], position: RelayPosition, leads: Callable[[], bool]) -> None:
        """Put the records and the position on the log, all or nothing; raises `DependencyDown` once `leads` says no."""
        at = _named(position)
        with self._told():
            self._producer.begin_transaction()
            self._failpoints.reach("handler", at)
            for record in records:
                headers: list[tuple[str, str | bytes | None]] = list(record.headers)
                self._producer.produce(record.topic, record.value, record.key, headers=headers, on_delivery=self._hear)
            self._producer.produce(RELAY.name, position.model_dump_json(), _SHARD, partition=0)
            self._failpoints.reach("sink", at)
            self._producer.flush(self._seconds)
            self._failpoints.reach("commit", at)
            if not leads():
                raise DependencyDown("the connection that held the relay's lock is lost; the batch is not committed")
            self._producer.commit_transaction(self._seconds)
        self._after = at
        self._failpoints.reach("committed", at)

    def close(self) -> None:
        """Abort what is open, and end the client: one that still asks to begin fences the next session.

        Raises `Fenced` alone.
        """
        try:
            self._producer.abort_transaction(self._seconds)
        except KafkaException as error:  # none is open, or the log is away
            if _cause(error).fatal():
                raise Fenced(_cause(error).str()) from error
        finally:
            self._producer.purge()
            del self._producer  # its own `close` aborts once more, and waits for that without a limit

    def _position(self) -> RelayPosition | None:
        consumer = Consumer(
            {
                **librdkafka(self._broker),
                "group.id": "headrace.relay",  # the client wants one; it joins nothing and commits nothing
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(RELAY.name, 0), timeout=self._seconds)
            for begin in (*(high - tail for tail in _TAILS if high - tail > low), low):
                if found := self._last(consumer, begin, high):
                    return _parsed(found)
            return None
        finally:
            consumer.close()

    def _last(self, consumer: Consumer, begin: int, end: int) -> bytes | None:
        """The value of the last committed record from `begin` on."""
        consumer.assign([TopicPartition(RELAY.name, 0, begin)])
        value, at = None, begin
        while at < end:  # the last offset is a transaction's end mark, which no reader sees: hence the wait for EOF
            message: Any = consumer.poll(self._seconds)
            if message is None:
                raise LogUnavailable(f"{RELAY.name} cannot be read")
            if message.error() is None:
                value = message.value()
            elif message.error().code() == KafkaError._PARTITION_EOF:
                at = message.offset()
            else:
                raise KafkaException(message.error())
        return value

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A client's error as ours."""
        try:
            yield
        except KafkaException as error:
            cause = _cause(error)
            if cause.fatal():
                raise Fenced(cause.str()) from error
            if cause.code() in (KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                self._producer.poll(0)
                raise LogUnavailable(self._complaint.reason) from error
            said = "Kafka is not ready" if cause.retriable() else f"Kafka refuses what follows {self._after}"
            raise LogUnavailable(f"{said} ({self._refusal or cause.str()})") from error

    def _hear(self, error: KafkaError | None, message: Any) -> None:
        """Keep the first refusal: the others only follow from it."""
        if error is not None and not self._refusal:
            self._refusal = f"topic {message.topic()}: {error.str()}"


def _cause(error: KafkaException) -> KafkaError:
    cause: KafkaError = error.args[0]
    return cause


def _named(position: RelayPosition) -> str:
    return f"outbox[{position.xid}]@{position.seq}"


def _parsed(value: bytes) -> RelayPosition:
    try:
        return RelayPosition.model_validate_json(value)
    except ValueError as error:
        raise NewerThanUs(f"the position on {RELAY.name} is of no form that this release knows") from error
