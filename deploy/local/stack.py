"""The platform on one machine: Kafka, PostgreSQL, and every step, sink and API process in a slot of its own."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.local import layout, ports, secret_store
from deploy.local.children import Server, StartFailed
from deploy.local.journal import Report
from deploy.local.kafka import Kafka
from deploy.local.layout import Layout
from deploy.local.postgres import Postgres
from deploy.local.secret_store import Secrets
from deploy.local.slots import Group, Slot
from deploy.local.supervisor import Supervisor
from schemas.broker import Broker
from schemas.settings import Settings

APIS = ("api-1", "api-2")
# asyncio reads into 256 KB at a time and gives most of it back at once. By default glibc learns to take such pieces
# from the heap, which they tear: in four minutes of work the dispatcher grew by 1.7 MB with this, by 7.7 without.
SMALL = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(128 * 1024),
    "MALLOC_MMAP_THRESHOLD_": str(128 * 1024),
}
"""What the environment tells a process without engines: memory that it does not need goes back."""
ENGINES = {
    "OMP_NUM_THREADS": "1",
    # An engine takes and gives back some hundred MB a page. By default glibc maps and unmaps them each time, most of
    # all in another thread than the first: a fortieth of an OCR worker's time went to page faults.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
    "MALLOC_MMAP_THRESHOLD_": str(256 * 1024**2),
}
"""What the environment tells a process that runs engines: one a core, and memory that it keeps from page to page."""
SINKS = ("projector", "index-pgvector", "relay", "eraser", "dead-letters", "reconciler", "dispatcher", "webhooks")


class PortTaken(Exception):
    """The port that was asked for is another process's."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment names: for the rest, embedded parts are started."""

    kafka: Broker | None
    postgres_admin: str | None
    blobs: str | None
    weaviate: str | None
    ocr_workers: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Given":
        """From `HEADRACE_KAFKA` and what belongs to it, `HEADRACE_POSTGRES_ADMIN`, `HEADRACE_BLOBS`,
        `HEADRACE_WEAVIATE`, `HEADRACE_OCR_WORKERS`.

        Raises `StartFailed` where the broker's login or TLS is set, and the broker is not.
        """
        kafka = environment.get("HEADRACE_KAFKA")
        if not kafka and (stray := sorted(name for name in environment if name.startswith("HEADRACE_KAFKA_"))):
            raise StartFailed(f"{stray[0]} is set, but HEADRACE_KAFKA is not: the embedded broker has no login or TLS")
        default = max(1, min(2, len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1))
        return cls(
            Settings().broker if kafka else None,
            environment.get("HEADRACE_POSTGRES_ADMIN"),
            environment.get("HEADRACE_BLOBS"),
            environment.get("HEADRACE_WEAVIATE"),
            int(environment.get("HEADRACE_OCR_WORKERS") or default),
        )


