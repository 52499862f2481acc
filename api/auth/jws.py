"""Signed tokens taken apart and checked (RFC 7515, with the advice of RFC 8725), whoever issued them.

What a token's header says is a wish: it chooses among the algorithms and keys that its issuer is known by, and brings
none of its own (`jwk`, `jku` and `x5u` are never looked at).
"""

import base64
import binascii
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from api.unique_names import once
from schemas.errors import Unauthorized

MOST_CHARACTERS = 16 * 1024
_KINDS = {
    "RS": (RSAKey, None), "PS": (RSAKey, None), "ES256": (ECKey, "P-256"), "ES384": (ECKey, "P-384"),
    "ES512": (ECKey, "P-521"), "Ed25519": (OKPKey, "Ed25519"),
}  # fmt: skip
_LEAST_RSA_BITS = 2048

Key = RSAKey | ECKey | OKPKey


class _Registry(jws.JWSRegistry):
    """What a header may hold: what is not understood is ignored (RFC 7515, 4), chains of certificates are long."""

    max_header_length = MOST_CHARACTERS


@dataclass(frozen=True, slots=True)
class Peeked:
    """What a token says of itself, not checked at all."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def peek(token: str) -> Peeked | None:
    """The two objects of a token in its compact form, None where it is none."""
    if len(token) > MOST_CHARACTERS or token.count(".") != 2:
        return None
    header, claims = map(_object, token.split(".")[:2])
    return None if header is None or claims is None else Peeked(header, claims)


def public_keys(found: object) -> list[Key]:
    """The usable keys of a JWK Set (RFC 7517): what is secret, weak, for other uses or unknown is left out."""
    listed = found.get("keys") if isinstance(found, dict) else None
    keys = [_imported(each) for each in listed] if isinstance(listed, list) else []
    return [key for key in keys if key is not None]


def checked(token: str, peeked: Peeked, keys: Sequence[Key], algorithms: Collection[str]) -> None:
    """Return where one of `keys` signed the token with one of `algorithms`; raises `Unauthorized`."""
    algorithm = peeked.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise refused("its algorithm is none of its issuer's")
    if "crit" in peeked.header or "b64" in peeked.header:
        raise refused("its header wants what is not understood here")
    for key in keys:
        if fits(key, algorithm):
            try:
                jws.deserialize_compact(token, key, registry=_Registry(None, [algorithm], strict_check_header=False))
            except (JoseError, ValueError):
                continue
            return
    raise refused("its signature is not its issuer's")


def fits(key: Key, algorithm: str) -> bool:
    """Whether a key may be used with an algorithm: a key is of one kind, and its own `alg` ties it to one of them."""
    kind, curve = _KINDS.get(algorithm) or _KINDS[algorithm[:2]]
    told = key.as_dict(private=False)
    return isinstance(key, kind) and told.get("crv") == curve and told.get("alg") in (None, algorithm)


def refused(reason: str) -> Unauthorized:
    """The error of a token; `reason` quotes nothing of it."""
    return Unauthorized(f"the access token is refused: {reason}", presented=True)


def _imported(found: object) -> Key | None:
    if not isinstance(found, dict) or found.get("use", "sig") != "sig" or "d" in found:
        return None
    weak = found.get("kty") == "RSA" and len(str(found.get("n"))) * 6 < _LEAST_RSA_BITS  # base64: six bits a character
    if weak or found.get("kty") == "oct":
        return None
    try:
        key = import_key(found)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _object(part: str) -> dict[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=once)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
