"""A whole stack to be broken: servers in our own hand, wires that can be cut, and the platform's own processes."""

import shutil
import subprocess
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2

from deploy.local import ports
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.session import Session
from deploy.local.weaviate import PORTS, Weaviate
from producers import provisioning
from producers.lag import LagSource
from schemas.broker import Broker
from schemas.errors import DependencyDown
from schemas.jobs import TERMINAL, JobState
from schemas.settings import Settings
from tests import tools
from tests.faults.cluster import Cluster
from tests.faults.disk import mounted
from tests.faults.history import History, collect
from tests.faults.servers import Held
from tests.faults.toxiproxy import Toxiproxy, Wire


@dataclass(frozen=True, slots=True)
class Plan:
    """What a world is to be like; rows that want the same share one. Pairs, so that it can be a key.

    `name` sets a world apart that is otherwise like another; `settings` are variables of the platform's processes;
    `disk` is the size in MiB of the file system that the broker writes to (0: the machine's own); `brokers` one or
    three; `models`: whether the model cache is a copy, to be spoilt; `clocks`: whether those of the platform's
    processes obey `set_clocks`.
    """

    name: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    disk: int = 0
    brokers: int = 1
    models: bool = False
    clocks: bool = False

    @property
    def indexes(self) -> tuple[str, ...]:
        """The indexes that jobs need: both, where Weaviate can be had."""
        return ("pgvector",) if tools.missing("weaviate-server") else ("pgvector", "weaviate")


PLAIN = Plan()
_PYTHON = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONFAULTHANDLER": "1"}
"""What is compiled stays compiled, as where it is installed; and a process that crashes says where."""


