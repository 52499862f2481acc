"""Access tokens: one good one in every form, and all that is not one."""

import base64
import json
import time
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey

from api.auth import access_tokens, jws
from api.auth.access_tokens import AccessTokens
from api.auth.jws import Key, public_keys
from schemas.errors import Unauthorized
from schemas.issuers import Issuer
from schemas.scopes import Scope
from tests.auth import issuing
from tests.auth.issuing import (
    AUDIENCE,
    EC,
    EC_384,
    ED,
    ISSUER,
    OTHER_RSA,
    RSA,
    TIED,
    claims,
    key_set,
    shared,
    token,
)

NOW = int(time.time())
OTHER_EC = ECKey.generate_key("P-256", {"kid": "ec"})
ALL = ("RS256", "PS256", "ES256", "ES384", "Ed25519")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands: tokens are made when this file is read, which may be many minutes before they are presented."""
    stands = SimpleNamespace(time=lambda: float(NOW))
    monkeypatch.setattr(access_tokens, "time", stands)
    monkeypatch.setattr(issuing, "time", stands)


class Again(str):
    """A name that stands a second time in the JSON of a dictionary."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class Held:
    """Keys at hand."""

    def __init__(self, found: object = None) -> None:
        self._keys = public_keys(found or key_set())
        self.asked: list[str | None] = []

    async def named(self, kid: str | None) -> list[Key]:
        self.asked.append(kid)
        return [key for key in self._keys if kid in (None, key.kid)]


def _issuer(**changes: Any) -> Issuer:
    return Issuer(**({"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ALL} | changes))


def _twice(tenant: str) -> dict[str, Any]:
    return {Again("tenant"): tenant}


def _raw(header: object, payload: object, signature: str = "AAAA") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in (header, payload))
    return ".".join([*parts, signature])


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (EC_384, "ES384"), (ED, "Ed25519"), (TIED, "RS256")],
)
async def test_a_good_token_of_each_algorithm_is_let_in(key: Any, algorithm: str) -> None:
    who = await AccessTokens(_issuer(), Held()).identify(token(key, algorithm))
    assert who.tenant == "demo"
    assert who.scopes == {Scope.JOBS_READ, Scope.MODELS}
    assert who.name == "client app, subject u-1"
    assert who.until is not None
    assert 300 <= who.until.timestamp() - NOW < 400


@pytest.mark.parametrize(
    "good",
    [
        token(aud=["https://elsewhere.example", AUDIENCE]),
        token(header={"typ": "application/at+jwt"}),
        token(header={"typ": "AT+JWT"}),
        token(exp=NOW - 10),  # within the leeway
        token(iat=NOW + 10, nbf=NOW + 10),
        token(exp=NOW + 300.5),
        token(header={"kid": None}),
        token(scope="jobs:read models:read unheard:of"),
        token(header={"nonce": "abc", "x": 1}),  # RFC 7515, 4: what is not understood is ignored
        token(header={"x5c": ["MII" + "A" * 4000]}),
        token(header={"jwk": OTHER_RSA.as_dict(private=False)}),
    ],
)
async def test_what_the_specifications_allow_is_let_in(good: str) -> None:
    assert (await AccessTokens(_issuer(), Held()).identify(good)).tenant == "demo"


