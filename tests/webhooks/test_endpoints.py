"""The routes of webhooks over real tables: what an owner sees, and what a stranger does not."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
import pytest

from api.app import create_app
from api.parts import Parts
from schemas.destinations import Destinations
from schemas.errors import DestinationRefused
from schemas.webhooks import MOST_ENDPOINTS, NewEndpoint, SecretVersion, message_id, new_endpoint_id
from sinks.postgres.webhooks import PostgresWebhookStore
from sinks.webhooks.egress import Egress
from tests import fakes
from tests.sinks.databases import Database, rows
from tests.webhooks.outgoing import watched
from tests.webhooks.receivers import answering, in_turn
from tests.webhooks.scripted import EVERYWHERE, OK, serving
from tests.webhooks.worlds import LOCAL, SIGNER, World, delivering, ended

PATH = "/v1/webhook-endpoints"
THIS_MACHINE = ("127.0.0.1", "localhost", "0", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]")
DISGUISED = ("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]")
METADATA = (
    "169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "metadata.google.internal",
)  # fmt: skip
NOT_PUBLIC = ("224.0.0.1", "239.255.255.250", "[ff02::1]", "[ff0e::1]", "100.64.0.1", "100.127.255.255")
REFUSED = (
    *(f"https://{host}/" for host in (*THIS_MACHINE, *DISGUISED, *METADATA, *NOT_PUBLIC)),
    "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "https://a@example.com/",
    "https://example.com\\@127.0.0.1/", "https://1.1.1.1:22/", "https://1.1.1.1:6379/", "gopher://1.1.1.1/",
    "file:///etc/passwd", "https://1.1.1.1/#@x",
)  # fmt: skip


@dataclass
class Doors:
    """The API over the real store, for two tenants."""

    world: World
    ours: httpx2.AsyncClient
    theirs: httpx2.AsyncClient
    parts: Parts


@pytest.fixture
async def doors(database: Database) -> AsyncIterator[Doors]:
    fake = fakes.World()
    async with delivering(database, schedule=(0.0, 0.1)) as world:
        urls = Egress(LOCAL)
        parts = replace(fake.parts(), webhooks=world.store, webhook_urls=urls, webhook_secrets=SIGNER)
        transport = httpx2.ASGITransport(create_app(parts))
        ours, theirs = (
            httpx2.AsyncClient(transport=transport, base_url="http://h", headers={"authorization": f"Bearer {key}"})
            for key in fakes.KEYS
        )
        yield Doors(world, ours, theirs, parts)
        for client in (ours, theirs):
            await client.aclose()
        await urls.close()


async def _made(doors: Doors, name: str = "here", **wanted: object) -> dict[str, str]:
    url = doors.world.receivers.url(name, answering(204))
    answer = await doors.ours.post(PATH, json={"url": url, **wanted})
    assert answer.status_code == 201, answer.text
    doors.world.courier.ring()
    made: dict[str, str] = answer.json()
    return made


async def _active(doors: Doors, name: str = "here", **wanted: object) -> str:
    made = await _made(doors, name, **wanted)
    endpoint = await doors.world.store.endpoint("demo", made["id"])
    assert endpoint is not None
    await doors.world.state(endpoint, "active")
    return f"{PATH}/{made['id']}"


async def test_an_endpoint_is_made_and_its_secret_told_to_who_may_write(doors: Doors) -> None:
    url = doors.world.receivers.url("here", answering(204))
    answer = await doors.ours.post(PATH, json={"url": url, "description": "the archive"})
    made = answer.json()
    assert answer.headers["location"] == f"{PATH}/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert (made["state"], made["payload"], made["created_by"][:4]) == ("pending", "thin", "key ")
    assert made["secrets"][0]["secret"] == SIGNER.secret(made["id"], 1, 1)
    assert "secrets" not in (await doors.ours.get(answer.headers["location"])).json()
    assert (await doors.ours.get(PATH)).json()["data"][0]["id"] == made["id"]
    shown = (await doors.ours.get(f"{PATH}/{made['id']}/secrets")).json()
    assert shown["secrets"] == made["secrets"]


async def test_a_secret_is_rotated_with_an_overlap(doors: Doors) -> None:
    path = await _active(doors)
    answer = await doors.ours.post(f"{path}/rotate", json={"overlap_hours": 1})
    [new, old] = answer.json()["secrets"]
    assert new["until"] is None
    assert timedelta(minutes=59) < datetime.fromisoformat(old["until"]) - datetime.now(UTC) <= timedelta(hours=1)
    assert len((await doors.ours.post(f"{path}/rotate", json={"overlap_hours": 0})).json()["secrets"]) == 1


async def test_what_was_delivered_is_listed_shown_and_sent_again(doors: Doors) -> None:
    path = await _active(doors)
    tasks = [ended(f"job_{number}") for number in range(3)]
    await doors.world.intake.write(tasks)
    ids = await doors.world.came("here", 3)
    endpoint = await doors.world.store.endpoint("demo", path.rpartition("/")[2])
    assert endpoint is not None
    for task in tasks:
        await doors.world.delivery(endpoint, message_id(task.envelope.id), "delivered")
    seen, after = [], None
    while True:
        params = {"limit": 2} | ({"after": after} if after else {})
        page = (await doors.ours.get(f"{path}/deliveries", params=params)).json()
        seen += [each["message"] for each in page["data"] if each["type"].startswith("job.")]
        if not page["has_more"]:
            break
        after = page["next"]
    assert sorted(seen) == sorted(ids)
    one = (await doors.ours.get(f"{path}/deliveries/{ids[0]}")).json()
    assert (one["state"], one["attempts"], one["tried"][0]["status"]) == ("delivered", 1, 204)
    assert one["tried"][0]["request"]["webhook-id"] == ids[0]
    assert (await doors.ours.post(f"{path}/deliveries/{ids[0]}/resend")).json() == {"message": ids[0]}
    doors.world.courier.ring()
    assert (await doors.world.came("here", 4))[-1] == ids[0]
    answer = await doors.ours.get(f"{path}/deliveries", params={"after": "nonsense"})
    assert answer.status_code == 400


async def test_it_is_tested_stopped_taken_up_again_and_told_what_it_missed(doors: Doors) -> None:
    path = await _active(doors)
    sent = (await doors.ours.post(f"{path}/test")).json()["message"]
    doors.world.courier.ring()
    assert await doors.world.came("here", 1) == [sent]
    stopped = (await doors.ours.patch(path, json={"enabled": False})).json()
    assert (stopped["state"], stopped["reason"]) == ("disabled", "by_owner")
    await doors.world.intake.write([ended("job_missed")])
    assert (await doors.ours.patch(path, json={"enabled": True})).json()["state"] == "active"
    since = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    assert (await doors.ours.post(f"{path}/replay", json=since)).json() == {"taken": 1}
    assert (await doors.ours.post(f"{path}/recover", json=since)).json() == {"taken": 0}
    doors.world.courier.ring()
    await doors.world.came("here", 2)
    assert json.loads(doors.world.receivers.came("here")[-1].body)["data"]["job"] == "job_missed"


async def test_who_does_not_tell_its_code_back_may_tell_it_here(doors: Doors, database: Database) -> None:
    doors.world.receivers.mute.add("mute")
    made = await _made(doors, "mute")
    path = f"{PATH}/{made['id']}"
    wrong = await doors.ours.post(f"{path}/verify", json={"code": "guessed"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_code")
    assert (await doors.ours.post(f"{path}/challenge")).status_code == 202
    [row] = await rows(database.admin, "SELECT code FROM webhook_endpoints")
    assert (await doors.ours.post(f"{path}/verify", json={"code": row["code"]})).json()["state"] == "active"
    again = await doors.ours.post(f"{path}/challenge")
    assert (again.status_code, again.json()["code"]) == (409, "already_verified")


async def test_to_anybody_else_there_is_no_such_endpoint(doors: Doors) -> None:
    path = await _active(doors)
    message = f"msg_{'0' * 32}"
    since = {"since": datetime.now(UTC).isoformat()}
    calls = [
        ("GET", "", None), ("PATCH", "", {"enabled": False}), ("DELETE", "", None), ("GET", "/secrets", None),
        ("POST", "/rotate", None), ("POST", "/verify", {"code": "x"}), ("POST", "/challenge", None),
        ("POST", "/test", None), ("POST", "/recover", since), ("POST", "/replay", since), ("GET", "/deliveries", None),
        ("GET", f"/deliveries/{message}", None), ("POST", f"/deliveries/{message}/resend", None),
    ]  # fmt: skip
    for method, rest, body in calls:
        answer = await doors.theirs.request(method, path + rest, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, rest)
    assert (await doors.theirs.get(PATH)).json() == {"data": []}
    assert (await doors.ours.get(path)).json()["state"] == "active"
    assert (await doors.ours.delete(path)).status_code == 204
    assert (await doors.ours.get(path)).status_code == 404


@asynccontextmanager
async def _calling(parts: Parts, destinations: Destinations) -> AsyncIterator[httpx2.AsyncClient]:
    """The first tenant's way to an API that takes no URL but of these destinations."""
    urls = Egress(destinations)
    transport = httpx2.ASGITransport(create_app(replace(parts, webhook_urls=urls)))
    key = {"authorization": f"Bearer {next(iter(fakes.KEYS))}"}
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://h", headers=key) as client:
            yield client
    finally:
        await urls.close()


