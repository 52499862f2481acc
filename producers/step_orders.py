"""Orders about steps on `headrace.control`, read and given by an operator."""

from confluent_kafka import KafkaError, Producer
from pydantic import ValidationError

from producers.clients import librdkafka
from producers.whole_topic import messages
from schemas.broker import Broker
from schemas.control import StepOrder, step_key
from schemas.errors import LogUnavailable
from schemas.topics import CONTROL, GROUPS

_TIMEOUT = 10.0
STEPS = tuple(sorted(group.removeprefix("headrace.") for group in GROUPS))
"""What can be halted: every step and sink that is a consumer group."""


def standing(broker: Broker) -> dict[str, StepOrder]:
    """The newest order about each step that ever had one (blocking); raises `LogUnavailable`."""
    keys = {step_key(step): step for step in STEPS}
    found: dict[str, StepOrder] = {}
    for message in messages(broker, CONTROL.name):
        if step := keys.get(message.key() or b""):
            found.pop(step, None)
            found |= _order(step, message.value() or b"")
    return found


def give(broker: Broker, order: StepOrder) -> None:
    """Put an order on the log, confirmed (blocking); raises `LogUnavailable`."""
    refused: list[KafkaError] = []
    producer = Producer({**librdkafka(broker), "acks": "all", "message.timeout.ms": int(_TIMEOUT * 1000)})
    producer.produce(
        CONTROL.name, order.model_dump_json(), step_key(order.step), partition=0,
        on_delivery=lambda error, _: refused.append(error) if error else None,
    )  # fmt: skip
    if producer.flush(_TIMEOUT + 1) or refused:
        raise LogUnavailable(refused[0].str() if refused else "Kafka does not answer")


def _order(step: str, value: bytes) -> dict[str, StepOrder]:
    try:
        return {step: StepOrder.model_validate_json(value)}
    except ValidationError:  # a newer release's
        return {}
