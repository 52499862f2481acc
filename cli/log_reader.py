"""A topic read without a group: nothing is committed, nobody else is disturbed."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from cli.errors import CliError, Exit
from producers.clients import Complaint, librdkafka
from schemas.broker import Broker

_SECONDS = 5.0
_LOOK = 0.2  # seconds of a poll; between two of them Ctrl-C is heard


class LogReader:
    """Reads what is committed of one topic, from its beginning or its present end; raises `CliError` when it cannot."""

    def __init__(self, broker: Broker, topic: str, *, beginning: bool) -> None:
        self._complaint = Complaint()
        self._topic = topic
        self._consumer = Consumer(
            {
                **librdkafka(broker),
                "group.id": "headrace.tail",  # the client wants one; it joins nothing and commits nothing
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "error_cb": self._complaint.hear,
            }
        )
        self._unread = self._partitions()
        begin = OFFSET_BEGINNING if beginning else OFFSET_END
        self._consumer.assign([TopicPartition(topic, number, begin) for number in self._unread])

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def messages(self, *, follow: bool) -> Iterator[Any]:
        """Messages as the broker gives them, in order within a partition; without `follow` up to the present end."""
        while follow or self._unread:
            message: Any = self._consumer.poll(_LOOK)
            if message is None:
                continue
            error: KafkaError | None = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard(message.partition())
            elif not error.retriable():
                raise CliError(f"{self._topic} cannot be read: {error.str()}", Exit.UNREACHABLE)

    def _partitions(self) -> set[int]:
        try:
            found = self._consumer.list_topics(self._topic, timeout=_SECONDS).topics[self._topic]
        except KafkaException as error:
            self._consumer.poll(0)
            raise CliError(
                self._complaint.reason, Exit.UNREACHABLE, "is HEADRACE_KAFKA right? `headrace doctor`"
            ) from error
        if not found.partitions:
            raise CliError(f"{self._topic} is not on the log", Exit.NOT_FOUND, "run: headrace topics apply")
        return set(found.partitions)
