"""What the log says of one publish: all reports are waited for, the first refusal is told."""

import asyncio

from confluent_kafka import KafkaError

from producers.publisher import _Confirmation

LOST = KafkaError(KafkaError._MSG_TIMED_OUT)
LATER = KafkaError(KafkaError._TIMED_OUT)


async def test_a_publish_has_come_when_each_of_its_records_is_reported_on() -> None:
    publish = _Confirmation(3)
    coming = asyncio.create_task(publish.come(20))
    for _ in range(3):
        await asyncio.sleep(0)
        assert not coming.done()
        publish.settle(None)
    assert await coming
    assert publish.refusal is None


async def test_the_first_refusal_is_told_and_the_others_are_waited_for() -> None:
    publish = _Confirmation(3)
    publish.settle(LOST)
    publish.settle(LATER)
    assert not await publish.come(0.01)
    publish.settle(None)
    assert await publish.come(0.01)
    assert publish.refusal == LOST


async def test_reports_of_a_publish_that_nobody_waits_for_any_more_disturb_nothing() -> None:
    publish = _Confirmation(1)
    gone = asyncio.create_task(publish.come(20))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    publish.settle(LOST)
    assert await publish.come(0.01)