# RFC 7515, 4.1.11, and RFC 7797: what is in `crit` must be understood. joserfc itself takes all but the first three.
CRITICAL: dict[str, dict[str, Any]] = {
    "a claim that must be understood": {"crit": ["exp"]},
    "an extension that must be understood": {"crit": ["x"], "x": 1},
    "an unencoded payload that nothing tells of": {"b64": False},
    "an unencoded payload": {"b64": False, "crit": ["b64"]},
    "an encoded payload that must be understood": {"b64": True, "crit": ["b64"]},
    "a header that must be understood anyway": {"crit": ["alg"]},
    "an empty list of what must be understood": {"crit": []},
}
HOSTILE = {
    **{name: token(header=header) for name, header in CRITICAL.items()},
    "no signature at all": _raw({"alg": "none", "typ": "at+jwt", "kid": "rsa"}, claims(), ""),
    "none in capitals": _raw({"alg": "NONE", "typ": "at+jwt", "kid": "rsa"}, claims(), ""),
    "none in both": _raw({"alg": "nOnE", "typ": "at+jwt", "kid": "rsa"}, claims(), ""),
    "an empty signature": token().rpartition(".")[0] + ".",
    "the signature of another token": f"{token(sub='u-2').rpartition('.')[0]}.{token().rpartition('.')[2]}",
    "a public key used as a secret": shared(RSA.as_pem(private=False)),
    "a shared secret": shared(b"secret" * 8),
    "another's key of the same name": token(OTHER_RSA),
    "its own key in the header": token(OTHER_EC, "ES256", header={"jwk": OTHER_EC.as_dict(private=False)}),
    "a place to fetch its key from": token(OTHER_RSA, header={"jku": "https://evil.example/keys"}),
    "a certificate's place": token(OTHER_RSA, header={"x5u": "https://evil.example/cert"}),
    "an unknown key": token(RSA, header={"kid": "nobody"}),
    "a key id that is no text": token(RSA, header={"kid": 7}),
    "a key id that is a path": token(RSA, header={"kid": "../../etc/passwd"}),
    "a key id that is SQL": token(RSA, header={"kid": "' OR 1=1 --"}),
    "a key id of 10,000 characters": token(RSA, header={"kid": "a" * 10_000}),
    "a key of another kind": token(RSA, header={"kid": "ec"}),
    "an algorithm that its key is not for": token(TIED, "PS256"),
    "an algorithm that its issuer does not use": token(RSA, "RS512"),
    "no algorithm": _raw({"typ": "at+jwt", "kid": "rsa"}, claims()),
    "an algorithm that is no text": _raw({"alg": ["RS256"], "typ": "at+jwt"}, claims()),
    "an id token": token(header={"typ": "JWT"}),
    "a logout token": token(header={"typ": "logout+jwt"}),
    "no type": token(header={"typ": None}),
    "a type that is no text": token(header={"typ": 1}),
    "another issuer": token(iss="https://evil.example"),
    "an issuer with a slash more": token(iss=f"{ISSUER}/"),
    "an issuer in capitals": token(iss=ISSUER.upper()),
    "no issuer": token(iss=None),
    "another audience": token(aud="https://elsewhere.example"),
    "an audience that only begins so": token(aud=f"{AUDIENCE}.evil.example"),
    "no audience": token(aud=None),
    "an empty audience": token(aud=[]),
    "an audience of numbers": token(aud=[1]),
    "expired": token(exp=NOW - 61),
    "no end": token(exp=None),
    "an end in words": token(exp="tomorrow"),
    "an end that is true": token(exp=True),
    "an end that is no number": token(exp=float("nan")),
    "an end beyond the calendar": token(exp=1e300),
    "an endless end": token(exp=float("inf")),
    "a negative end": token(exp=-1),
    "not good yet": token(nbf=NOW + 120),
    "issued tomorrow": token(iat=NOW + 86400),
    "no time of issue": token(iat=None),
    "no subject": token(sub=None),
    "no client": token(client_id=None),
    "no id": token(jti=None),
    "a subject that is no text": token(sub={"a": 1}),
    "a scope that is a list": token(scope=["jobs:read"]),
    "a scope of 10,000 words": token(scope="jobs:read " + "a " * 9_999),
    "no tenant": token(tenant=None),
    "a tenant that is a path": token(tenant="../other"),
    "a tenant with a line break": token(tenant="demo\n"),
    "a tenant in capitals": token(tenant="Demo"),
    "a tenant that is a list": token(tenant=["demo"]),
    "an empty tenant": token(tenant=""),
    "two tenants": token(**_twice("other")),
    "the same tenant twice": token(**_twice("demo")),
    "two keys in its header": token(header={Again("kid"): "rsa"}),
    "too long a tenant": token(tenant="a" * 64),
    "claims that are a list": _raw({"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}, [1]),
    "a header that is a list": _raw([1], claims()),
    "too long a token": token(more="a" * jws.MOST_CHARACTERS),
    "claims of brackets": _raw({"alg": "RS256", "typ": "at+jwt"}, {}).replace(".", "." + "W1tb" * 3000, 1),
    "no base64": "ä.ö.ü",
    "five parts": token() + ".a.b",
    "three dots": "...",
    "nothing": "",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_is_no_good_token_is_refused_and_not_quoted(hostile: str) -> None:
    tokens = AccessTokens(_issuer(), Held())
    tokens.mine(hostile)  # whatever it is, it is no error
    with pytest.raises(Unauthorized) as refused:
        await tokens.identify(hostile)
    assert refused.value.presented
    assert "evil" not in refused.value.detail
    peeked = jws.peek(hostile)
    parts = [*hostile.split("."), *map(str, peeked.header.values() if peeked else ())]
    assert not any(len(part) > 8 and part in refused.value.detail for part in parts)


@pytest.mark.parametrize("header", CRITICAL.values(), ids=CRITICAL.keys())
async def test_a_header_with_demands_is_refused_for_them_before_any_signature_is_looked_at(
    header: dict[str, Any],
) -> None:
    for key in (RSA, OTHER_RSA):
        with pytest.raises(Unauthorized, match="wants what is not understood"):
            await AccessTokens(_issuer(), Held()).identify(token(key, header=header))


async def test_of_a_scope_of_thousands_of_words_the_known_ones_count() -> None:
    many = token(scope="a " * 2_000 + "jobs:read " + "JOBS:WRITE " * 200 + "b " * 2_000)
    assert (await AccessTokens(_issuer(), Held()).identify(many)).scopes == {Scope.JOBS_READ}


async def test_an_encrypted_token_that_would_grow_to_10_mb_is_refused_without_unpacking() -> None:
    head = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF", "typ": "at+jwt", "kid": "rsa"}
    grown = json.dumps(claims(more="a" * 10_000_000))
    packed = jwe.encrypt_compact(head, grown, RSA, algorithms=[head["alg"], head["enc"], head["zip"]])
    assert len(packed) < jws.MOST_CHARACTERS, "it is not its length"
    held = Held()
    tokens = AccessTokens(_issuer(), held)
    tracemalloc.start()
    try:
        assert not tokens.mine(packed)
        with pytest.raises(Unauthorized):
            await tokens.identify(packed)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 128 * 1024
    assert held.asked == []


async def test_an_algorithm_that_is_not_allowed_asks_nobody_for_a_key() -> None:
    held = Held()
    with pytest.raises(Unauthorized):
        await AccessTokens(_issuer(algorithms=("ES256",)), held).identify(token(RSA, "RS256", {"kid": "made up"}))
    assert held.asked == []


async def test_an_issuer_without_rfc_9068_may_be_let_in_by_its_audience_alone() -> None:
    tokens = AccessTokens(_issuer(types=("JWT",)), Held())
    plain = token(header={"typ": "JWT"}, client_id=None, azp="app", jti=None)
    assert (await tokens.identify(plain)).name == "client app, subject u-1"
    with pytest.raises(Unauthorized):
        await tokens.identify(token())
    with pytest.raises(Unauthorized):
        await tokens.identify(token(header={"typ": "JWT"}, aud="account"))


async def test_an_issuer_may_stand_for_one_tenant_whatever_its_tokens_say() -> None:
    tokens = AccessTokens(_issuer(tenant="acme"), Held())
    assert (await tokens.identify(token(tenant="other"))).tenant == "acme"
    other = AccessTokens(_issuer(tenant_claim="org"), Held())
    assert (await other.identify(token(org="from-claim"))).tenant == "from-claim"


def test_of_a_key_set_only_public_strong_keys_for_signing_are_used() -> None:
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": base64.urlsafe_b64encode(b"\xff" * 128).decode().rstrip("=")}
    leaked = {**RSA.as_dict(private=True), "kid": "leaked"}
    for_encryption = {**RSA.as_dict(private=False), "kid": "enc", "use": "enc"}
    symmetric = {"kty": "oct", "kid": "oct", "k": "c2VjcmV0c2VjcmV0"}
    odd: list[object] = [weak, leaked, for_encryption, symmetric, {"kty": "XYZ"}, {"kty": "RSA"}, {}, 7, None, "key"]
    assert [key.kid for key in public_keys({"keys": [*odd, EC.as_dict(private=False)]})] == ["ec"]
    nothings: tuple[object, ...] = ({}, {"keys": 1}, [], None, "keys", {"keys": [None]})
    for nothing in nothings:
        assert public_keys(nothing) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://login.example"},
        {"issuer": "https://user@login.example"},
        {"issuer": "https://login.example/#a"},
        {"jwks": "ftp://login.example/keys"},
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"audience": ""},
        {"tenant": "../x"},
        {"tenant": "a", "tenant_claim": "b"},
        {"leeway_seconds": 3600},
        {"unheard": 1},
    ],
)
def test_an_issuer_that_would_let_anybody_in_is_refused_at_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)) if len(wrong) == 1 else "either a tenant"):
        _issuer(**wrong)
