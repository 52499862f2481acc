"""The platform on servers of others: every URL given, both of them secured, nothing embedded started."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from confluent_kafka import Consumer

from deploy.local.samples import letters
from deploy.local.session import Session
from producers.clients import librdkafka
from schemas.topics import tenant_results
from tests.cluster.servers import PLATFORM, Cluster, Database
from tests.flow.jobs import ended, submit
from tests.support import environment, until

pytestmark = [pytest.mark.stack, pytest.mark.needs("pg0")]


@pytest.fixture(scope="module")
def given(cluster: Cluster, database: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an operator sets, and nothing else that names a place."""
    return environment(cluster.login(PLATFORM)) | {
        "HEADRACE_POSTGRES_ADMIN": database.by("verify-full", database.ca),
        "HEADRACE_BLOBS": tmp_path_factory.mktemp("blobs").as_uri(),
        "HEADRACE_ENGINES": "fake",
        "HEADRACE_DEV": "true",
        "HEADRACE_TENANT_TOPICS": '{"demo": "User:demo"}',
    }


@pytest.fixture(scope="module")
def stack(given: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(tmp_path_factory.mktemp("given"), given) as running:
        yield running


def _headrace(given: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        env=os.environ | given, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_a_document_goes_to_search_and_to_its_tenants_topic_with_every_url_given_and_nothing_embedded(
    stack: Session, cluster: Cluster, tmp_path: Path
) -> None:
    assert not stack.pids().keys() & {"kafka", "postgres"}
    assert not [name for name in ("kafka", "postgres", "blobs") if (stack.folder / name).exists()]
    letters(tmp_path / "two.pdf", 2)
    with httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=30) as client:
        job = submit(client, (tmp_path / "two.pdf").read_bytes()).json()["id"]
        view = ended(client, job, 90)
        assert (view["state"], view["pages_done"]) == ("succeeded", 2)
        page = client.get(f"/v1/jobs/{job}/result").json()["pages"][1]
        hits = client.post("/v1/search", json={"query": page["text"]}).json()["hits"]
        assert (hits[0]["job"], hits[0]["page"]) == (job, 2)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["degraded"]) == (200, [])
    tenant = Consumer(
        {**librdkafka(cluster.login("demo")), "group.id": "demo.reader", "isolation.level": "read_committed",
         "auto.offset.reset": "earliest"}
    )  # fmt: skip
    tenant.subscribe([tenant_results("demo").name])
    kinds: list[str | bytes | None] = []

    def told() -> bool:
        message = tenant.poll(0.5)
        if message is not None and message.error() is None and message.key() == job.encode():
            kinds.append(dict(message.headers() or [])["ce_type"])
        return b"headrace.JobEnded.v1" in kinds

    until(told, 40, "the end of the job on the tenant's own topic, read by the tenant")
    assert Counter(kinds) == {b"headrace.JobEnded.v1": 1, b"headrace.PageEnded.v1": 2}
    tenant.close()


def test_roles_of_the_platform_check_the_databases_certificate_too(stack: Session) -> None:
    environments = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in stack.pids().values()]
    urls = [
        item.partition(b"=")[2].decode() for items in environments for item in items
        if item.startswith(b"HEADRACE_POSTGRES=")
    ]  # fmt: skip
    assert urls
    assert {parse_qs(urlsplit(url).query)["sslmode"][0] for url in urls} == {"verify-full"}
    assert not any(item.startswith(b"HEADRACE_POSTGRES_ADMIN=") for items in environments for item in items)


def test_doctor_and_topics_look_at_the_servers_that_were_given(given: dict[str, str], stack: Session) -> None:
    place = ("--data-dir", str(stack.folder))
    examined = json.loads(_headrace(given, "doctor", *place, "--json").stdout)["checks"]
    states = {check["name"]: check["state"] for check in examined}
    assert (states["topics"], states["migrations"], states["server"]) == ("ok", "ok", "ok")
    planned = _headrace(given, "topics", "plan")
    assert (planned.returncode, planned.stdout) == (0, "the log is as declared\n")
    assert _headrace(given, "topics", "apply").returncode == 0


def test_a_wrong_password_is_told_by_every_command_and_never_shown(given: dict[str, str], tmp_path: Path) -> None:
    wrong = given | {"HEADRACE_KAFKA_PASSWORD": "not-the-password"}
    planned = _headrace(wrong, "topics", "plan")
    assert planned.returncode == 3
    assert "Kafka refuses the login" in planned.stderr
    examined = _headrace(wrong, "doctor", "--data-dir", str(tmp_path), "--json")
    [check] = [check for check in json.loads(examined.stdout)["checks"] if check["name"] == "topics"]
    assert (check["state"], "refuses the login" in check["detail"]) == ("fail", True)
    assert "not-the-password" not in planned.stderr + planned.stdout + examined.stdout + examined.stderr


def test_up_refuses_a_login_without_the_broker_that_it_is_for(tmp_path: Path) -> None:
    done = _headrace({"HEADRACE_KAFKA_USERNAME": "somebody"}, "up", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "HEADRACE_KAFKA_USERNAME is set, but HEADRACE_KAFKA is not" in done.stderr