class World:
    """Runs until the `with` block ends; every server is reached by the platform through a wire of `wires`."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.wires: dict[str, Wire] = {}
        self.servers: dict[str, Held] = {}
        self._held = ExitStack()
        self.stack: Session

    def __enter__(self) -> "World":
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._held.close()

    @property
    def broker(self) -> Broker:
        """Kafka past every wire, for the judge."""
        return self._broker

    @property
    def database(self) -> str:
        """The owner's URL past every wire."""
        return self._postgres.url

    @property
    def vectors(self) -> tuple[str, str] | None:
        """Weaviate's addresses past every wire, where there is one."""
        return (self._weaviate.url, self._weaviate.grpc) if "weaviate" in self.servers else None

    def client(self, tenant: str = "demo", timeout: float = 20) -> httpx2.Client:
        """A caller."""
        return httpx2.Client(
            base_url=self.stack.url, headers=self.stack.headers(tenant), timeout=timeout, trust_env=False
        )

    async def history(self) -> History:
        """What lies everywhere now."""
        return await collect(self.broker, self.database, self.vectors, self.stack.folder / "run")

    def behind(self) -> dict[str, int]:
        """Groups with records that wait, and how many; raises `DependencyDown`.

        The mark that ends a transaction is no record, but counts in offsets: nothing of it has an age.
        """
        source = LagSource(self.broker)
        try:
            return {group.group: group.lag for group in source.read() if group.oldest_age_seconds > 0.5}
        finally:
            source.close()

    def caught_up(self) -> bool:
        """Whether nothing waits."""
        try:
            return not self.behind()
        except DependencyDown:
            return False

    async def ended(self, jobs: Collection[str]) -> bool:
        """Whether every one of the jobs came to an end; no answer is no."""
        try:
            connection = await asyncpg.connect(self.database)
        except (OSError, asyncpg.PostgresError):
            return False
        try:
            states = await connection.fetch("select state from jobs where id = any($1)", list(jobs))
        finally:
            await connection.close()
        return len(states) == len(jobs) and all(JobState(row["state"]) in TERMINAL for row in states)

    def set_clocks(self, seconds: int) -> None:
        """Make the wall clocks of the platform's processes, not those of its servers, wrong by so much."""
        draft = self.folder / "clock.new"
        draft.write_text(str(seconds))
        draft.replace(self.folder / "clock")

    def mend(self) -> None:
        """Undo every fault that a row may have left."""
        for held in self.servers.values():
            held.resume()
        for wire in self.wires.values():
            wire.mend()

    def _start(self) -> None:
        poisoned = None
        if not tools.missing("toxiproxy-server"):
            poisoned = self._held.enter_context(Toxiproxy(self.folder))
        settings = {"HEADRACE_ENGINES": "sleep:0.02", "HEADRACE_INDEXES": ",".join(self.plan.indexes), **_PYTHON}
        settings |= self._kafka(poisoned) if self.plan.brokers == 1 else self._brokers()
        settings |= self._database(poisoned)
        if "weaviate" in self.plan.indexes:
            settings |= self._vectors(poisoned)
        if self.plan.clocks:
            self.set_clocks(0)
            library, source = self.folder / "clock.so", Path(__file__).with_name("clock.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source)], check=True)
            settings |= {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self.folder / "clock")}
        if self.plan.models:
            shutil.copytree(Settings().models, self.folder / "models")
            settings["HEADRACE_MODELS"] = str(self.folder / "models")
        (self.folder / "stack" / "run" / "failpoints").mkdir(parents=True)
        session = Session(self.folder / "stack", settings | dict(self.plan.settings))
        self.stack = self._held.enter_context(session)

    def _wire(self, proxies: Toxiproxy | None, name: str, upstream: int) -> int:
        if proxies is None:
            return upstream
        self.wires[name] = proxies.wire(name, upstream)
        return self.wires[name].port

    def _kafka(self, proxies: Toxiproxy | None) -> dict[str, str]:
        """A broker that tells its clients the wires' ports, workers and API processes each their own."""
        direct, controller, workers, apis = ports.free(4)
        names = {"WORKERS": workers, "APIS": apis}
        wired = {name: self._wire(proxies, f"kafka-{name.lower()}", port) for name, port in names.items()}
        listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in {"PLAINTEXT": direct, **names}.items())
        told = ",".join(f"{name}://127.0.0.1:{port}" for name, port in {"PLAINTEXT": direct, **wired}.items())
        properties = {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": told,
            "listener.security.protocol.map": ",".join(
                f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "WORKERS", "APIS", "CONTROLLER")
            ),
            "inter.broker.listener.name": "PLAINTEXT",
        }
        if self.plan.disk:
            self._held.enter_context(mounted(self.folder / "kafka", self.plan.disk))
        self._broker = Broker(f"127.0.0.1:{direct}")
        server = Kafka(self.folder / "kafka", direct, controller, properties=properties)
        self.servers["kafka"] = self._held.enter_context(Held(server))
        self.api_kafka = f"127.0.0.1:{wired['APIS']}"
        return {"HEADRACE_KAFKA": f"127.0.0.1:{wired['WORKERS']}"}

    def _brokers(self) -> dict[str, str]:
        self.cluster = self._held.enter_context(Cluster(self.folder))
        self._broker = self.cluster.broker
        provisioning.apply(self._broker)  # with three replicas, before the stack would be content with one
        return {"HEADRACE_KAFKA": self._broker.bootstrap}

    def _database(self, proxies: Toxiproxy | None) -> dict[str, str]:
        (port,) = ports.free(1)
        self._postgres = Postgres(self.folder / "postgres", port)
        self.servers["postgres"] = self._held.enter_context(Held(self._postgres))
        place = urlsplit(self._postgres.url)
        host = f"127.0.0.1:{self._wire(proxies, 'postgres', port)}"
        netloc = f"{place.netloc.rpartition('@')[0]}@{host}"
        return {"HEADRACE_POSTGRES_ADMIN": urlunsplit(place._replace(netloc=netloc))}

    def _vectors(self, proxies: Toxiproxy | None) -> dict[str, str]:
        own = ports.free(len(PORTS))
        self._weaviate = Weaviate(self.folder / "weaviate", own)
        self.servers["weaviate"] = self._held.enter_context(Held(self._weaviate))
        rest, grpc = (self._wire(proxies, f"weaviate-{name}", port) for name, port in zip(PORTS, own[:2], strict=False))
        return {"HEADRACE_WEAVIATE": f"http://127.0.0.1:{rest}", "HEADRACE_WEAVIATE_GRPC": f"127.0.0.1:{grpc}"}