class Stack:
    """One embedded stack: composes the slots out of what is given, what is kept and what is free."""

    def __init__(self, place: Layout, given: Given, port: int | None) -> None:
        self._layout = place
        self._given = given
        self._steps = ("prepare-1", *(f"ocr-{n + 1}" for n in range(given.ocr_workers)), "chunk-1", "embed-1")
        self._sinks = tuple(f"{name}-1" for name in (*SINKS, *(["index-weaviate"] if given.weaviate else [])))
        names = ("api", "kafka", "kafka-controller", "postgres", *APIS, *self._steps, *self._sinks)
        self._ports = ports.keep(place.ports, names, {} if port is None else {"api": port})
        self._secrets = secret_store.load(place)
        self._kafka = Kafka(
            place.data / "kafka", self._ports["kafka"], self._ports["kafka-controller"], place.log("kafka")
        )
        self._postgres = Postgres(place.data / "postgres", self._ports["postgres"], log=place.log("postgres"))
        self._listener = _listen(self._ports["api"])

    @property
    def url(self) -> str:
        """Where the API listens."""
        return f"http://127.0.0.1:{self._ports['api']}"

    @property
    def secrets(self) -> Secrets:
        """The stack's secrets."""
        return self._secrets

    @property
    def admin_url(self) -> str:
        """The database owner's URL, once the database's folder is made."""
        return self._given.postgres_admin or self._postgres.url

    @property
    def broker(self) -> Broker:
        """How clients reach the log."""
        return self._given.kafka or self._kafka.broker

    def close(self) -> None:
        """Let go of the port that all API processes listen on."""
        self._listener.close()

    def servers(self) -> Iterator[Slot]:
        """PostgreSQL and Kafka, unless given, with their folders made ready."""
        if self._given.postgres_admin is None:
            yield _slot_of(self._postgres, "postgres", self._ports["postgres"])
        if self._given.kafka is None:
            yield _slot_of(self._kafka, "kafka", self._ports["kafka"])

    def processes(self) -> Iterator[Slot]:
        """Topics and tables made ready; then the platform's own processes."""
        from producers import provisioning
        from sinks.postgres.migrate import migrate

        provisioning.apply(self.broker, dev=True, tenants=Settings().tenant_topics)
        migrate(self.admin_url, self._secrets.passwords)
        yield from self.members()

    def members(self) -> Iterator[Slot]:
        """The platform's own processes, whatever the log and the database hold."""
        for name in APIS:
            argv = ("api.main", "--fd", str(self._listener.fileno()), "--own-port", str(self._ports[name]))
            yield self._slot(name, "api", argv, pass_fds=(self._listener.fileno(),))
        for name in self._steps:
            yield self._slot(name, "worker", ("processors.worker", name.rpartition("-")[0]))
        for name in self._sinks:
            yield self._slot(name, "sink", ("sinks.worker", name.rpartition("-")[0]))

    def _slot(self, name: str, group: Group, module: tuple[str, ...], pass_fds: tuple[int, ...] = ()) -> Slot:
        # -P: a file or folder of the user's named like a module of ours must not be imported in its place
        argv = (sys.executable, "-P", "-m", *module)
        return Slot(name, group, argv, self._environment(name, group), self._ports[name], pass_fds)

    def _environment(self, name: str, group: Group) -> dict[str, str]:
        """What a process is told: its own role's password, and keys only where they are used."""
        inherited = {key: value for key, value in os.environ.items() if key != "HEADRACE_POSTGRES_ADMIN"}
        told = {
            "HEADRACE_KAFKA": self.broker.bootstrap,
            "HEADRACE_BLOBS": self._given.blobs or (self._layout.data / "blobs").as_uri(),
            "HEADRACE_SLOT": name,
            "HEADRACE_RUN_DIR": str(self._layout.run),
            "HEADRACE_DEV": "true",
            **(ENGINES if group in ("api", "worker") else SMALL),
        }
        if group == "api" or name.startswith("webhooks-"):  # receivers on this machine, to try it
            told["HEADRACE_WEBHOOK_ALLOW"] = inherited.get("HEADRACE_WEBHOOK_ALLOW") or "127.0.0.0/8,::1/128"
        if group == "api":
            told["HEADRACE_ID_KEYS"] = json.dumps(self._secrets.id_keys)
            told["HEADRACE_API_KEYS"] = json.dumps(self._secrets.hashed_api_keys())
            told["HEADRACE_PUBLIC_URL"] = inherited.get("HEADRACE_PUBLIC_URL") or self.url
        else:
            told["HEADRACE_METRICS_PORT"] = str(self._ports[name])
        if name.startswith("webhooks-"):
            told["HEADRACE_ID_KEYS"] = json.dumps(self._secrets.id_keys)
            told["HEADRACE_PUBLIC_URL"] = inherited.get("HEADRACE_PUBLIC_URL") or self.url
        if group in ("api", "sink") and name != "eraser-1":  # it knows of nothing but bytes
            told["HEADRACE_POSTGRES"] = self._role_url(f"headrace_{group}")
        return inherited | told

    def _role_url(self, role: str) -> str:
        admin = urlsplit(self.admin_url)
        place = admin.netloc.rpartition("@")[2]
        return urlunsplit(admin._replace(netloc=f"{role}:{quote(self._secrets.passwords[role], safe='')}@{place}"))


def up(data: Path, port: int | None, report: Report) -> None:
    """Run a stack in `data` until SIGTERM or SIGINT; raises `AlreadyUp`, `PortTaken`, `StartFailed`, `JarRefused`."""
    began = time.monotonic()
    place = Layout(data.absolute())
    place.make()
    with place.held():
        supervisor = Supervisor(place, report)
        supervisor.clean()
        stack = Stack(place, Given.read(os.environ), port)
        layout.write(place.credentials, {"url": stack.url, "api_keys": stack.secrets.api_keys})
        layout.write_text(place.header, f"Authorization: Bearer {stack.secrets.api_keys['demo']}\n")
        on_ready = partial(_announce, place, stack.url, began, report)
        supervisor.run((stack.servers, stack.processes), on_ready=on_ready, address=stack.url)


def supervisor_of(data: Path) -> int | None:
    """The pid of the supervisor that works in `data` now, if any."""
    return Layout(data.absolute()).holder()


def down(data: Path, timeout: float) -> int | None:
    """Tell the supervisor to end and wait for it, at most `timeout` seconds; its pid, None where none works there."""
    pid = supervisor_of(data)
    if pid is None:
        return None
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while supervisor_of(data) == pid and time.monotonic() < deadline:
        time.sleep(0.05)
    return pid


def status(data: Path) -> dict[str, Any] | None:
    """What the supervisor last wrote about its slots, None where none works there."""
    if supervisor_of(data) is None:
        return None
    found: dict[str, Any] | None = layout.read(Layout(data.absolute()).status)
    return found


def _announce(place: Layout, url: str, began: float, report: Report) -> None:
    report(
        f"API {url}   keys {place.credentials}   logs {place.logs}\n"
        f"try: curl -H @{place.header} -F file=@invoice.pdf {url}/v1/jobs\n"
        "This is a development stack: one replica of everything, no safety against power loss.\n"
        f"ready in {time.monotonic() - began:.1f} s"
    )


def _slot_of(server: Server, group: Group, port: int) -> Slot:
    server.prepare()
    argv = tuple(server.command())
    return Slot(
        server.name,
        group,
        argv,
        port=port,
        probe=server.answers,
        stop_signal=server.stop_signal,
        death_signal=server.death_signal,
    )


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=512)
    except OSError as error:
        raise PortTaken(f"port {port} of 127.0.0.1 is taken by another process") from error
