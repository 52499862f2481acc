"""How a delivery is signed and how its receiver checks it: Standard Webhooks 1.0.0, both of its schemes.

What is signed is `{webhook-id}.{webhook-timestamp}.{raw body}`: by HMAC-SHA256 with a secret that both sides know
(`v1`, the secret is shown as `whsec_` and base64) and by Ed25519 (`v1a`, the public key's raw 32 bytes are shown as
`whpk_` and base64; the private key, `whsk_`, is shown to nobody).
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import functools
import hmac
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET, PUBLIC = "whsec_", "whpk_"
TOLERANCE_SECONDS = 300.0
"""How far the clocks of sender and receiver may be apart, delivery included."""
_LEAST_SECRET, _MOST_SECRET, _PUBLIC_BYTES = 24, 64, 32
_CACHED = 8192  # two secrets each of some thousand endpoints; about 1 KB each
_MOST_ENTRIES = 64  # each costs a look at the whole body, and anybody may send a header full of them
_ID = re.compile(r"[!-\-/-~]+")  # visible ASCII but the full stop, which would let one text be read as two
_SECONDS = re.compile(r"[0-9]{1,12}")


class SignatureRefused(ValueError):
    """A delivery that was not signed with this key, was changed on its way, or comes too late; says which."""


class Signer:
    """Makes and uses the secrets of endpoints; `keys` maps key numbers to secrets, the highest is for new ones.

    They are the setting `id_keys`, as bytes. Of each, HKDF-SHA256 (RFC 5869) makes the secret and the Ed25519 seed of
    every endpoint's every version, so that any process has them, none is stored, and one that got out gives no other
    away. Without keys it raises ValueError; where a number is asked for that is not among them, each method raises
    KeyError.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        self._keys = dict(keys)
        self._newest = max(self._keys)
        self._pair = functools.lru_cache(_CACHED)(self._derived)

    def __repr__(self) -> str:
        return "Signer()"

    def newest(self) -> int:
        """The number of the key that new secrets are made with."""
        return self._newest

    def secret(self, endpoint: str, key: int, version: int) -> str:
        """What the endpoint's receiver checks `v1` with: `whsec_` and base64 of 32 bytes. To be told only to it."""
        return SECRET + _base64(self._pair(endpoint, key, version).secret)

    def public_key(self, endpoint: str, key: int, version: int) -> str:
        """What anybody checks the endpoint's `v1a` with: `whpk_` and base64 of 32 bytes; no secret."""
        return PUBLIC + _base64(self._pair(endpoint, key, version).private.public_key().public_bytes_raw())

    def headers(
        self, endpoint: str, current: Sequence[tuple[int, int]], message: str, at: datetime | int, body: bytes
    ) -> dict[str, str]:
        """The three headers of an attempt made `at` (Unix seconds, or a datetime with its zone).

        `current` are the key number and version of every secret that is good now, of which each signs twice; put the
        newest first, for receivers that read no further than the first. Raises ValueError for no secret, a datetime
        without a zone, and a `message` that no header may hold or that has a full stop.
        """
        if not current:
            raise ValueError("a delivery is signed with one secret at least")
        if not _ID.fullmatch(message):
            raise ValueError("a webhook-id is visible ASCII without a full stop")
        seconds = str(_seconds(at))
        text = _signed(message, seconds, body)
        signatures = " ".join(self._pair(endpoint, key, version).sign(text) for key, version in current)
        return {"webhook-id": message, "webhook-timestamp": seconds, "webhook-signature": signatures}

    def _derived(self, endpoint: str, key: int, version: int) -> "_Pair":
        def make(scheme: str) -> bytes:
            info = f"headrace webhook {scheme}|{endpoint}|{version}".encode()
            return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(self._keys[key])

        return _Pair(make("v1"), Ed25519PrivateKey.from_private_bytes(make("v1a")))


class _Pair:
    """A version of an endpoint's secret: what each scheme signs with. Its repr is Python's, which shows nothing."""

    def __init__(self, secret: bytes, private: Ed25519PrivateKey) -> None:
        self.secret = secret
        self.private = private

    def sign(self, text: bytes) -> str:
        """Its two entries of the header `webhook-signature`."""
        tag = hmac.digest(self.secret, text, "sha256")
        return f"v1,{_base64(tag)} v1a,{_base64(self.private.sign(text))}"


