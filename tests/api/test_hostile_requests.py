"""Requests that no client of good faith sends, byte by byte: each a 4xx with a problem or a closed connection, no more.

Of every one: no 5xx, an answer within seconds, the process is the same one, it goes on answering, and its memory does
not grow with what it got.
"""

import struct
import time
from collections.abc import Iterator

import pytest

from tests.api.raw import FORM, JSON, KEY, MIB, Server, form, get, part, post, running, told

JOBS, SEARCH = b"/v1/jobs", b"/v1/search"
FILE = part(b"file", b"words enough", b"a.txt")
LANE = part(b"lane", b"bulk")
TEXT = b"content-type: text/plain\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
MOST_SECONDS = 5
GROWN = 16 * MIB
HEADERS, RST_STREAM, SETTINGS = 1, 3, 4
END_STREAM_END_HEADERS = 0x5
GET_ROOT = b"\x82\x84\x86\x41\x01a"  # HPACK: GET, / and http from the static table, and the authority `a`
CANCEL = struct.pack(">I", 8)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def _sent(target: bytes, body: bytes, *headers: bytes) -> bytes:
    """Its headers say themselves how long the body is."""
    return get(target, *headers, method=b"POST") + body


LENGTHS: dict[str, tuple[bytes, str]] = {
    "negative length": (_sent(SEARCH, b"", b"content-length: -1\r\n", JSON), "400"),
    "negative length of a form": (_sent(JOBS, form(FILE), b"content-length: -1\r\n", FORM), "400"),
    "length of words": (_sent(SEARCH, b"", b"content-length: ten\r\n", JSON), "400"),
    "two lengths": (_sent(SEARCH, b"{}x", b"content-length: 2\r\ncontent-length: 3\r\n", JSON), "400"),
    "coding that is none": (_sent(SEARCH, b"", b"transfer-encoding: gzip, x\r\n", JSON), "400"),
    "chunk size that is none": (_sent(SEARCH, b"zz\r\n", CHUNKED, JSON), "400"),
}
ADDRESSES: dict[str, tuple[bytes, str]] = {
    "query of a megabyte": (get(b"/v1/jobs?a=" + b"x" * MIB), "400"),
    "method of its own": (get(JOBS, method=b"FROBNICATE"), "405 method_not_allowed"),
    "trace": (get(JOBS, method=b"TRACE"), "405 method_not_allowed"),
    "connect": (b"CONNECT example.com:443 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "404 not_found"),
    "proxy request": (get(b"http://example.com/v1/jobs"), "404 not_found"),
    "no path": (get(b"*", method=b"OPTIONS"), "404 not_found"),
    "no host": (b"GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n", "400"),
    "old protocol": (b"GET /livez\r\n\r\n", "400"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n", "400"),
    "dots": (get(b"/v1/jobs/../../etc/passwd"), "404 not_found"),
    "encoded dots": (get(b"/v1/jobs/..%2f..%2fetc%2fpasswd"), "404 not_found"),
    "nul in an id": (get(b"/v1/jobs/job_%00"), "404 not_found"),
    "bytes in an id": (get(b"/v1/jobs/job_%ff%fe"), "404 not_found"),
    "surrogates in an id": (get(b"/v1/documents/%ed%a0%80"), "404 not_found"),
    "nul in a filter": (get(b"/v1/jobs?document_id=%00"), "422 invalid_request"),
    "limit of a thousand million": (get(b"/v1/jobs?limit=1000000000"), "422 invalid_request"),
    "cursor of nobody": (get(b"/v1/jobs?after=AAAA"), "200"),
    "line break in a key": (get(JOBS, b"idempotency-key: a\r\n b\r\n"), "200"),
    "two keys": (get(JOBS, KEY), "400 bad_request"),
}
SEARCHES: dict[str, tuple[bytes, str]] = {
    "offset": (post(SEARCH, b'{"query": "a", "offset": 1000000000}', JSON), "422 invalid_request"),
    "tenant of another": (post(SEARCH, b'{"query": "a", "tenant": "other"}', JSON), "422 invalid_request"),
    "filter of another language": (
        post(SEARCH, b'{"query": "a", "where": "{ path: [\\"tenant\\"] }"}', JSON),
        "422 invalid_request",
    ),
    "limit of a search": (post(SEARCH, b'{"query": "a", "limit": 1000000000}', JSON), "422 invalid_request"),
    "search of no type": (post(SEARCH, b'{"query": "a"}'), "415 not_json"),
    "search as text": (post(SEARCH, b'{"query": "a"}', TEXT), "415 not_json"),
    "search as a form": (post(SEARCH, form(part(b"query", b"a")), FORM), "415 not_json"),
    "packed json": (post(SEARCH, b"\x1f\x8b" + b"\x00" * 64, JSON, b"content-encoding: br\r\n"), "415 not_json"),
    "ten megabytes": (post(SEARCH, b'{"query": "' + b"x" * (10 * MIB) + b'"}', JSON), "413 too_large"),
    "order of ten megabytes": (
        post(b"/v1/jobs/cancel", b'{"jobs": ["' + b'x","' * (MIB * 5 // 2) + b'"]}', JSON),
        "413 too_large",
    ),
}
FORMS: dict[str, tuple[bytes, str]] = {
    "form of no type": (post(JOBS, form(FILE)), "415 unsupported_media_type"),
    "form of an empty type": (post(JOBS, form(FILE), b"content-type: \r\n"), "415 unsupported_media_type"),
    "type twice": (post(JOBS, form(FILE), TEXT, FORM), "400 bad_request"),
    "type twice, the good one first": (post(JOBS, form(FILE), FORM, TEXT), "400 bad_request"),
    "packed and not packed": (
        post(JOBS, form(FILE), FORM, b"content-encoding: identity\r\ncontent-encoding: gzip\r\n"),
        "400 bad_request",
    ),
    "no boundary": (post(JOBS, b"--b--\r\n", b"content-type: multipart/form-data\r\n"), "400 bad_request"),
    "another boundary": (post(JOBS, form(FILE).replace(b"--b", b"--c"), FORM), "400 bad_request"),
    "part head of a megabyte": (post(JOBS, b"--b\r\nContent-Disposition: " + b"x" * 900_000, FORM), "400 bad_request"),
    "a hundred thousand heads of a part": (post(JOBS, b"--b\r\n" + b"X: y\r\n" * 100_000, FORM), "400 bad_request"),
    "fifteen thousand parts of one name": (post(JOBS, LANE * 15_000, FORM), "422 invalid_request"),
    "ten thousand parts of unknown names": (
        post(JOBS, form(*(part(b"f%d" % number, b"x") for number in range(10_000))), FORM),
        "422 invalid_request",
    ),
    "ten thousand parts behind the file": (
        post(JOBS, form(FILE, *(part(b"f%d" % number, b"x") for number in range(10_000))), FORM),
        "422 invalid_request",
    ),
    "ninety thousand parts without a name": (post(JOBS, b"--b\r\n\r\n\r\n" * 90_000, FORM), "422 invalid_request"),
    "line breaks for a form": (post(JOBS, b"\r\n" * 450_000, FORM), "400 bad_request"),
    "no end": (post(JOBS, FILE, FORM), "400 bad_request"),
    "packed body": (
        post(JOBS, b"\x1f\x8b" + b"\x00" * 64, FORM, b"content-encoding: gzip\r\n"),
        "415 unsupported_media_type",
    ),
}
CASES = LENGTHS | ADDRESSES | SEARCHES | FORMS
# h11 waits for 16 KiB of a head and no more: what comes in more pieces than one is refused by it, and not by us.
LARGE_HEADS: dict[str, tuple[bytes, str]] = {
    "query of 64 kB": (get(b"/v1/jobs?document_id=" + b"x" * 65_000), "414 uri_too_long"),
    "ten thousand headers": (
        get(b"/livez", *(b"x-%d: y\r\n" % number for number in range(10_000))),
        "431 head_too_large",
    ),
    "header of 64 kB": (get(b"/livez", b"x: " + b"y" * 65_536 + b"\r\n"), "431 head_too_large"),
}
# No answer is due to a caller who goes away within its body; one that is refused before it has its answer.
ENDLESS: dict[str, tuple[bytes, str]] = {
    "body shorter than said": (_sent(SEARCH, b"{}", b"content-length: 100\r\n", JSON), ""),
    "body of no end": (_sent(SEARCH, b"{}", b"content-length: 99999999999999999999\r\n", JSON), ""),
    "chunk of terabytes": (_sent(SEARCH, b"fffffffffff\r\nx", CHUNKED, JSON), ""),
    "form longer than any": (_sent(JOBS, FILE, b"content-length: 100000000000\r\n", FORM), "413 too_large"),
    "a million parts": (_sent(JOBS, LANE * 2, b"content-length: %d\r\n" % (len(LANE) * 10**6), FORM), "413 too_large"),
}


def _check(server: Server, sent: bytes, expected: tuple[str, ...], *, ending: bool = False) -> None:
    before, begun = server.process.memory_info().rss, time.monotonic()
    answer = server.ask(sent, ending=ending)
    assert time.monotonic() - begun < MOST_SECONDS
    assert told(answer) in expected, answer[:300]
    assert b"Traceback" not in answer
    assert server.lives()
    assert server.process.memory_info().rss - before < GROWN


@pytest.mark.parametrize("case", CASES)
def test_what_no_client_sends_is_refused_and_the_next_caller_served(server: Server, case: str) -> None:
    sent, expected = CASES[case]
    _check(server, sent, (expected,))


@pytest.mark.parametrize("case", LARGE_HEADS)
def test_a_head_of_64_kb_is_refused_by_us_or_by_the_protocol_before_us(server: Server, case: str) -> None:
    sent, ours = LARGE_HEADS[case]
    _check(server, sent, (ours, "400"))


@pytest.mark.parametrize("case", ENDLESS)
def test_a_body_that_will_not_end_ends_with_its_caller(server: Server, case: str) -> None:
    sent, expected = ENDLESS[case]
    _check(server, sent, (expected,), ending=True)


def _frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def test_a_rapid_reset_of_http_2_is_refused_at_its_first_word(server: Server) -> None:
    resets = [
        _frame(HEADERS, stream, GET_ROOT, END_STREAM_END_HEADERS) + _frame(RST_STREAM, stream, CANCEL)
        for stream in range(1, 2001, 2)
    ]
    assert len(resets) == 1000
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, b"")
    _check(server, preface + b"".join(resets), ("404 not_found, 400",))
