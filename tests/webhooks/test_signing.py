"""Signatures of webhooks: others' verifiers take ours, ours takes the published ones, and it refuses what is forged."""

import base64
import hmac
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

import openai
import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.webhooks.signing import SignatureRefused, Signer, Verifier, verify

SERVER = {1: b"an old secret of this server 1234", 7: b"the newest secret of this server"}
SIGNER = Signer(SERVER)
NOW = int(time.time())
BODY = b'{"type":"job.succeeded","timestamp":"2026-01-01T00:00:00Z","data":{"id":"job_1"}}'
OLD, NEW = (1, 3), (7, 4)
CLIENT = openai.OpenAI(api_key="none")


def _headers(
    current: Sequence[tuple[int, int]] = (NEW,), at: datetime | int = NOW, body: bytes = BODY
) -> dict[str, str]:
    return SIGNER.headers("we_a", current, "msg_1", at, body)


def _standard(secret: str, headers: dict[str, str], body: bytes) -> None:
    standardwebhooks.Webhook(secret).verify(body, headers, json_parse=False)


def _svix(secret: str, headers: dict[str, str], body: bytes) -> None:
    svix.webhooks.Webhook(secret).verify(body, headers)


def _openai(secret: str, headers: dict[str, str], body: bytes) -> None:
    CLIENT.webhooks.verify_signature(body, headers, secret=secret)


ORACLES = pytest.mark.parametrize("accept", [_standard, _svix, _openai])


@ORACLES
@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=300))
def test_what_we_sign_others_verify_by_either_secret_of_a_rotation(
    accept: Callable[[str, dict[str, str], bytes], None], text: str
) -> None:
    """Each of them takes a body for UTF-8, as JSON is; for other bytes see the next test."""
    body = text.encode()
    headers = _headers((NEW, OLD), int(time.time()), body)
    for key, version in (NEW, OLD):
        accept(SIGNER.secret("we_a", key, version), headers, body)


@ORACLES
def test_others_refuse_the_secret_of_another_endpoint_and_of_a_rotation_that_ended(
    accept: Callable[[str, dict[str, str], bytes], None],
) -> None:
    headers = _headers((NEW,), int(time.time()))
    for secret in (SIGNER.secret("we_b", *NEW), SIGNER.secret("we_a", *OLD)):
        with pytest.raises((standardwebhooks.WebhookVerificationError, openai.InvalidWebhookSignatureError)):
            accept(secret, headers, BODY)


@settings(max_examples=25, deadline=None)
@given(body=st.binary(max_size=300))
def test_any_bytes_are_verified_with_the_public_key_alone_and_by_us(body: bytes) -> None:
    headers = _headers((NEW, OLD), NOW, body)
    entries = [entry.split(",") for entry in headers["webhook-signature"].split(" ")]
    assert [scheme for scheme, _ in entries] == ["v1", "v1a", "v1", "v1a"]
    for (key, version), (_, signature) in zip((NEW, OLD), entries[1::2], strict=True):
        told = SIGNER.public_key("we_a", key, version)
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(told.removeprefix("whpk_")))
        public.verify(base64.b64decode(signature), f"msg_1.{NOW}.".encode() + body)
        verify(told, headers, body, now=NOW)
        verify(SIGNER.secret("we_a", key, version), headers, body, now=NOW)


PUBLISHED = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330"}
"""`v1` is what the libraries of standard-webhooks test themselves with; `v1a` stands in the specification's example of
headers, and is told with its key by the tests of svix's server."""
HMAC = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
ED25519 = (
    "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
)


@pytest.mark.parametrize(("key", "signature"), [HMAC, ED25519])
def test_published_vectors_hold(key: str, signature: str) -> None:
    headers = {**PUBLISHED, "webhook-signature": signature}
    verify(key, headers, b'{"test": 2432232314}', now=1614265330)
    with pytest.raises(SignatureRefused):
        verify(key, headers, b'{"test": 2432232315}', now=1614265330)


def _derived(scheme: str) -> bytes:
    """RFC 5869, 2.2 and 2.3, of one block."""
    extracted = hmac.digest(bytes(32), SERVER[7], "sha256")
    return hmac.digest(extracted, f"headrace webhook {scheme}|we_a|4\x01".encode(), "sha256")