def _refusal(answer: httpx2.Response) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["code"])


@pytest.mark.parametrize("url", REFUSED)
async def test_an_address_where_nothing_is_sent_makes_no_endpoint_and_no_connection(url: str) -> None:
    fake = fakes.World()
    async with _calling(fake.parts(), Destinations()) as client:
        with watched() as seen:
            answer = await client.post(PATH, json={"url": url})
    assert _refusal(answer) == "webhook_url_refused"
    assert (seen, fake.webhooks.kept) == ([], {})


async def test_a_name_without_an_address_is_looked_up_and_makes_no_endpoint() -> None:
    fake = fakes.World()
    async with _calling(fake.parts(), Destinations()) as client:
        with watched() as seen:
            answer = await client.post(PATH, json={"url": "https://no-such-host.invalid/"})
    assert _refusal(answer) == "webhook_url_refused"
    assert (seen, fake.webhooks.kept) == (["no-such-host.invalid"], {})


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresWebhookStore]:
    store = PostgresWebhookStore(database.api)
    yield store
    await store.close()


async def test_no_endpoint_moves_to_an_address_where_nothing_is_sent(
    database: Database, store: PostgresWebhookStore
) -> None:
    port = urlsplit(database.api).port
    parts = replace(fakes.World().parts(), webhooks=store, webhook_secrets=SIGNER)
    wanted, secret = NewEndpoint(url="https://hook.example/"), SecretVersion(key=1, version=1)
    made = await store.create("demo", new_endpoint_id(), wanted, secret, "a test")
    assert port is not None
    async with _calling(parts, Destinations()) as client:
        with watched(port) as seen:
            for url in REFUSED:
                answer = await client.patch(f"{PATH}/{made.id}", json={"url": url, "description": "moved"})
                assert _refusal(answer) == "webhook_url_refused", url
                assert await store.endpoint("demo", made.id) == made, url
            # A public address is good for it, and met only by who delivers.
            moved = await client.patch(f"{PATH}/{made.id}", json={"url": "https://1.1.1.1/"})
    assert (moved.status_code, moved.json()["url"], seen) == (200, "https://1.1.1.1/", [])


