"""Receivers that are bad in every way: each is tried by the schedule, and none costs another more than a second."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from schemas.webhooks import Endpoint, message_id
from sinks.webhooks.verdicts import JITTER
from tests.sinks.databases import Database, rows
from tests.webhooks.receivers import Arrival, Behaviour, answering, dripping, dripping_head, hanging
from tests.webhooks.worlds import World, delivering, ended, eventually

pytestmark = pytest.mark.alone
OK = answering(204)
SCHEDULE = (0.0, 0.2, 1.5)
SLACK = 1.25
"""Seconds that a busy machine may be late: less than the last wait, so that one twice as long is seen."""
MOST_SECONDS = 0.5
"""Of an attempt."""
WELL = ("well-a", "well-b")
MOST_DELAY = 1.0


class Kind(NamedTuple):
    """A way to be bad: what an attempt takes, and for how long the receiver asks to be let alone, in seconds."""

    behave: Behaviour
    takes: float = 0.0
    asks: float = 0.0


@dataclass
class Expired:
    """Shows a certificate that is no longer good, of an authority that is; `met` are the moments of connections."""

    ca: Path
    url: str = ""
    met: list[float] = field(default_factory=list)


@asynccontextmanager
async def _expired(folder: Path) -> AsyncIterator[Expired]:
    authority, context, receiver = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Expired(folder / "ca.pem")
    authority.cert_pem.write_to_path(str(receiver.ca))
    authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)).configure_cert(context)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.met.append(time.monotonic())
        with contextlib.suppress(OSError):
            await writer.start_tls(context)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        receiver.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield receiver


async def _moved(database: Database, endpoint: Endpoint, url: str) -> None:
    """As if its certificate had expired after it was verified."""
    await rows(database.admin, "UPDATE webhook_endpoints SET url = $1 WHERE id = $2", url, endpoint.id)


async def _endless(_: Arrival, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65536)
        await writer.drain()


async def test_each_bad_receiver_is_tried_by_the_schedule_within_its_jitter_and_given_up(
    database: Database, tmp_path: Path
) -> None:
    async with (
        _expired(tmp_path) as expired,
        delivering(database, schedule=SCHEDULE, seconds=MOST_SECONDS, ca=expired.ca) as world,
    ):
        kinds = {
            "errs": Kind(answering(500)),
            "elsewhere": Kind(answering(302, location=world.receivers.url("followed", OK))),
            "busy": Kind(answering(429)),
            "asks": Kind(answering(429, retry_after="1"), asks=1.0),
            "huge": Kind(answering(503, b"x" * 1_000_000)),
            "hangs": Kind(hanging, takes=MOST_SECONDS),
            "drips": Kind(dripping_head, takes=MOST_SECONDS),
            "expired": Kind(OK),
        }
        made = await asyncio.gather(*(world.active(name, kind.behave) for name, kind in kinds.items()))
        await _moved(database, made[-1], expired.url)
        task, began = ended("job_a"), time.monotonic()
        await world.intake.write([task])
        message = message_id(task.envelope.id)
        done = await asyncio.gather(*(world.delivery(endpoint, message, "failed") for endpoint in made))
        met = {name: [arrival.at for arrival in world.receivers.came(name)] for name in kinds} | {
            "expired": expired.met
        }
        assert not world.receivers.came("followed")
    assert [each.error for each in done] == ["", "", "", "", "", "timeout", "timeout", "tls"]
    for name, kind in kinds.items():
        waits = [after - before for before, after in zip([began, *met[name]], met[name], strict=False)]
        for wait, planned, tries in zip(waits, SCHEDULE, range(len(SCHEDULE)), strict=True):
            asked, took = (kind.asks, kind.takes) if tries else (0.0, 0.0)
            least, most = max(planned, asked), max(planned * (1 + JITTER), asked) + took + SLACK
            assert least <= wait <= most, (name, waits)


async def _slowest(world: World, series: str, batches: int) -> float:
    """The seconds that the slowest of many messages needs, from its being announced to a receiver that is well."""
    announced: dict[str, float] = {}
    for number in range(batches):
        tasks = [ended(f"job_{series}_{number}_{each}") for each in range(2)]
        announced |= dict.fromkeys((message_id(task.envelope.id) for task in tasks), time.monotonic())
        await world.intake.write(tasks)
        await asyncio.sleep(0.08)  # the pace of events

    async def all_came() -> float | None:
        found = []
        for name in WELL:
            came = {arrival.id: arrival.at for arrival in reversed(world.receivers.came(name))}
            if not announced.keys() <= came.keys():
                return None
            found += [came[message] - at for message, at in announced.items()]
        return max(found)

    return await eventually(all_came, f"all of {series} came to those that are well")


async def test_no_bad_receiver_costs_one_that_is_well_more_than_a_second(database: Database, tmp_path: Path) -> None:
    async with (
        _expired(tmp_path) as expired,
        delivering(database, schedule=(0.0, *[0.2] * 20), seconds=1.2, ca=expired.ca) as world,
    ):
        await asyncio.gather(*(world.active(name, OK) for name in WELL))
        alone = await _slowest(world, "alone", 10)
        kinds = {"hangs": hanging, "drips": dripping, "drips-head": dripping_head, "endless": _endless, "expired": OK}
        bad = {f"{kind}-{number}": kind for kind in kinds for number in range(2)}
        made = await asyncio.gather(*(world.active(name, kinds[kind]) for name, kind in bad.items()))
        for kind, endpoint in zip(bad.values(), made, strict=True):
            if kind == "expired":
                await _moved(database, endpoint, expired.url)
        beside = await _slowest(world, "beside", 20)
        wanted = {
            (endpoint.id, "tls" if kind == "expired" else "timeout")
            for kind, endpoint in zip(bad.values(), made, strict=True)
            if kind != "endless"
        }

        async def all_were_bad() -> bool:
            query = "SELECT DISTINCT endpoint, error FROM webhook_attempts"
            return wanted <= {(row["endpoint"], row["error"]) for row in await rows(database.admin, query)}

        await eventually(all_were_bad, "each was bad in its way")
        assert all(world.receivers.came(name) for name, kind in bad.items() if kind == "endless")
    assert beside - alone <= MOST_DELAY, f"{alone:.3f} s alone, {beside:.3f} s beside those that are bad"