def test_secrets_are_derived_as_is_written_and_so_never_change() -> None:
    private = Ed25519PrivateKey.from_private_bytes(_derived("v1a"))
    public = private.public_key().public_bytes_raw()
    assert SIGNER.secret("we_a", *NEW) == "whsec_" + base64.b64encode(_derived("v1")).decode()
    assert SIGNER.public_key("we_a", *NEW) == "whpk_" + base64.b64encode(public).decode()
    text = b"msg_1.%d." % NOW + BODY
    tag = base64.b64encode(hmac.digest(_derived("v1"), text, "sha256")).decode()
    signature = base64.b64encode(private.sign(text)).decode()
    assert _headers() == {
        "webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,{tag} v1a,{signature}",
    }  # fmt: skip


def test_every_endpoint_key_and_version_has_secrets_of_its_own() -> None:
    whose = [(endpoint, key, version) for endpoint in ("we_a", "we_b") for key in SERVER for version in (1, 2, 11)]
    told = [make(*each) for each in whose for make in (SIGNER.secret, SIGNER.public_key)]
    assert len(set(told)) == len(told) == 24
    assert Signer(SERVER).secret("we_b", 1, 2) == SIGNER.secret("we_b", 1, 2)


def test_the_highest_number_is_for_new_secrets_and_one_that_is_missing_is_a_key_error() -> None:
    assert SIGNER.newest() == 7
    for call in (SIGNER.secret, SIGNER.public_key):
        with pytest.raises(KeyError, match=r"^2$"):
            call("we_a", 2, 1)
    with pytest.raises(KeyError, match=r"^2$"):
        _headers((NEW, (2, 1)))
    with pytest.raises(ValueError, match="empty"):
        Signer({})


def test_nothing_secret_is_shown() -> None:
    verifier = Verifier(SIGNER.secret("we_a", *NEW))
    assert repr(SIGNER) == str(SIGNER) == "Signer()"
    assert repr(SIGNER._pair("we_a", *NEW)).startswith("<sinks.webhooks.signing._Pair object at")
    assert repr(verifier).startswith("<sinks.webhooks.signing.Verifier object at")
    with pytest.raises(ValueError, match="neither a secret") as refused:
        Verifier("whsec_c2hvcnQ=")
    assert "c2hvcnQ" not in str(refused.value)


def test_a_moment_is_told_in_whole_seconds_of_any_zone() -> None:
    moment = datetime(2026, 1, 1, 2, 0, 0, 999_999, timezone(timedelta(hours=2)))
    assert _headers(at=moment)["webhook-timestamp"] == "1767225600"
    assert _headers(at=moment) == _headers(at=moment.astimezone(UTC)) == _headers(at=1767225600)
    with pytest.raises(ValueError, match="zone"):
        _headers(at=moment.replace(tzinfo=None))


@pytest.mark.parametrize("message", ["", "msg.1", "msg 1", "msg\r\nx: y", "msg_\u00e9", "msg_1\n"])
def test_a_message_that_no_header_may_hold_is_not_signed(message: str) -> None:
    with pytest.raises(ValueError, match="webhook-id"):
        SIGNER.headers("we_a", [NEW], message, NOW, BODY)


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(ValueError, match="one secret at least"):
        _headers(())


KEYS = pytest.mark.parametrize("key", [SIGNER.secret("we_a", *NEW), SIGNER.public_key("we_a", *NEW)], ids=["v1", "v1a"])
FORGED = {
    "another body": ({}, BODY + b" "),
    "an empty body": ({}, b""),
    "another id": ({"webhook-id": "msg_2"}, BODY),
    "another timestamp": ({"webhook-timestamp": str(NOW + 1)}, BODY),
    "the same timestamp written otherwise": ({"webhook-timestamp": f"0{NOW}"}, BODY),
    "the id's end in the timestamp": ({"webhook-id": "msg_1", "webhook-timestamp": f"1.{NOW}"}, BODY),
    "an id with a full stop": ({"webhook-id": f"msg_1.{NOW}"}, BODY),
    "no id": ({"webhook-id": ""}, BODY),
    "an id that is no ASCII": ({"webhook-id": "msg_\u00b9"}, BODY),
    "no timestamp": ({"webhook-timestamp": ""}, BODY),
    "a timestamp with a fraction": ({"webhook-timestamp": f"{NOW}.0"}, BODY),
    "a timestamp below zero": ({"webhook-timestamp": f"-{NOW}"}, BODY),
    "a timestamp with a sign": ({"webhook-timestamp": f"+{NOW}"}, BODY),
    "a timestamp of other digits": ({"webhook-timestamp": "\u0661" * 10}, BODY),
    "a timestamp without an end": ({"webhook-timestamp": "9" * 5000}, BODY),
    "no signature": ({"webhook-signature": ""}, BODY),
    "blanks": ({"webhook-signature": "  "}, BODY),
    "entries without a comma": ({"webhook-signature": "v1 v1a nonsense"}, BODY),
    "no base64": ({"webhook-signature": "v1,*** v1a,*** v1,\u00e9 v1a,\u00e9 v1,a v1a,a"}, BODY),
    "signatures of no bytes": ({"webhook-signature": "v1, v1a,"}, BODY),
    "signatures too short": ({"webhook-signature": "v1,AAAA v1a,AAAA"}, BODY),
    "no base64 in base64": ({"webhook-signature": _headers()["webhook-signature"].replace(",", ",!")}, BODY),
    "zeros": ({"webhook-signature": f"v1,{'A' * 43}= v1a,{'A' * 86}=="}, BODY),
    "the signature of another endpoint": (SIGNER.headers("we_b", [NEW], "msg_1", NOW, BODY), BODY),
    "the signature of another version": (_headers(((7, 3),)), BODY),
    "the schemes exchanged": (
        {"webhook-signature": _headers()["webhook-signature"].replace("v1,", "v1b,").replace("v1a,", "v1,")}, BODY,
    ),
}  # fmt: skip


