"""Records as anybody's tools see them."""

import json
import subprocess
import uuid

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from producers.clients import librdkafka
from producers.publisher import KafkaPublisher
from schemas.broker import Broker
from schemas.codec import encode
from schemas.documents import ChunksIndexed
from schemas.envelope import Envelope, new_trace
from schemas.plans import DOCUMENT


@pytest.mark.needs("kcat")
async def test_kcat_reads_a_record_as_a_cloudevent(kafka: Broker) -> None:
    topic = f"kcat-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(librdkafka(kafka))
    for future in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        future.result(10)
    envelope = Envelope.model_validate(
        {
            "id": uuid.uuid4(), "kind": ChunksIndexed.kind(), "at": "2026-11-21T00:00:00Z", "job": "job_a", "run": 1,
            "part": 2, "tenant": "demo", "plan": DOCUMENT.hash, "document": "doc", "traceparent": new_trace(),
        }
    )  # fmt: skip
    publisher = KafkaPublisher(kafka)
    await publisher.publish([encode(topic, envelope, ChunksIndexed(index="pgvector", count=3))])
    await publisher.close()
    read = ["kcat", "-b", kafka.bootstrap, "-C", "-t", topic, "-e", "-q", "-J"]
    seen = json.loads(subprocess.run(read, capture_output=True, text=True, check=True, timeout=30).stdout)
    headers = dict(zip(seen["headers"][::2], seen["headers"][1::2], strict=True))
    assert seen["key"] == "job_a"
    assert json.loads(seen["payload"]) == {"index": "pgvector", "count": 3}
    assert headers["ce_type"] == "headrace.ChunksIndexed.v1"
    assert headers["ce_specversion"] == "1.0"
    assert headers["traceparent"] == envelope.traceparent
