"""Names and fields of a form as no client library sends them: what is kept of them, and what is refused where."""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest

from schemas import topics
from schemas.codec import decode
from schemas.documents import JobSubmitted
from schemas.envelope import Envelope
from schemas.records import Partition, Record
from tests.api.raw import FORM, Site, form, open_site, part, post, told
from tests.fakes import World

WORDS = b"words enough"
FILE = part(b"file", WORDS, b"a.txt")
BLOB = re.compile(r"demo/[0-9a-f]{32}")


@pytest.fixture(scope="module")
def opened() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture
def site(opened: Site) -> Site:
    """Where nothing was submitted yet."""
    opened.world.publisher.published.clear()
    opened.world.blobs.kept.clear()
    return opened


def _sent(site: Site, body: bytes) -> tuple[str, dict[str, Any]]:
    answer = site.ask(post(b"/v1/jobs", body, FORM))
    content: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return told(answer), content


def _published(world: World) -> tuple[Envelope, JobSubmitted]:
    (record,) = world.publisher.published
    at = Partition(topics.JOBS.name, 0)
    envelope, payload = decode(Record(at, 0, 0, record.key, record.value, record.headers, 0))
    assert isinstance(payload, JobSubmitted)
    return envelope, payload


def _nothing_kept(world: World) -> bool:
    return (world.blobs.kept, world.publisher.published) == ({}, [])


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        (b"../../etc/x", "x"),
        (b"..\\..\\etc\\x", "x"),
        (b"C:\\Users\\me\\a.pdf", "a.pdf"),
        (b"/etc/passwd\x00.pdf", "passwd.pdf"),
        (b"a\x00b.pdf", "ab.pdf"),
        (b"\x00", ""),
        (b"..", ""),
        (b"%2e%2e%2fetc%2fx", "%2e%2e%2fetc%2fx"),
        ("invoice\u202efdp.exe".encode(), "invoicefdp.exe"),
        ("\u2066a\u200b\ufeff.pdf\U000e0041\U000e007f".encode(), "a.pdf"),
        (b"a\x1b[31m\x7f\tb.pdf", "a[31mb.pdf"),
        (b"a\nSet-Cookie: x", "aSet-Cookie: x"),
        (b"a\r\nSet-Cookie: x", '"a'),
        (b"a\r\n\r\nb", '"a'),
        (b'a\\"; name=\\"lane', 'a"; name="lane'),
        (b"\xff\xfe.pdf", "\ufffd\ufffd.pdf"),
        (b"\xed\xa0\x80.pdf", "\ufffd\ufffd\ufffd.pdf"),
        (b"x" * 4096, "x" * 255),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_of_a_hostile_file_name_a_harmless_one_is_kept_and_no_path_is_made(site: Site, name: bytes, clean: str) -> None:
    answer = site.ask(post(b"/v1/jobs", form(part(b"file", WORDS, name)), FORM))
    assert told(answer) == "202"
    head, _, content = answer.partition(b"\r\n\r\n")
    _, payload = _published(site.world)
    assert (json.loads(content)["filename"], payload.filename) == (clean, clean)
    assert not any(unicodedata.category(character)[0] == "C" for character in clean)
    assert list(site.world.blobs.kept) == [payload.source.key]
    assert BLOB.fullmatch(payload.source.key), "the key is of the tenant and of chance"
    assert b"set-cookie" not in head.lower()


def test_a_file_name_of_another_spelling_is_not_read(site: Site) -> None:
    named = b"filename*=UTF-8''..%2F..%2Fetc%2Fx%00%0d%0a%e2%80%ae.pdf"
    body = form(FILE.replace(b'filename="a.txt"', named))
    assert _sent(site, body)[0] == "202"
    assert _published(site.world)[1].filename == ""


@pytest.mark.parametrize("name", [b"a\rb.pdf", b"a\r\n folded.pdf", b"x" * 20_000])
def test_a_file_name_that_breaks_the_form_is_refused_with_it(site: Site, name: bytes) -> None:
    assert _sent(site, form(part(b"file", WORDS, name)))[0] == "400 bad_request"
    assert _nothing_kept(site.world)


