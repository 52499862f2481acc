"""What docker-compose.kafka.yml starts, started as plain processes: its commands, environment and health checks.

Names of hosts and folders become those of this machine, and engines are fakes; all else is as in the file.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx2
import pytest

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.samples import letters
from deploy.local.weaviate import PORTS, Weaviate
from tests.deploy import compose
from tests.deploy.compose import ONCE, OURS
from tests.flow.jobs import ended, submit
from tests.support import until

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.needs("weaviate-server")]
READY_SECONDS = 180.0


@dataclass
class Platform:
    """`places`: what stands in the file, and what it is here."""

    folder: Path
    given: Mapping[str, str]
    key: str
    places: Mapping[str, str]
    extra: Mapping[str, str]
    api_port: int = 0
    metrics: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def here(self, text: str, service: str) -> str:
        """`text` of the file as it is to be on this machine."""
        for there, place in {**self.places, ":8000": f":{self.api_port}", ":9100": f":{self.metrics[service]}"}.items():
            text = text.replace(there, place)
        return {"8000": str(self.api_port), "9100": str(self.metrics[service])}.get(text, text)

    def argv(self, service: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", *(self.here(word, service) for word in OURS[service]["command"])]

    def environment(self, service: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        told = compose.environment(service, self.given)
        return own | self.extra | {name: self.here(value, service) for name, value in told.items()}

    def once(self, service: str) -> None:
        done = subprocess.run(
            self.argv(service),
            env=self.environment(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{service}: {done.stderr}"

    def start(self, service: str) -> None:
        log = self.folder / f"{service}.log"
        self.running[service] = children.spawn(self.argv(service), log=log, env=self.environment(service))

    def healthy(self, service: str) -> bool:
        assert self.running[service].poll() is None, children.tail(self.folder / f"{service}.log")
        test = [self.here(word, service) for word in OURS[service]["healthcheck"]["test"][1:]]
        return subprocess.run([sys.executable, *test[1:]], capture_output=True, check=False).returncode == 0


async def _database(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("compose")
    made, key = compose.made_env()
    with ExitStack() as servers:
        kafka = Kafka(folder / "kafka", *ports.free(2))
        postgres = Postgres(folder / "postgres", *ports.free(), settings={"fsync": "off"})
        weaviate = Weaviate(folder / "weaviate", ports.free(len(PORTS)), key=made["HEADRACE_WEAVIATE_KEY"])
        for server in (kafka, postgres, weaviate):
            servers.enter_context(children.running(server))
        asyncio.run(_database(postgres.url, compose.SERVICES["postgres"]["environment"]["POSTGRES_DB"]))
        password = postgres.url.split(":")[2].split("@")[0]
        bytes_at = folder / "var"
        (bytes_at / "run").mkdir(parents=True)
        built = Platform(
            folder,
            {**made, "POSTGRES_PASSWORD": password, "HEADRACE_INDEXES": "pgvector,weaviate"},
            key,
            {
                "kafka:9092": kafka.broker.bootstrap, "@postgres:5432": f"@127.0.0.1:{postgres.port}",
                "http://weaviate:8080": weaviate.url, "/var/lib/headrace": str(bytes_at),
            },
            {"HEADRACE_ENGINES": "fake", "HEADRACE_WEAVIATE_GRPC": weaviate.grpc},
        )  # fmt: skip
        built.api_port, *members = ports.free(1 + len(OURS))
        built.metrics.update(zip(OURS, members, strict=True))
        yield built
        children.end(built.running.values())


def test_the_services_come_up_in_their_order_do_the_work_and_leave_when_told(
    platform: Platform, tmp_path: Path
) -> None:
    for service in ONCE:
        platform.once(service)
        platform.once(service)  # as after every `up`
    for service in OURS.keys() - ONCE.keys():
        platform.start(service)
    for service in platform.running:
        until(lambda name=service: platform.healthy(name), READY_SECONDS, f"{service} to be healthy")

    letters(tmp_path / "two.pdf", 2)
    authorised = {"Authorization": f"Bearer {platform.key}"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{platform.api_port}", headers=authorised, timeout=30) as client:
        job = submit(client, (tmp_path / "two.pdf").read_bytes(), document_id="letter").json()["id"]
        assert ended(client, job, 60)["state"] == "succeeded"
        text = client.get(f"/v1/jobs/{job}/result").json()["pages"][0]["text"]
        assert {hit["job"] for hit in client.post("/v1/search", json={"query": text}).json()["hits"]} == {job}

    for child in platform.running.values():
        child.send_signal(signal.SIGTERM)
    ends = {name: child.wait(30) for name, child in platform.running.items()}  # stop_grace_period
    assert ends.pop("api") in (0, -signal.SIGTERM), "uvicorn ends gracefully, and then by the signal that it was told"
    assert ends == dict.fromkeys(ends, 0)
