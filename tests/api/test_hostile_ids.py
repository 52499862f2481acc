"""Ids that only look like one: nothing is found by them, wherever an id stands in a path."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx2
import pytest

from tests.api.raw import Site, get, open_site, told
from tests.api.test_dead_letters import kept

KEY = {"authorization": "Bearer demo-key"}
HOOK = {"url": "https://hook.example/", "events": ["job.succeeded"]}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture(scope="module")
def made(site: Site) -> dict[str, str]:
    """One thing of each kind."""
    with httpx2.Client(base_url=f"http://127.0.0.1:{site.address[1]}", headers=KEY, trust_env=False) as client:
        key = client.post("/v1/keys", json={"name": "a"}).json()["id"]
        hook = client.post("/v1/webhook-endpoints", json=HOOK).json()["id"]
    job, letter = site.world.ids.issue("demo"), str(kept(site.world))
    return {"jobs": job, "keys": key, "webhook-endpoints": hook, "dead-letters": letter}


def _found(site: Site, kind: str, identifier: str) -> str:
    return told(site.ask(get(f"/v1/{kind}/{quote(identifier, safe='')}".encode())))


CYRILLIC = str.maketrans("abcdehijkmopqstwxy3", "аЬсԁеһіјкморԛѕтԝхуЗ")
FULL_WIDTH = 0xFEE0
LOOK_ALIKES: dict[str, Callable[[str], str]] = {
    "Cyrillic": lambda own: own.translate(CYRILLIC),
    "full width at the end": lambda own: own[:-1] + chr(ord(own[-1]) + FULL_WIDTH),
    "a zero-width space within": lambda own: own[:-3] + "\u200b" + own[-3:],
    "a zero-width joiner at the end": lambda own: own + "\u200d",
    "turned round": lambda own: "\u202e" + own,
    "isolated": lambda own: own[:-3] + "\u2066" + own[-3:],
    "a byte order mark": lambda own: "\ufeff" + own,
    "tagged": lambda own: own + "\U000e0041\U000e007f",
    "an accent at the end": lambda own: own + "\u0301",
    "a line break at the end": lambda own: own + "\n",
    "a blank at the end": lambda own: own + " ",
    "a nul at the end": lambda own: own + "\x00",
}
REFUSED = {
    "jobs": "404 not_found",
    "keys": "422 invalid_request",
    "webhook-endpoints": "422 invalid_request",
    "dead-letters": "422 invalid_request",
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("look_alike", LOOK_ALIKES)
def test_nothing_is_found_by_an_id_that_only_looks_like_its_own(
    site: Site, made: dict[str, str], kind: str, look_alike: str
) -> None:
    assert _found(site, kind, made[kind]) == "200"
    assert _found(site, kind, LOOK_ALIKES[look_alike](made[kind])) == REFUSED[kind]
