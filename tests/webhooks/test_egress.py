"""The way out, against receivers of every kind: where requests go, what they may cost, and that nothing is raised."""

import asyncio
import gzip
import logging
import socket
import ssl
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from schemas.destinations import Destinations
from sinks.webhooks.egress import REUSE_SECONDS
from sinks.webhooks.wire import MOST_BYTES
from tests.webhooks.scripted import OK, Names, Server, answered, post, pouring, saying, sending, serving


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def _tls(authority: trustme.CA, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=not_after).configure_cert(context)
    return context


async def test_a_request_goes_to_the_address_in_the_name_of_the_host(authority: trustme.CA, ca: Path) -> None:
    async with serving(OK, _tls(authority, "hook.example")) as receiver, sending(ca=ca) as egress:
        url = f"https://Hook.Example:{receiver.port}/a/../b%20?q='é"
        theirs = {"Webhook-Id": "msg_1", "Host": "evil", "Accept-Encoding": "gzip", "Transfer-Encoding": "chunked"}
        session = egress.session()
        answer, _ = [await session.post(url, {**theirs, "content-length": "7"}, b'{"a": 1}') for _ in range(2)]
    assert (answer.status, answer.body, answer.error, answer.retry_after) == (200, b"ok", "", "")
    line, headers, body = receiver.requests[0]
    assert line == "POST /a/../b%20?q='%C3%A9 HTTP/1.1"
    assert headers == {
        "host": f"hook.example:{receiver.port}", "accept-encoding": "identity", "content-length": "8",
        "webhook-id": "msg_1",
    }  # fmt: skip
    assert body == b'{"a": 1}'
    assert receiver.names == ["hook.example"], "the second went by the same connection"
    assert receiver.requests[0] == receiver.requests[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]"])
async def test_a_literal_address_needs_no_lookup_and_a_certificate_of_its_own(
    authority: trustme.CA, ca: Path, host: str
) -> None:
    names = Names()
    tls = _tls(authority, host.strip("[]"))
    async with serving(OK, tls) as receiver, sending(names, ca=ca) as egress:
        answer = await post(egress.session(), receiver, host, "https")
    assert (answer.status, answer.error) == (200, "")
    assert names.asked == []
    assert receiver.requests[0][1]["host"] == f"{host.replace('127.0.0.1]', '7f00:1]')}:{receiver.port}"


@pytest.mark.parametrize("spoilt", ["other name", "expired", "unknown authority", "wants a certificate"])
async def test_who_cannot_prove_its_name_is_told_nothing(authority: trustme.CA, ca: Path, spoilt: str) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    context = _tls(
        trustme.CA() if spoilt == "unknown authority" else authority,
        "127.0.0.1" if spoilt == "other name" else "hook.example",
        not_after=past if spoilt == "expired" else None,
    )
    if spoilt == "wants a certificate":
        context.verify_mode = ssl.CERT_REQUIRED
    async with serving(OK, context) as receiver, sending(ca=ca) as egress:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of it
        answer = await post(egress.session(), receiver, scheme="https")
    # A refusal of ours is read only where the reset that follows it does not come first.
    assert answer.error in ({"tls", "broken"} if spoilt == "wants a certificate" else {"tls"})
    assert (answer.status, receiver.requests) == (None, [])


async def test_a_redirect_is_an_answer() -> None:
    async with serving(OK) as inner:
        for status in (301, 302, 303, 307, 308):
            told = (
                f"HTTP/1.1 {status} Elsewhere\r\nlocation: http://127.0.0.1:{inner.port}/\r\ncontent-length: 0\r\n\r\n"
            )
            answer, receiver = await answered(told.encode())
            assert (answer.status, answer.error, len(receiver.requests)) == (status, "", 1)
    assert inner.connections == 0


async def test_of_a_gigabyte_64_kib_are_read() -> None:
    begun = time.monotonic()
    answer, receiver = await answered(pouring(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", b"x" * 65536))
    assert (answer.status, answer.body, answer.error) == (200, b"x" * MOST_BYTES, "")
    assert receiver.written < 16_000_000, "no more than the sockets' buffers hold"
    assert time.monotonic() - begun < 10


async def test_nothing_is_unpacked() -> None:
    packed = gzip.compress(b"0" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nretry-after: 7\r\ncontent-length: {len(packed)}\r\n\r\n"
    answer, _ = await answered(head.encode() + packed)
    assert (answer.body, answer.error, answer.retry_after) == (packed, "", "7")


@pytest.mark.parametrize(
    ("begin", "piece", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n" * 1000, None),
        (b"HTTP/1.1 200 OK\r\nx-long: ", b"x" * 65536, None),
        (b"", b"x" * 65536, None),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, None),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000, 200),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 1000, 200),
    ],
    ids=["headers", "header", "line", "hints", "chunks", "trailers"],
)
async def test_what_frames_an_answer_has_an_end_too(begin: bytes, piece: bytes, status: int | None) -> None:
    answer, receiver = await answered(pouring(begin, piece))
    assert (answer.status, answer.error) == (status, "broken")
    assert answer.seconds < 10
    assert receiver.written < 16_000_000


