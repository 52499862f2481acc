"""Where one request ends and what belongs to the next; how long a head may be; protocols that are not spoken here."""

from collections.abc import Iterator

import pytest

from tests.api.raw import CLOSE, FORM, JSON, Site, form, get, open_site, part, told

JOBS, SEARCH, LIVEZ = b"/v1/jobs", b"/v1/search", b"/livez"
QUERY = b'{"query": "a"}'
DOCUMENT = form(part(b"file", b"words enough", b"a.txt"))
CHUNKED = b"transfer-encoding: chunked\r\n"
KIB = 1024
ALWAYS = len(b"hostaconnectioncloseauthorizationBearer demo-key")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


def _kept_open(target: bytes, body: bytes, *headers: bytes) -> bytes:
    """A request that does not ask for the connection's end; its headers say themselves how long the body is."""
    return get(target, *headers, method=b"POST", closing=False) + body


@pytest.mark.parametrize("declared", [0, 1, 10, len(DOCUMENT) - 10])
def test_what_follows_a_length_that_is_too_small_is_no_request(site: Site, declared: int) -> None:
    length = b"content-length: %d\r\n" % declared
    answer = site.ask(_kept_open(JOBS, DOCUMENT + b"\r\n\r\n" + get(LIVEZ), length, FORM))
    assert told(answer) == "400 bad_request, 400"
    assert site.lives()


@pytest.mark.parametrize(
    "wrong",
    [
        b"content-length: -1\r\n",
        b"content-length: +14\r\n",
        b"content-length: 0x0e\r\n",
        b"content-length: 14\r\ncontent-length: 13\r\n",
        b"content-length: 14, 13\r\n",
        CHUNKED + CHUNKED,
        b"transfer-encoding: chunked, chunked\r\n",
        b"transfer-encoding: identity\r\ncontent-length: 14\r\n",
    ],
)
def test_a_body_whose_end_is_not_clear_is_refused_and_nothing_behind_it_answered(site: Site, wrong: bytes) -> None:
    answer = site.ask(_kept_open(SEARCH, QUERY, wrong, JSON) + get(LIVEZ))
    assert told(answer) == "400"
    assert site.lives()


@pytest.mark.parametrize("target", [SEARCH, JOBS, LIVEZ])
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("body", [b"e\r\n" + QUERY + b"\r\n0\r\n\r\n", b"0\r\n\r\n"])
def test_a_length_beside_chunks_is_refused_and_ends_the_connection(
    site: Site, target: bytes, order: int, body: bytes
) -> None:
    both = (b"content-length: %d\r\n" % len(body), CHUNKED)[::order]
    answer = site.ask(_kept_open(target, body, *both, JSON) + get(LIVEZ))
    assert told(answer) == "400 bad_request"
    assert answer.lower().count(CLOSE) == 1
    assert site.lives()


def test_two_requests_on_one_connection_are_two_and_a_third_hidden_in_a_body_is_none(site: Site) -> None:
    body = QUERY + b" " * 200
    hidden = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"
    length = b"content-length: %d\r\n" % (len(body) + len(hidden))
    assert told(site.ask(_kept_open(SEARCH, body + hidden, length, JSON) + get(LIVEZ))) == "400 bad_request, 200"


@pytest.mark.parametrize("target", [b"/livez?", b"/v1/jobs/", b"/v1/jobs?document_id="])
def test_a_target_of_more_than_8_kib_is_414(site: Site, target: bytes) -> None:
    room = 8 * KIB - len(target) + target.count(b"?")  # the question mark is of neither part
    assert told(site.ask(get(target + b"x" * room))) in {"200", "404 not_found", "422 invalid_request"}
    for longer in (room + 1, 9 * KIB):
        assert told(site.ask(get(target + b"x" * longer))) == "414 uri_too_long"


def test_the_101st_header_is_431(site: Site) -> None:
    many = [b"x-%d: y\r\n" % number for number in range(98)]
    assert told(site.ask(get(LIVEZ, *many[:97]))) == "200"
    assert told(site.ask(get(LIVEZ, *many))) == "431 head_too_large"


@pytest.mark.parametrize("name", [b"x", b"cookie", b"x" * 20 * KIB])
def test_headers_of_more_than_32_kib_are_431(site: Site, name: bytes) -> None:
    """Each head in one piece: of one in several, h11 waits for 16 KiB and no more."""
    room = 32 * KIB - ALWAYS - len(name)
    assert told(site.ask(get(LIVEZ, name + b": " + b"y" * room + b"\r\n"))) == "200"
    for longer in (room + 1, room + KIB):
        assert told(site.ask(get(LIVEZ, name + b": " + b"y" * longer + b"\r\n"))) == "431 head_too_large"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"PUT", JOBS),
        (b"DELETE", SEARCH),
        (b"GET", SEARCH),
        (b"POST", LIVEZ),
        (b"PATCH", b"/v1/jobs/job_x"),
        (b"TRACE", JOBS),
        (b"PROPFIND", JOBS),
    ],
)
def test_a_method_that_a_resource_does_not_have_is_405_and_says_which_it_has(
    site: Site, method: bytes, target: bytes
) -> None:
    answer = site.ask(get(target, method=method))
    assert told(answer) == "405 method_not_allowed"
    assert b"\r\nallow: " in answer.lower()


@pytest.mark.parametrize("host", [b"a.", b"api.example.com.", b"api.example.com.:8000"])
def test_a_host_with_a_dot_at_its_end_is_a_host(site: Site, host: bytes) -> None:
    assert told(site.ask(get(LIVEZ, host=host))) == "200"
    assert told(site.ask(get(JOBS, host=host))) == "200"


def test_an_upgrade_to_another_protocol_is_not_made(site: Site) -> None:
    offered = b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: upgrade, http2-settings\r\n"
    answer = site.ask(get(LIVEZ, offered, closing=False) + get(LIVEZ))
    assert told(answer) == "200, 200"
    assert b"upgrade" not in answer.lower()
