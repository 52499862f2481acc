"""What a run left behind: the topics, PostgreSQL, every index and the deaths, read when nothing moves any more."""

import json
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from deploy.local.secret_store import TENANTS
from schemas.broker import Broker
from schemas.envelope import Envelope
from schemas.errors import RecordError
from schemas.records import Partition, Record
from schemas.topics import DEAD_LETTERS, TOPICS
from sinks.letter_rows import letter_row
from sinks.weaviate_client import WeaviateConnection
from tests.support import read

_OFFSETS = "__consumer_offsets"
_NOT_OF_JOBS = frozenset({"headrace.control", "headrace.attempts", "headrace.relay", "headrace.load"})


class Place(NamedTuple):
    """A part of a job in one run; part 0 is the document."""

    job: str
    run: int
    part: int


@dataclass(frozen=True, slots=True)
class Said:
    """A record that has an envelope. `at` in milliseconds since 1970, as its producer said."""

    topic: str
    partition: int
    offset: int
    at: int
    id: str
    kind: str
    place: Place
    tenant: str
    envelope: Envelope
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Commit:
    """A group told how far it is, at a time (ms)."""

    group: str
    topic: str
    partition: int
    offset: int
    at: int


@dataclass(frozen=True, slots=True)
class Death:
    """A failpoint fired with a record in flight, at a time (ms)."""

    slot: str
    window: str
    in_flight: str
    at: int


@dataclass(frozen=True, slots=True)
class Job:
    """A row of `jobs`."""

    id: str
    tenant: str
    state: str
    run: int
    pages: int | None
    deadline: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row about a part: of `results`, or of the parts' current runs."""

    job: str
    part: int
    tenant: str
    id: str
    kind: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """What an index holds under an id, and in whose name."""

    id: str
    job: str
    tenant: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything that a verdict rests on."""

    said: Sequence[Said] = ()
    commits: Sequence[Commit] = ()
    deaths: Sequence[Death] = ()
    jobs: Sequence[Job] = ()
    results: Sequence[Row] = ()
    parts: Sequence[Row] = ()
    indexes: Mapping[str, Sequence[Passage]] = ()  # type: ignore[assignment]
    letters: Collection[str] = ()
    letter_rows: Collection[str] = ()
    """The dead letters on the log and those in the table, by the rows' ids."""


async def collect(broker: Broker, database: str, weaviate: tuple[str, str] | None, run_dir: Path) -> History:
    """Read it all. `database` is the owner's URL, `weaviate` its REST and gRPC addresses."""
    indexes = {"pgvector": await _passages(database)}
    if weaviate is not None:
        indexes["weaviate"] = await _objects(*weaviate)
    jobs = "select id, tenant, state, run, pages_total, deadline, finished_at from jobs"
    results = "select job, part, tenant, ce_id::text, '', text from results"
    parts = "select job, part, tenant, ce_id::text, kind from current_parts"
    return History(
        said=[one for name in TOPICS if name.name not in _NOT_OF_JOBS for one in topic(broker, name.name)],
        commits=list(_commits(read(broker, _OFFSETS))),
        deaths=_deaths(run_dir / "kills.ndjson"),
        jobs=[Job(*row) for row in await _rows(database, jobs)],
        results=[Row(*row) for row in await _rows(database, results)],
        parts=[Row(*row) for row in await _rows(database, parts)],
        indexes=indexes,
        letters={letter_row(_record(one))["id"] for one in read(broker, DEAD_LETTERS.name)},
        letter_rows={row["id"] for row in await _rows(database, "select id::text from dead_letters")},
    )


def topic(broker: Broker, name: str) -> Iterable[Said]:
    """All that lies on a topic and has an envelope."""
    for message in read(broker, name):
        try:
            envelope = Envelope.from_headers(message.headers() or ())
        except RecordError:  # what a row put there to be refused
            continue
        place = Place(envelope.job, envelope.run, envelope.part)
        yield Said(
            name, message.partition(), message.offset(), message.timestamp()[1], str(envelope.id), envelope.name,
            place, envelope.tenant, envelope, _json(message.value()),
        )  # fmt: skip


def _json(value: bytes | None) -> Mapping[str, Any]:
    try:
        found = json.loads(value or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _record(message: Any) -> Record:
    place = Partition(message.topic(), message.partition())
    headers = tuple(message.headers() or ())
    return Record(place, message.offset(), 0, message.key(), message.value(), headers, message.timestamp()[1] / 1000)


def _commits(messages: Iterable[Any]) -> Iterable[Commit]:
    """Kafka's own log of commits: key (version, group, topic, partition), value (version, offset …)."""
    for message in messages:
        key, value = message.key(), message.value()
        if value is None or struct.unpack_from(">h", key)[0] > 1:  # forgotten, or about a group's members
            continue
        group, at = _text(key, 2)
        topic, at = _text(key, at)
        (partition,) = struct.unpack_from(">i", key, at)
        (offset,) = struct.unpack_from(">q", value, 2)
        yield Commit(group, topic, partition, offset, message.timestamp()[1])


def _text(key: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", key, at)
    return key[at + 2 : at + 2 + length].decode(), at + 2 + length


def _deaths(path: Path) -> list[Death]:
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [Death(line["slot"], line["window"], line["at"], int(line["time"] * 1000)) for line in lines]


async def _passages(database: str) -> list[Passage]:
    return [Passage(*row) for row in await _rows(database, "select id::text, job, tenant from chunks")]


async def _objects(rest: str, grpc: str) -> list[Passage]:
    connection = WeaviateConnection(rest, grpc)
    found = []
    try:
        passages = await connection.passages()
        for tenant in set(TENANTS) & set(await passages.tenants.get()):
            own = passages.with_tenant(tenant).iterator(return_properties=["job"])
            found += [Passage(str(item.uuid), str(item.properties["job"]), tenant) async for item in own]
    finally:
        await connection.close()
    return found


async def _rows(database: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(database)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()