@pytest.mark.parametrize(
    ("begin", "status"),
    [(b"", None), (b"HTTP/1.1 200 OK\r\nx: ", None), (b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", 200)],
    ids=["line", "head", "body"],
)
async def test_drops_do_not_keep_a_request_under_way(begin: bytes, status: int | None) -> None:
    answer, _ = await answered(pouring(begin, b"x", pause=0.01), seconds=0.5)
    assert (answer.status, answer.error) == (status, "timeout")
    assert 0.5 <= answer.seconds < 5


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_who_says_nothing_is_let_go(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with sending(seconds=0.3) as egress:
            answer = await egress.session().post(f"{scheme}://hook.example:{mute.getsockname()[1]}/", {}, b"")
            assert (answer.status, answer.error) == (None, "timeout")
            assert 0.3 <= answer.seconds < 5
            with mute.accept()[0] as met:
                met.settimeout(0)
                while met.recv(65536):
                    pass


async def test_who_speaks_another_protocol_has_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mail:
        async with sending() as egress:
            posting = asyncio.create_task(
                egress.session().post(f"https://hook.example:{mail.getsockname()[1]}/", {}, b"")
            )
            met, _ = await asyncio.to_thread(mail.accept)
            with met:
                met.sendall(b"220 mail.example ESMTP\r\n")
                assert (await posting).error == "tls"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", None),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", None),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 200),
    ],
    ids=["nothing", "ssh", "upgrade", "chunks"],
)
async def test_what_is_no_http_is_broken(said: bytes, status: int | None) -> None:
    answer, receiver = await answered(said)
    assert (answer.status, answer.error, receiver.connections) == (status, "broken", 1)


