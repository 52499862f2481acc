"""Endpoints of real tables, a courier on real sockets, and receivers."""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

from schemas import topics, webhooks
from schemas.destinations import Destinations
from schemas.documents import Payload
from schemas.envelope import Envelope, new_trace
from schemas.plans import DOCUMENT
from schemas.records import Partition, Record
from schemas.results import DocumentDeleted, JobEnded, PageEnded
from schemas.webhooks import Endpoint, NewEndpoint, SecretVersion
from schemas.work import Task
from sinks.postgres.deliveries import Deliveries
from sinks.postgres.engine import connect
from sinks.postgres.webhooks import PostgresWebhookStore
from sinks.webhooks.courier import Courier, Parts
from sinks.webhooks.egress import Egress
from sinks.webhooks.intake import Webhooks
from sinks.webhooks.opening import signed
from sinks.webhooks.signing import Signer
from tests.sinks.databases import NO_FAILPOINTS, Database
from tests.support import BESIDE
from tests.webhooks.receivers import Behaviour, Receivers, receiving

T = TypeVar("T")

SIGNER = Signer({1: b"a server's key"})
LOCAL = Destinations(allow=(ip_network("127.0.0.0/8"), ip_network("::1")))


def event(payload: Payload, *, tenant: str = "demo", job: str = "", part: int = 0, document: str = "doc") -> Task:
    """An event as it lies on `headrace.results`; of the same words it has the same id."""
    named = f"{tenant}|{job}|{part}|{document}|{payload.model_dump_json()}"
    envelope = Envelope(
        id=uuid.uuid5(uuid.NAMESPACE_OID, named), kind=payload.kind(), at=datetime.now(UTC), job=job, run=1, part=part,
        tenant=tenant, plan=DOCUMENT.hash, document=document, traceparent=new_trace(),
    )  # fmt: skip
    record = Record(Partition(topics.RESULTS.name, 0), 0, 1, job.encode(), b"", (), time.time())
    return Task(envelope, payload, record)


def ended(job: str, state: str = "succeeded", **about: str) -> Task:
    """A job that came to its end."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    payload = JobEnded.model_validate(
        {"state": state, "filename": "a.pdf", "pages_total": 1, "pages_succeeded": 1, "finished_at": at,
         "result": f"/v1/jobs/{job}/result"}
    )  # fmt: skip
    return event(payload, job=job, **about)


def page(job: str, text: str, **about: str) -> Task:
    """A page that was read."""
    payload = PageEnded(state="succeeded", result=f"/v1/jobs/{job}/pages/1", text=text)
    return event(payload, job=job, part=1, **about)


def deleted(document: str) -> Task:
    """A document that was deleted."""
    return event(DocumentDeleted(), document=document)


@dataclass
class World:
    """One tenant's endpoints, and whoever delivers to them."""

    store: PostgresWebhookStore
    intake: Webhooks
    courier: Courier
    receivers: Receivers

    async def endpoint(self, name: str, behave: Behaviour, *, tenant: str = "demo", **wanted: object) -> Endpoint:
        """An endpoint that is not verified yet."""
        told = NewEndpoint.model_validate({"url": self.receivers.url(name, behave), **wanted})
        secret = SecretVersion(key=1, version=1)
        made = await self.store.create(tenant, webhooks.new_endpoint_id(), told, secret, "a test")
        self.courier.ring()
        return made

    async def active(self, name: str, behave: Behaviour, *, tenant: str = "demo", **wanted: object) -> Endpoint:
        """An endpoint that told its code back."""
        made = await self.endpoint(name, behave, tenant=tenant, **wanted)
        return await self.state(made, "active", tenant=tenant)

    async def state(self, endpoint: Endpoint, state: str, *, tenant: str = "demo", seconds: float = 30) -> Endpoint:
        """The endpoint once it is in a state."""

        async def found() -> Endpoint | None:
            now = await self.store.endpoint(tenant, endpoint.id)
            return now if now is not None and now.state == state else None

        return await eventually(found, f"{endpoint.url} is {state}", seconds)

    async def delivery(self, endpoint: Endpoint, message: str, state: str) -> webhooks.DeliveryView:
        """The delivery once it is in a state."""

        async def found() -> webhooks.DeliveryView | None:
            now = await self.store.delivery("demo", endpoint.id, message)
            return now if now is not None and now.state == state else None

        return await eventually(found, f"{message} is {state}")

    async def came(self, name: str, count: int, *, seconds: float = 30) -> list[str]:
        """The ids of what came to a receiver, once there are so many."""

        async def found() -> list[str] | None:
            ids = [arrival.id for arrival in self.receivers.came(name)]
            return ids if len(ids) >= count else None

        return await eventually(found, f"{count} deliveries came to {name}", seconds)


async def eventually(found: Callable[[], Awaitable[T | None]], what: str, seconds: float = 30) -> T:
    """Wait for a condition on the event loop; the first value of it that is true."""
    deadline = time.monotonic() + seconds * BESIDE
    while not (value := await found()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)
    return value


@asynccontextmanager
async def delivering(
    database: Database,
    *,
    schedule: tuple[float, ...] = (0.0, 0.1, 0.3),
    seconds: float = 10.0,
    hours: float = 120.0,
    kind: type[Deliveries] = Deliveries,
    ca: Path | None = None,
) -> AsyncIterator[World]:
    """A world whose courier works while the block lasts."""
    lazy, egress = connect(database.sink, lazily=True), Egress(LOCAL, seconds=seconds, ca=ca)

    book = kind(lazy, lease_seconds=4 * seconds, longest_hours=hours)
    courier = Courier(
        Parts(
            book,
            egress.session,
            partial(signed, SIGNER),
            NO_FAILPOINTS,
            schedule,
            seconds,
            4 * seconds,
            dice=random.Random(7),
        )
    )
    store = PostgresWebhookStore(database.api)
    intake = Webhooks(connect(database.sink), NO_FAILPOINTS, "https://headrace.example", due=courier.ring)
    async with receiving() as receivers:
        task = asyncio.create_task(courier.run())
        try:
            yield World(store, intake, courier, receivers)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await egress.close()
            await store.close()
            await intake.close()
            await lazy.dispose()
