"""The embedded servers by themselves."""

import asyncpg
from confluent_kafka.admin import AdminClient


def test_kafka_answers_with_one_broker_and_makes_no_topic_by_itself(kafka: str) -> None:
    metadata = AdminClient({"bootstrap.servers": kafka}).list_topics("never-made", timeout=5)
    assert len(metadata.brokers) == 1
    assert metadata.topics["never-made"].error is not None


async def test_postgres_has_pgvector(postgres: str) -> None:
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute("create extension if not exists vector")
        assert await connection.fetchval("select '[1,2]'::vector <-> '[1,0]'::vector") == 2
    finally:
        await connection.close()
