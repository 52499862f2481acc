"""What stands on compacted topics and means nothing any more: lapsed orders, marks of records that are long gone."""

from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import ValidationError

from producers.whole_topic import messages
from schemas.broker import Broker
from schemas.control import ControlEntry
from schemas.lifetimes import of_record
from schemas.records import Outgoing
from schemas.topics import ATTEMPTS, CONTROL, DEAD_LETTERS, TOPICS

_LONGEST = max(of_record(topic) for topic in TOPICS if not topic.compacted and topic is not DEAD_LETTERS)
Judge = Callable[[bytes, bytes, datetime], bool]
"""Of a key, its newest value and when that was written: whether it has lapsed."""


def tombstones(broker: Broker, through: datetime) -> list[Outgoing]:
    """What forgets all that lapsed before `through`, the moment that everything read is known up to (blocking).

    Both topics are read whole, as every worker does at its start. Raises `LogUnavailable`.
    """
    judges: dict[str, Judge] = {
        CONTROL.name: lambda key, value, at: _order_lapsed(value, at, through),
        ATTEMPTS.name: lambda key, value, at: at < through - _LONGEST,
    }
    return [
        Outgoing(topic, key, None)
        for topic, lapsed in judges.items()
        for key, (value, at) in _newest(broker, topic).items()
        if lapsed(key, value, at)
    ]


def _order_lapsed(value: bytes, written: datetime, through: datetime) -> bool:
    """Only orders to cancel lapse, and only once no record of their job can lie on the log."""
    try:
        entry = ControlEntry.model_validate_json(value)
    except ValidationError:  # a step's order, a plan, or a newer release's word
        return False
    return written < through - _LONGEST and (entry.until is None or entry.until < through)


def _newest(broker: Broker, topic: str) -> dict[bytes, tuple[bytes, datetime]]:
    newest: dict[bytes, tuple[bytes, datetime]] = {}
    for message in messages(broker, topic):
        key, value = message.key() or b"", message.value()
        if value is None:
            newest.pop(key, None)
        else:
            newest[key] = (value, datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC))
    return newest
