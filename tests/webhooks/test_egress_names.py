"""What the way out makes of names: every address is judged at every attempt, and name servers hold nobody else up."""

import asyncio
import threading
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from schemas.destinations import Address, Destinations
from schemas.errors import DestinationRefused
from sinks.webhooks.egress import REUSE_SECONDS, Egress
from tests.webhooks.scripted import EVERYWHERE, HOME, OK, Names, post, sending, serving


@pytest.mark.parametrize(
    "found",
    [["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1", "fd00:ec2::254"], ["127.0.0.1", "::ffff:10.0.0.1"],
     ["8.8.8.8"], ["127.0.0.1", "fe80::1%1"]],
)  # fmt: skip
async def test_one_address_that_is_not_permitted_damns_the_name(found: list[str]) -> None:
    async with serving(OK) as receiver, sending(Names(found)) as egress:
        answer = await post(egress.session(), receiver)
        with pytest.raises(DestinationRefused):
            await egress.check(f"http://hook.example:{receiver.port}/")
    assert (answer.status, answer.error, receiver.connections) == (None, "refused", 0)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{}/", "http://localhost:{}/", "https://0:{}/", "https://2130706433:{}/", "https://0x7f.1:{}/",
     "https://[::1]:{}/", "https://[::ffff:127.0.0.1]:{}/", "https://[::127.0.0.1]:{}/", "gopher://127.0.0.1:{}/",
     "https://a@127.0.0.1:{}/", "https://127.0.0.1:{}/\r\nx: y"],
)  # fmt: skip
async def test_what_is_refused_unseen_is_not_even_looked_up(url: str) -> None:
    names = Names(["127.0.0.1"])

    def public(port: int) -> Destinations:
        # Of a public address the port would be a good one: nothing but the host, or the URL's form, is refused.
        return Destinations(ports=frozenset({port}))

    async with serving(OK, at=EVERYWHERE) as receiver, sending(names, public(receiver.port)) as egress:
        answer = await egress.session().post(url.format(receiver.port), {}, b"")
    assert (answer.error, receiver.connections, names.asked) == ("refused", 0, [])


async def test_a_name_that_turns_inwards_is_refused_when_it_does() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"])
    async with serving(OK) as receiver, sending(names) as egress:
        await egress.check(f"http://hook.example:{receiver.port}/")
        session = egress.session()
        told = []
        for passed in (0, REUSE_SECONDS - 0.1, 0.1, REUSE_SECONDS):
            names.now += passed
            told.append((await post(session, receiver)).error)
    assert told == ["", "", "refused", ""]
    assert (len(names.asked), receiver.connections) == (4, 1)


async def test_a_check_passes_what_could_be_sent_to_and_tells_what_does_not_resolve() -> None:
    async with sending(Names(["8.8.8.8"]), Destinations()) as egress:
        await egress.check("https://hook.example/")
        with pytest.raises(DestinationRefused, match="begin with https"):
            await egress.check("http://hook.example/")
    async with sending(Names([])) as egress:
        with pytest.raises(DestinationRefused, match="does not resolve"):
            await egress.check("https://hook.example/")
        assert (await egress.session().post("https://hook.example/", {}, b"")).error == "unresolved"


async def test_this_machine_s_resolver_is_asked_where_no_other_is_given() -> None:
    home = Egress(Destinations(allow=(ip_network("127.0.0.0/8"), ip_network("::1"))))
    other = Egress(Destinations(allow=(ip_network("10.0.0.0/8"),)))
    await home.check("http://localhost:3000/")
    with pytest.raises(DestinationRefused):
        await other.check("http://localhost:3000/")
    await home.close()
    await other.close()


@pytest.fixture
def nobody_answers() -> Iterator[threading.Event]:
    released = threading.Event()
    yield released
    released.set()


async def test_dead_name_servers_hold_up_one_endpoint_with_one_thread(nobody_answers: threading.Event) -> None:
    asked = []

    def resolve(host: str) -> list[Address]:
        asked.append(host)
        if host == "dead.example" and not nobody_answers.wait(60):
            raise OSError
        return [ip_address("127.0.0.1")]

    async with serving(OK) as receiver:
        egress = Egress(HOME, seconds=0.3, resolve=resolve)
        sessions = [egress.session() for _ in range(40)]
        posts = [post(session, receiver, "dead.example") for session in sessions for _ in range(3)]
        assert {(answer.status, answer.error) for answer in await asyncio.gather(*posts)} == {(None, "unresolved")}
        assert (await post(sessions[0], receiver, "dead.example")).error == "unresolved"
        assert len(asked) == 40
        patient = Egress(HOME, resolve=resolve)
        assert (await post(patient.session(), receiver)).status == 200
        nobody_answers.set()
        await egress.close()
        await patient.close()
