"""From an event to a receiver: verified first, signed, tried again by the schedule, given up, sent again."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from schemas.errors import WrongCode
from schemas.webhooks import Endpoint, EndpointChange, message_id
from sinks.postgres.deliveries import Claimed, Deliveries
from tests.sinks.databases import Database, rows
from tests.support import BESIDE
from tests.webhooks.receivers import answering, cutting, dripping, hanging, in_turn
from tests.webhooks.worlds import SIGNER, deleted, delivering, ended, eventually, page

OK = answering(204)


async def test_what_ends_is_told_to_who_asked_once_it_is_verified_and_its_signature_is_good(database: Database) -> None:
    async with delivering(database) as world:
        world.receivers.mute.add("silent")
        silent = await world.endpoint("silent", OK)
        endpoint = await world.active("here", OK)
        await world.intake.write([ended("job_a"), ended("job_b", "failed"), page("job_a", "not asked for")])
        ids = await world.came("here", 2)
        assert set(ids) == {message_id(task.envelope.id) for task in (ended("job_a"), ended("job_b", "failed"))}
        for arrival in world.receivers.came("here"):
            told = Webhook(SIGNER.secret(endpoint.id, 1, 1)).verify(arrival.body, arrival.headers)
            assert told["type"] in ("job.succeeded", "job.failed")
            assert told["data"]["result"] == f"https://headrace.example/v1/jobs/{told['data']['job']}/result"
            assert "filename" not in told["data"], "a thin body says where to look"
            assert arrival.headers["content-type"] == "application/json"
            assert arrival.headers["user-agent"].startswith("Headrace/")
        await world.state(silent, "pending")
        assert not world.receivers.came("silent")


async def test_what_came_before_the_verification_waits_for_it(database: Database) -> None:
    async with delivering(database) as world:
        world.receivers.mute.add("later")
        endpoint = await world.endpoint("later", answering(200, b"a page that anybody has"))
        await world.intake.write([ended("job_a")])
        await eventually(lambda: _tried(database), "it was sent its code")
        await world.state(endpoint, "pending")
        [code] = [row["code"] for row in await rows(database.admin, "SELECT code FROM webhook_endpoints")]
        with pytest.raises(WrongCode):
            await world.store.verify("demo", endpoint.id, "another")
        assert not world.receivers.came("later")
        verified = await world.store.verify("demo", endpoint.id, code)
        assert verified is not None
        assert verified.state == "active"
        world.courier.ring()
        await world.came("later", 1)


@pytest.mark.parametrize("told", [b"[" * 60_000, b'{"code": 7}', b"null", b"\xff", b'{"code": "guessed"}'])
async def test_whatever_an_endpoint_tells_back_that_is_not_its_code_it_is_not_verified(
    database: Database, told: bytes
) -> None:
    async with delivering(database) as world:
        world.receivers.mute.add("odd")
        endpoint = await world.endpoint("odd", answering(200, told))
        await eventually(lambda: _tried(database), "it was sent its code")
        await world.state(endpoint, "pending")
        await world.active("well", OK)


async def _tried(database: Database) -> bool:
    return bool(await rows(database.admin, "SELECT FROM webhook_attempts WHERE error = 'unproved'"))


async def test_each_attempt_is_kept_and_has_the_same_id_and_body(database: Database) -> None:
    async with delivering(database) as world:
        # A connection that was kept may have been closed meanwhile: one attempt tries again then, on a new one.
        flaky = in_turn(answering(500, b"oh"), cutting, cutting, answering(200, b"well"))
        endpoint = await world.active("flaky", flaky)
        task = ended("job_a")
        await world.intake.write([task])
        done = await world.delivery(endpoint, message_id(task.envelope.id), "delivered")
        assert [(each.status, each.error) for each in done.tried] == [(200, ""), (None, "broken"), (500, "")]
        assert [each.response for each in done.tried] == ["well", "", "oh"]
        assert done.attempts == 3
        assert done.tried[0].request["webhook-id"] == done.message
        first, *others = world.receivers.came("flaky")
        assert all((other.id, other.body) == (first.id, first.body) for other in others)
        assert json.loads(first.body) == done.body
        gaps = [after.at - before.at for before, after in zip([first, *others], others, strict=False)]
        assert gaps[0] >= 0.1
        assert gaps[-1] >= 0.3


async def test_behind_the_last_attempt_it_is_given_up_until_somebody_recovers_it(database: Database) -> None:
    async with delivering(database) as world:
        endpoint = await world.active("down", in_turn(*[answering(503)] * 3, OK))
        task = ended("job_a")
        since, name = datetime.now(UTC) - timedelta(minutes=1), message_id(task.envelope.id)
        await world.intake.write([task])
        failed = await world.delivery(endpoint, name, "failed")
        assert failed.attempts == 3
        assert failed.next_attempt_at is None
        assert await world.store.recover("demo", endpoint.id, datetime.now(UTC) + timedelta(minutes=1)) == 0
        assert await world.store.recover("demo", endpoint.id, since) == 1
        world.courier.ring()
        assert (await world.delivery(endpoint, name, "delivered")).attempts == 4
        assert await world.store.resend("demo", endpoint.id, name)
        world.courier.ring()
        assert (await world.came("down", 5))[-1] == name


async def test_who_wants_nothing_any_more_is_sent_nothing_and_the_others_are_told(database: Database) -> None:
    async with delivering(database) as world:
        gone = await world.active("gone", answering(410))
        await world.active("watch", OK, events=["endpoint.disabled"])
        await world.intake.write([ended("job_a")])
        disabled = await world.state(gone, "disabled")
        assert disabled.reason == "gone"
        await world.came("watch", 1)
        [notice] = world.receivers.came("watch")
        assert json.loads(notice.body)["data"] == {"endpoint": gone.id, "url": gone.url, "reason": "gone"}
        await world.intake.write([ended("job_b")])
        await world.store.change("demo", gone.id, EndpointChange(enabled=True))
        world.receivers.behaviours["gone"] = OK
        world.courier.ring()
        assert await world.store.replay("demo", gone.id, datetime.now(UTC) - timedelta(hours=1)) == 1
        assert len(await world.came("gone", 2)) == 2


async def test_who_only_fails_for_long_is_disabled(database: Database) -> None:
    async with delivering(database, schedule=(0.0, *[0.05] * 50), hours=0.2 / 3600) as world:
        endpoint = await world.active("down", answering(500))
        await world.intake.write([ended("job_a")])
        # Well below what a courier waits that nobody wakes.
        assert (await world.state(endpoint, "disabled", seconds=4)).reason == "failing"


class Slow(Deliveries):
    """Tables that take longer to answer than a delivery waits for its next attempt."""

    async def claim(self, rooms: Mapping[str, int], room: int, most: int) -> tuple[list[Claimed], float | None]:
        found = await super().claim(rooms, room, most)
        await asyncio.sleep(0.15)
        return found


async def test_what_comes_due_while_the_tables_are_asked_is_seen(database: Database) -> None:
    async with delivering(database, schedule=(0.0, 0.05, *[0.2] * 10), kind=Slow) as world:
        await world.active("down", answering(500))
        await world.intake.write([ended("job_a")])
        await world.came("down", 5, seconds=10)  # less than one look that nobody wakes


async def test_what_is_due_and_has_no_room_hides_nothing_that_comes_due(database: Database) -> None:
    async with delivering(database, schedule=(0.0, 0.05, *[0.4] * 10)) as world:
        await world.active("shut", OK)
        world.receivers.behaviours["shut"] = answering(429, retry_after="3600")
        await world.intake.write([ended("job_a")])
        await world.came("shut", 1)
        await world.active("down", answering(500))
        await world.intake.write([ended("job_b")])
        await world.came("down", 5, seconds=10)  # less than one look that nobody wakes


@pytest.mark.parametrize(
    ("behave", "status", "error"),
    [
        (answering(302, location="http://127.0.0.1:1/"), 302, ""),
        (answering(404), 404, ""),
        (answering(200, b"x" * 1_000_000), 200, ""),
        (hanging, None, "timeout"),
        (dripping, 200, "timeout"),
        (cutting, None, "broken"),
    ],
)
async def test_bad_receivers_and_what_is_noted_of_them(
    database: Database, behave: object, status: int | None, error: str
) -> None:
    async with delivering(database, schedule=(0.0,), seconds=2.0) as world:
        endpoint = await world.active("bad", behave)  # type: ignore[arg-type]
        task = ended("job_a")
        await world.intake.write([task])
        wanted = "delivered" if status == 200 else "failed"
        done = await world.delivery(endpoint, message_id(task.envelope.id), wanted)
        assert (done.status, done.error) == (status, error)
        assert len(done.tried[0].response) <= 4096


async def test_a_receiver_that_asks_to_be_let_alone_is(database: Database) -> None:
    async with delivering(database, schedule=(0.0, 0.05)) as world:
        endpoint = await world.active("busy", in_turn(answering(429, retry_after="1"), OK))
        await world.intake.write([ended("job_a"), ended("job_b"), ended("job_c")])
        await world.came("busy", 4)
        first, *others = [arrival.at for arrival in world.receivers.came("busy")]
        assert min(others) - first >= 0.9 or sum(other - first < 0.9 for other in others) <= 2, (
            "all but those under way"
        )
        assert endpoint.state == "active"


async def test_who_asks_to_be_let_alone_for_long_is_sent_nothing_that_comes_due_and_the_others_are(
    database: Database,
) -> None:
    async with delivering(database, schedule=(0.0, 0.05, 0.05)) as world:
        busy = await world.active("busy", answering(429, retry_after="3600"))
        await world.active("well", OK)
        first, began = ended("job_0"), datetime.now(UTC)
        await world.intake.write([first])
        await eventually(lambda: _asked_for_peace(database), "its answer is noted")
        for number in range(1, 11):  # each time the tables are asked at least once, and the courier is not paused
            await world.intake.write([ended(f"job_{number}")])
            await world.came("well", number + 1)
        assert len(world.receivers.came("busy")) == 1
        query = "SELECT count(*) FROM webhook_deliveries WHERE endpoint = $1 AND attempts = 0 AND due <= now()"
        [untouched] = await rows(database.admin, query, busy.id)
        assert untouched["count"] == 10, "they are due, and lie in the tables"
        waits = await world.store.delivery("demo", busy.id, message_id(first.envelope.id))
        assert waits is not None
        assert waits.next_attempt_at is not None
        assert timedelta(hours=1) <= waits.next_attempt_at - began <= timedelta(hours=1, minutes=1)


async def _asked_for_peace(database: Database) -> bool:
    return bool(await rows(database.admin, "SELECT FROM webhook_attempts WHERE status = 429"))


async def test_dead_receivers_delay_no_other(database: Database) -> None:
    async with delivering(database, schedule=(0.0, *[0.2] * 20), seconds=30.0) as world:
        for number in range(8):
            await world.active(f"dead-{number}", hanging)
        await world.active("well", OK)
        began = asyncio.get_running_loop().time()
        await world.intake.write([ended(f"job_{number}") for number in range(40)])
        await world.came("well", 40)
        assert asyncio.get_running_loop().time() - began < 6 * BESIDE, "they waited for a receiver that hangs"
        assert len(set(await world.came("well", 40))) == 40


async def test_events_that_come_again_are_told_once_and_two_couriers_share_them(database: Database) -> None:
    async with delivering(database) as world, delivering(database) as other:
        await world.active("here", OK)
        tasks = [ended(f"job_{number}") for number in range(60)]
        for batch in (tasks[:40], tasks[20:], tasks):
            await world.intake.write(batch)
            other.courier.ring()
        ids = await world.came("here", 60)
        await eventually(lambda: _none_waits(database), "nothing waits")
        assert len(ids) == len(world.receivers.came("here")) == len(set(ids)) == 60


async def _none_waits(database: Database) -> bool:
    return not await rows(database.admin, "SELECT FROM webhook_deliveries WHERE state = 'waiting'")


async def test_full_bodies_hold_what_was_read_up_to_20_kb_and_nothing_of_a_deleted_document(database: Database) -> None:
    async with delivering(database) as world:
        endpoint = await world.active("full", OK, events=["page.succeeded"], payload="full")
        await world.intake.write([page("job_a", "Total 119.00 EUR"), page("job_b", "x" * 30_000)])
        await world.came("full", 2)
        texts = {json.loads(each.body)["data"]["job"]: json.loads(each.body)["data"]["text"] for each in
                 world.receivers.came("full")}  # fmt: skip
        assert texts == {"job_a": "Total 119.00 EUR", "job_b": None}
        await world.intake.write([deleted("doc")])
        name = message_id(page("job_a", "Total 119.00 EUR").envelope.id)
        kept = await world.store.delivery("demo", endpoint.id, name)
        assert kept is not None
        assert "text" not in kept.body["data"]


async def test_while_a_secret_is_rotated_both_are_good_and_then_only_the_new_one(database: Database) -> None:
    async with delivering(database) as world:
        endpoint = await world.active("here", OK)
        await world.store.rotate("demo", endpoint.id, 1, timedelta(hours=1))
        [now, before] = await world.store.secrets("demo", endpoint.id) or ()
        assert (now.version, now.until, before.version) == (2, None, 1)
        message = await world.store.test("demo", endpoint.id)
        world.courier.ring()
        await world.came("here", 1)
        [arrival] = world.receivers.came("here")
        assert arrival.id == message
        for version in (1, 2):
            Webhook(SIGNER.secret(endpoint.id, 1, version)).verify(arrival.body, arrival.headers)
        await world.store.rotate("demo", endpoint.id, 1, timedelta(0))
        assert [each.version for each in await world.store.secrets("demo", endpoint.id) or ()] == [3]


async def test_an_endpoint_that_moves_is_verified_anew_and_one_that_goes_takes_all_with_it(database: Database) -> None:
    async with delivering(database) as world:
        endpoint: Endpoint | None = await world.active("old", OK)
        assert endpoint is not None
        moved = await world.store.change("demo", endpoint.id, EndpointChange(url=world.receivers.url("new", OK)))
        assert moved is not None
        assert (moved.state, moved.verified_at) == ("pending", None)
        world.courier.ring()
        await world.state(moved, "active")
        await world.intake.write([ended("job_a")])
        await world.came("new", 1)
        assert not world.receivers.came("old")
        assert await world.store.remove("demo", endpoint.id)
        assert not await rows(database.admin, "SELECT FROM webhook_deliveries UNION ALL SELECT FROM webhook_attempts")


async def test_another_tenant_has_no_such_endpoint_and_hears_nothing(database: Database) -> None:
    async with delivering(database) as world:
        endpoint = await world.active("here", OK)
        await world.active("theirs", OK, tenant="other")
        task = ended("job_a")
        await world.intake.write([task])
        await world.came("here", 1)
        name, store = message_id(task.envelope.id), world.store
        assert await store.endpoint("other", endpoint.id) is None
        assert await store.secrets("other", endpoint.id) is None
        assert await store.delivery("other", endpoint.id, name) is None
        assert not await store.resend("other", endpoint.id, name)
        assert not await store.remove("other", endpoint.id)
        assert await store.recover("other", endpoint.id, datetime.now(UTC)) is None
        assert [each.id for each in await store.endpoints("demo")] == [endpoint.id]
        assert not world.receivers.came("theirs")


async def test_a_secret_whose_key_the_server_lacks_sends_nothing_and_says_so(database: Database) -> None:
    async with delivering(database) as world:
        endpoint = await world.active("here", OK)
        await world.store.rotate("demo", endpoint.id, 9, timedelta(0))
        task = ended("job_a")
        await world.intake.write([task])
        failed = await world.delivery(endpoint, message_id(task.envelope.id), "failed")
        assert (failed.status, failed.error, failed.attempts) == (None, "unsigned", 3)
        await world.store.rotate("demo", endpoint.id, 1, timedelta(0))
        assert await world.store.resend("demo", endpoint.id, failed.message)
        world.courier.ring()
        await world.came("here", 1)