@KEYS
@pytest.mark.parametrize(("changed", "body"), FORGED.values(), ids=FORGED)
def test_what_is_forged_is_refused(key: str, changed: dict[str, str], body: bytes) -> None:
    verify(key, _headers(), BODY, now=NOW)
    with pytest.raises(SignatureRefused, match=r"^the header webhook-(id|timestamp|signature) "):
        verify(key, {**_headers(), **changed}, body, now=NOW)


@KEYS
def test_what_was_signed_is_not_to_be_cut_elsewhere(key: str) -> None:
    """The signature fits all of them, as it is over the three with full stops between them."""
    headers = _headers(body=b"%d.{}" % NOW)
    for moved in ({"webhook-id": f"msg_1.{NOW}"}, {"webhook-timestamp": f"{NOW}.{NOW}"}):
        with pytest.raises(SignatureRefused, match=next(iter(moved))):
            verify(key, {**headers, **moved}, b"{}", now=NOW)


@KEYS
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_named(key: str, name: str) -> None:
    headers = _headers()
    del headers[name]
    with pytest.raises(SignatureRefused, match=name):
        verify(key, headers, BODY, now=NOW)


@KEYS
def test_a_delivery_is_good_for_five_minutes_either_way(key: str) -> None:
    for late in (-300, 0, 300):
        verify(key, _headers(), BODY, now=NOW + late)
    for late, told in ((300.5, "behind"), (-300.5, "ahead"), (10**6, "1000000 s behind")):
        with pytest.raises(SignatureRefused, match=told):
            verify(key, _headers(), BODY, now=NOW + late)
    verify(key, _headers(), BODY, now=NOW + 900, tolerance=900)
    for now, tolerance in ((float("nan"), 300.0), (NOW, float("nan")), (NOW, -1)):
        with pytest.raises(SignatureRefused):
            verify(key, _headers(), BODY, now=now, tolerance=tolerance)


@KEYS
def test_names_of_headers_have_any_case_and_what_is_no_entry_is_passed_over(key: str) -> None:
    headers = {name.title(): value for name, value in _headers().items()}
    headers["Webhook-Signature"] = f"v1 nonsense v1,* v1a,* v1,AAAA v1a,AAAA v2,AAAA  {headers['Webhook-Signature']} v1"
    verify(key, headers, BODY, now=NOW)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("whsec_" + base64.b64encode(bytes(24)).decode(), True),
        ("whsec_" + base64.b64encode(bytes(64)).decode(), True),
        (SIGNER.secret("we_a", *NEW).rstrip("="), True),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), False),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), False),
        ("whpk_" + base64.b64encode(bytes(31)).decode(), False),
        ("whpk_" + base64.b64encode(bytes(64)).decode(), False),
        ("whsk_" + base64.b64encode(bytes(32)).decode(), False),
        (base64.b64encode(bytes(32)).decode(), False),
        ("whsec_" + "\u00e9" * 44, False),
        ("whsec_" + "A" * 33, False),
        ("whsec_", False),
        ("", False),
    ],
)  # fmt: skip
def test_what_is_no_secret_is_not_taken_for_one(key: str, good: bool) -> None:
    if good:
        Verifier(key)
        return
    with pytest.raises(ValueError, match="neither a secret") as refused:
        verify(key, _headers(), BODY, now=NOW)
    assert not isinstance(refused.value, SignatureRefused)
