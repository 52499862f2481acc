"""The embedded servers by themselves."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient

from deploy.local import children, ports
from deploy.local.children import StartFailed
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres, in_namespace, with_capability
from producers.clients import librdkafka
from schemas.broker import Broker


def test_kafka_answers_with_one_broker_and_makes_no_topic_by_itself(kafka: Broker) -> None:
    metadata = AdminClient(librdkafka(kafka)).list_topics("never-made", timeout=5)
    assert len(metadata.brokers) == 1
    assert metadata.topics["never-made"].error is not None


async def test_postgres_has_pgvector(postgres: str) -> None:
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute("create extension if not exists vector")
        assert await connection.fetchval("select '[1,2]'::vector <-> '[1,0]'::vector") == 2
    finally:
        await connection.close()


@pytest.mark.parametrize("drop_root", [in_namespace, with_capability])
def test_postgres_runs_for_root_in_a_folder_that_only_root_may_enter(
    tmp_path: Path, drop_root: Callable[[], tuple[str, ...]]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: PostgreSQL runs as it is, as the other tests show")
    if subprocess.run([*drop_root(), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel refuses it, and `other_user` then takes the other way")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (port,) = ports.free()
    server = Postgres(closed / "postgres", port, drop_root=drop_root())
    with children.running(server):
        assert server.answers()
        assert closed.stat().st_mode & 0o777 == 0o700


def test_postgres_starts_again_after_kill_nine_and_nobody_else_may_log_in(tmp_path: Path) -> None:
    (port,) = ports.free()
    server = Postgres(tmp_path, port)
    child = children.start(server)
    child.kill()
    child.wait()
    with children.running(server):
        assert server.answers()
        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(asyncpg.connect(server.url.replace("postgres:", "postgres:not", 1)))


def test_a_lock_file_whose_number_another_process_has_now_is_forgotten(tmp_path: Path) -> None:
    (port,) = ports.free()
    server = Postgres(tmp_path, port)
    server.prepare()
    lock = tmp_path / "data" / "postmaster.pid"
    lock.write_text(f"{os.getppid()}\n")
    server.prepare()
    assert not lock.exists()


def test_kafka_that_does_not_start_says_why(tmp_path: Path) -> None:
    port, controller = ports.free(2)
    server = Kafka(tmp_path, port, controller)
    server.prepare()
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run(server.command(), check=False, capture_output=True, text=True)
    assert ended.returncode
    assert "Address already in use" in ended.stderr


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (port,) = ports.free()
    server = Postgres(tmp_path, port, settings={"shared_buffers": "nonsense"})
    with pytest.raises(StartFailed, match="nonsense"):
        children.start(server, timeout=1)