@pytest.mark.parametrize(
    ("field", "value", "pointer", "code"),
    [
        (b"document_id", b"a\x00b", "/document_id", "value_error"),
        (b"document_id", b"a\x1bb", "/document_id", "value_error"),
        (b"document_id", b"a\xc2\x9bb", "/document_id", "value_error"),
        (b"document_id", b"\xff", "/document_id", "encoding"),
        (b"document_id", b"\xed\xa0\x80", "/document_id", "encoding"),
        (b"document_id", b"a\xe2\x82", "/document_id", "encoding"),
        (b"tags", b"a,b\x00", "/tags/1", "value_error"),
        (b"tags", b"a,\xff", "/tags", "encoding"),
        (b"tags", b"\xed\xa0\x80", "/tags", "encoding"),
        (b"metadata", b'{"a": "\x00"}', "/metadata", "value_error"),
        (b"metadata", b'{"a": "\\u0000"}', "/metadata/a", "value_error"),
        (b"metadata", b'{"a": "\\ud800"}', "/metadata/a", "string_unicode"),
        (b"metadata", b'{"a": "\\udc00\\ud800"}', "/metadata/a", "string_unicode"),
        (b"metadata", b'{"a": "\xff"}', "/metadata", "encoding"),
        (b"metadata", b'{"\xed\xa0\x80": "a"}', "/metadata", "encoding"),
        (b"lane", b"bulk\x00", "/lane", "literal_error"),
        (b"deadline_seconds", b"60\x00", "/deadline_seconds", "float_parsing"),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_what_is_no_text_is_refused_where_it_stands(
    site: Site, field: bytes, value: bytes, pointer: str, code: str, behind: bool
) -> None:
    parts = [part(field, value), FILE]
    outcome, answer = _sent(site, form(*parts[:: -1 if behind else 1]))
    assert outcome == "422 invalid_request"
    assert [(error["pointer"], error["code"]) for error in answer["errors"]] == [(pointer, code)]
    assert _nothing_kept(site.world)


@pytest.mark.parametrize("key", [b"\\u0000", b"\\ud800", b"a\\u001b"])
def test_what_is_no_text_is_no_name_of_metadata_either(site: Site, key: bytes) -> None:
    outcome, answer = _sent(site, form(FILE, part(b"metadata", b'{"' + key + b'": "a"}')))
    assert outcome == "422 invalid_request"
    assert [error["pointer"].split("/")[1] for error in answer["errors"]] == ["metadata"]
    assert _nothing_kept(site.world)


@pytest.mark.parametrize(
    "identifier",
    [
        "p\u0430ypal",  # a Cyrillic letter
        "a\u200bb\u200d\ufeff",
        "a\u202eb\u2066c",
        "a\U000e0041\U000e007f",
        "\uff11\uff12\uff13",
        "\\ud800",
    ],
    ids=ascii,
)
def test_a_document_s_id_is_kept_as_its_caller_wrote_it_whatever_it_looks_like(site: Site, identifier: str) -> None:
    outcome, answer = _sent(site, form(part(b"document_id", identifier.encode()), FILE))
    assert outcome == "202", answer
    assert answer["document_id"] == _published(site.world)[0].document == identifier


@pytest.mark.parametrize("field", [b"url", b"image_url"])
@pytest.mark.parametrize("others", [(), (FILE,)])
@pytest.mark.parametrize("behind", [False, True])
def test_no_document_is_fetched_from_an_address(
    site: Site, field: bytes, others: tuple[bytes, ...], behind: bool
) -> None:
    address = part(field, b"http://169.254.169.254/")
    outcome, answer = _sent(site, form(*others, address) if behind else form(address, *others))
    assert outcome == "422 invalid_request"
    assert [(error["pointer"], error["code"]) for error in answer["errors"]] == [(f"/{field.decode()}", "unknown")]
    assert _nothing_kept(site.world)