async def test_who_delivers_never_meets_this_machine_by_any_of_its_names(doors: Doors) -> None:
    kept = f"{PATH}/{(await _made(doors, 'kept'))['id']}"
    async with serving(OK, at=EVERYWHERE) as listener:
        # The port is a good one, and whoever delivers may send here: what keeps it away is that nobody is told to.
        public = Destinations(ports=frozenset({listener.port}))
        async with _calling(doors.parts, public) as client:
            for host in (*THIS_MACHINE, *DISGUISED):
                told = {"url": f"https://{host}:{listener.port}/"}
                for answer in (await client.post(PATH, json=told), await client.patch(kept, json=told)):
                    assert _refusal(answer) == "webhook_url_refused", host
            doors.world.courier.ring()
            await doors.world.active("behind", answering(204))
            urls = {each["url"] for each in (await client.get(PATH)).json()["data"]}
        assert urls == {doors.world.receivers.url(name, answering(204)) for name in ("kept", "behind")}
    assert listener.connections == 0


async def test_what_is_asked_of_the_network_would_be_seen() -> None:
    egress = Egress(LOCAL)
    with watched() as seen:
        assert (await egress.session().post("http://127.0.0.1:9/", {}, b"")).error == "unreachable"
        with pytest.raises(DestinationRefused):
            await egress.check("https://hook.example/")
    assert seen == [("127.0.0.1", 9), "hook.example"]
    await egress.close()


async def test_a_tenant_has_so_many_endpoints_and_no_more(doors: Doors, database: Database) -> None:
    url = doors.world.receivers.url("here", in_turn(answering(204)))
    names = "id, tenant, url, events, payload, description, state, code, secrets, created_by"
    filled = f"INSERT INTO webhook_endpoints ({names})"
    values = "SELECT 'we_' || lpad(n::text, 16, 'a'), 'demo', 'x', '{}', 'thin', '', 'disabled', '', '[]', ''"
    await rows(database.admin, f"{filled} {values} FROM generate_series(1, {MOST_ENDPOINTS}) AS n")
    answer = await doors.ours.post(PATH, json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_endpoints")
    assert (await doors.theirs.post(PATH, json={"url": url})).status_code == 201