def signer(keys: Mapping[int, str]) -> Signer:
    """What signs with secrets derived from the server's keys."""
    return Signer({number: key.encode() for number, key in keys.items()})


class Verifier:
    """Checks deliveries with what their receiver was told: `whsec_…` checks the `v1` entries, `whpk_…` the `v1a`.

    Raises ValueError for what is neither, and holds none of it in the message.
    """

    def __init__(self, secret_or_public: str) -> None:
        self._secret = _decoded(secret_or_public, SECRET, range(_LEAST_SECRET, _MOST_SECRET + 1))
        raw = _decoded(secret_or_public, PUBLIC, range(_PUBLIC_BYTES, _PUBLIC_BYTES + 1))
        self._public = None if raw is None else Ed25519PublicKey.from_public_bytes(raw)
        if self._secret is None and self._public is None:
            raise ValueError(
                f"neither a secret ({SECRET} and base64 of {_LEAST_SECRET} to {_MOST_SECRET} bytes) "
                f"nor a public key ({PUBLIC} and base64 of {_PUBLIC_BYTES} bytes)"
            )

    def verify(
        self, headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float = TOLERANCE_SECONDS
    ) -> None:
        """Pass over a delivery that is good `now` (Unix seconds, `tolerance` either way); else `SignatureRefused`."""
        found = {name.lower(): value for name, value in headers.items()}
        message, seconds, signatures = (found.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
        if not _ID.fullmatch(message):
            raise SignatureRefused("the header webhook-id is missing, or is not visible ASCII without a full stop")
        if not _SECONDS.fullmatch(seconds):
            raise SignatureRefused("the header webhook-timestamp is missing, or is no whole number of seconds")
        apart = now - int(seconds)
        if not abs(apart) <= tolerance:  # said so that a clock without a number refuses
            told = f"the header webhook-timestamp is {abs(apart):.0f} s {'behind' if apart > 0 else 'ahead'}"
            raise SignatureRefused(f"{told}; {tolerance:.0f} s are let pass")
        text = _signed(message, seconds, body)
        scheme = "v1" if self._public is None else "v1a"
        if not self._fits(text, _entries(signatures, scheme)):
            raise SignatureRefused(f"the header webhook-signature holds no {scheme} signature that fits")

    def _fits(self, text: bytes, signatures: Iterator[bytes]) -> bool:
        if self._secret is not None:
            tag = hmac.digest(self._secret, text, "sha256")
            return any(hmac.compare_digest(tag, signature) for signature in signatures)
        return self._public is not None and any(_holds(self._public, text, signature) for signature in signatures)


def verify(
    secret_or_public: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    tolerance: float = TOLERANCE_SECONDS,
) -> None:
    """Check one delivery, as `Verifier` does: `body` as it came, `now` in Unix seconds, `tolerance` in seconds.

    Names of `headers` may be in any case; entries of other schemes and without a comma are passed over. Raises
    `SignatureRefused`, and ValueError (but not that) for a secret or public key of another form.
    """
    Verifier(secret_or_public).verify(headers, body, now=now, tolerance=tolerance)


def _signed(message: str, seconds: str, body: bytes) -> bytes:
    return b".".join((message.encode(), seconds.encode(), body))


def _entries(header: str, scheme: str) -> Iterator[bytes]:
    """The signatures of `scheme`; what has no comma or is no base64 is none."""
    for entry in header.split()[:_MOST_ENTRIES]:
        with suppress(ValueError):
            name, encoded = entry.split(",", 1)
            if name == scheme:
                yield base64.b64decode(encoded, validate=True)


def _holds(public: Ed25519PublicKey, text: bytes, signature: bytes) -> bool:
    try:
        public.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _seconds(at: datetime | int) -> int:
    if isinstance(at, int):
        return at
    if at.tzinfo is None:
        raise ValueError("a datetime without a zone is no moment")
    return math.floor(at.timestamp())


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str, prefix: str, sizes: range) -> bytes | None:
    """The bytes behind `prefix`, None where they are no such thing; `=` at the end may have been lost in copying."""
    encoded = text.removeprefix(prefix).rstrip("=")
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return None
    return raw if text.startswith(prefix) and len(raw) in sizes else None