async def test_a_body_that_is_cut_off_is_told_with_its_status() -> None:
    async def script(_: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 100\r\n\r\nhalf")
        writer.close()

    answer, receiver = await answered(script)
    assert (answer.status, answer.body, answer.error, len(receiver.requests)) == (410, b"half", "broken", 1)


async def test_nobody_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    async with sending() as egress:
        answer = await egress.session().post(f"http://hook.example:{port}/", {}, b"")
    assert (answer.status, answer.error) == (None, "unreachable")


async def test_this_machine_s_proxies_and_passwords_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serving(OK) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answer, receiver = await answered(OK)
    assert (answer.status, proxy.connections) == (200, 0)
    assert "authorization" not in receiver.requests[0][1]


async def test_connections_are_kept_and_cookies_are_not() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 60000\r\n\r\n" + b"x" * 60_000
    async with serving(cookie) as receiver, sending() as egress:
        session = egress.session()
        assert [(await post(session, receiver)).status for _ in range(3)] == [200, 200, 200]
        assert (receiver.connections, len(receiver.requests)) == (1, 3)
        assert "cookie" not in receiver.requests[2][1]
        assert {answer.status for answer in await asyncio.gather(*(post(session, receiver) for _ in range(8)))} == {200}
        assert receiver.connections <= 8
        assert (await post(egress.session(), receiver)).status == 200
        assert receiver.requests[-1][1] == receiver.requests[0][1]


async def test_a_connection_is_kept_for_its_host_and_address_alone() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.1"], ["127.0.0.3", "127.0.0.1"], ["127.0.0.3"])
    home = Destinations(allow=(ip_network("127.0.0.0/8"),))
    async with serving(OK) as receiver, sending(names, home) as egress:
        session, made = egress.session(), []
        for host in ("a.example", "b.example", "b.example", "b.example"):
            names.now += REUSE_SECONDS
            assert (await post(session, receiver, host)).status == 200
            made.append(receiver.connections)
    assert made == [1, 2, 2, 3]


async def test_a_connection_with_something_left_on_it_is_not_kept() -> None:
    long = f"HTTP/1.1 200 OK\r\ncontent-length: {2 * MOST_BYTES}\r\n\r\n{'x' * 2 * MOST_BYTES}"
    async with serving(long.encode()) as receiver, sending() as egress:
        session = egress.session()
        assert [len((await post(session, receiver)).body) for _ in range(2)] == [MOST_BYTES, MOST_BYTES]
    assert receiver.connections == 2


@pytest.mark.parametrize(
    ("says", "told", "connections", "requests"),
    [
        ([OK, b"", OK], [(200, ""), (200, "")], 2, 3),
        ([OK, b"", b""], [(200, ""), (None, "broken")], 2, 3),
        ([b"", OK], [(None, "broken"), (200, "")], 2, 2),
    ],
    ids=["kept", "gone for good", "new"],
)
async def test_a_kept_connection_that_ends_under_a_request_is_no_failure(
    says: list[bytes], told: list[tuple[int | None, str]], connections: int, requests: int
) -> None:
    async with serving(saying(*says)) as receiver, sending() as egress:
        session = egress.session()
        answers = [await post(session, receiver) for _ in told]
    assert [(answer.status, answer.error) for answer in answers] == told
    assert (receiver.connections, len(receiver.requests)) == (connections, requests)


async def _once(_: Server, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    writer.close()


async def test_what_is_sent_again_goes_by_a_connection_that_nothing_went_by() -> None:
    met: Counter[object] = Counter()
    gone, go = asyncio.Event(), asyncio.Event()

    async def once(_: Server, writer: asyncio.StreamWriter) -> None:
        met[writer] += 1
        if met[writer] == 1:
            writer.write(OK)
            return
        if gone.is_set():
            await go.wait()
        gone.set()
        writer.close()

    async with serving(once) as receiver, sending() as egress:
        session = egress.session()
        await asyncio.gather(post(session, receiver), post(session, receiver))
        assert receiver.connections == 2
        posts = [asyncio.create_task(post(session, receiver)) for _ in range(2)]
        await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        go.set()
        assert [(await posted).error for posted in posts] == ["", ""]
    assert receiver.connections == 4


async def test_an_address_that_stopped_to_answer_is_not_clung_to() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.3", "127.0.0.1"])
    home = Destinations(allow=(ip_network("127.0.0.0/8"),))
    async with sending(names, home) as egress:
        session = egress.session()
        async with serving(_once, at=("127.0.0.1", 0)) as receiver:
            told = [(await post(session, receiver)).error]
        names.now += REUSE_SECONDS
        async with serving(_once, at=("127.0.0.3", receiver.port)) as other:
            told += [(await post(session, other)).error for _ in range(2)]
    assert told == ["", "unreachable", ""]


async def test_a_connection_that_ended_while_it_was_kept_is_no_failure() -> None:
    async with serving(_once) as receiver, sending() as egress:
        session = egress.session()
        for _ in range(3):
            receiver.ended.clear()
            assert (await post(session, receiver)).error == ""
            await receiver.ended.wait()
    assert (receiver.connections, len(receiver.requests)) == (3, 3)


async def test_who_is_called_off_lets_the_connection_go() -> None:
    asked = asyncio.Event()

    async def mute(receiver: Server, writer: asyncio.StreamWriter) -> None:
        asked.set()

    async with serving(mute) as receiver, sending() as egress:
        posting = asyncio.create_task(post(egress.session(), receiver))
        await asked.wait()
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        await asyncio.wait_for(receiver.ended.wait(), 10)


async def test_a_session_that_is_closed_lets_what_is_under_way_end() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def late(receiver: Server, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(OK)

    async with serving(late) as receiver, sending() as egress:
        session = egress.session()
        posting = asyncio.create_task(post(session, receiver))
        await asked.wait()
        await session.close()
        go.set()
        assert (await posting).status == 200
        await asyncio.wait_for(receiver.ended.wait(), 10)


async def test_no_log_holds_a_body_or_a_query(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await answered(OK.replace(b"ok", b"zq"))
        await answered(b"")
    assert "connect_tcp" in caplog.text
    assert not any(word in caplog.text for word in ("tell-nobody", "{}", "zq"))


async def test_headers_that_cannot_be_sent_are_an_answer_too() -> None:
    async with serving(OK) as receiver, sending() as egress:
        for value in ("a\r\nb: c", "é\ud800"):
            answer = await egress.session().post(f"http://hook.example:{receiver.port}/", {"webhook-id": value}, b"")
            assert (answer.status, answer.error) == (None, "broken")
    assert receiver.requests == []
