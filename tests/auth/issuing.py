"""An authorization server for tests: its keys, its tokens, and the server that its keys are fetched from."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from api.auth.jws import Key

ISSUER = "https://login.example"
AUDIENCE = "https://api.example"
RSA, OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"}), RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
EC_384 = ECKey.generate_key("P-384", {"kid": "ec384"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
TIED = RSAKey.generate_key(2048, {"kid": "tied", "alg": "RS256", "use": "sig"})
_HS256 = {"alg": "HS256", "typ": "at+jwt", "kid": "rsa"}
KEYS: tuple[Key, ...] = (RSA, EC, EC_384, ED, TIED)


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a good token; a change to None takes a claim away."""
    now = int(time.time())
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "iat": now, "sub": "u-1", "client_id": "app", "jti": "j-1",
        "scope": "jobs:read models:read", "tenant": "demo",
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token; `header` changes its header, where None takes a member away."""
    head = {"alg": algorithm, "typ": "at+jwt", "kid": getattr(key, "kid", None)} | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    signed = ".".join(_base64(json.dumps(each).encode()) for each in (head, claims(**changes)))
    # The algorithm alone: joserfc itself refuses to make most of what is to be refused.
    signature = jws.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm).sign(signed.encode(), key)
    return f"{signed}.{_base64(signature)}"


def key_set(*keys: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys or KEYS]}


def shared(words: bytes) -> str:
    """A token that a shared secret signs: what libraries were led to take a public key for."""
    head, payload = (_base64(json.dumps(each).encode()) for each in (_HS256, claims()))
    mac = hmac.new(words, f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}.{payload}.{_base64(mac)}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def serving(answer: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.AsyncClient:
    """A client whose every request `answer` answers."""
    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
