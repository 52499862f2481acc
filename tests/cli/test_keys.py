"""keys list, create, rotate and revoke: what is made, what is printed where, and what is never printed again."""

import json

import pytest

from cli.errors import Exit
from schemas import keys
from schemas.scopes import EVERY_SCOPE
from tests.cli.invoking import failure, run
from tests.fakes import World


def _created(url: str, *more: str) -> str:
    result = run("keys", "create", "a scanner", *more, "--url", url)
    assert result.exit_code == 0, result.output
    assert "told once" in result.stderr
    return result.stdout.strip()


def test_a_key_is_printed_alone_so_that_a_script_can_take_it(world: World, url: str) -> None:
    key = _created(url, "--scope", "jobs:read", "--scope", "search", "--expires-in-days", "7")
    entry = world.entries.known[keys.id_of(key) or ""]
    assert entry.scopes == ("jobs:read", "search")
    assert entry.expires_at is not None
    assert "documents:read" in str(failure(run("documents", "list", "--url", url, HEADRACE_API_KEY=key)))
    assert run("search", "words", "--url", url, HEADRACE_API_KEY=key).exit_code == 0


def test_without_scopes_a_key_may_do_all_that_its_maker_may(world: World, url: str) -> None:
    assert set(world.entries.known[keys.id_of(_created(url)) or ""].scopes) == EVERY_SCOPE


def test_keys_are_listed_rotated_and_revoked_by_their_ids(world: World, url: str) -> None:
    key = _created(url)
    identifier = keys.id_of(key) or ""
    fields = run("keys", "list", "--url", url).stdout.rstrip("\n").split("\t")
    assert fields[:3] == [identifier, "a scanner", "active"]
    rotated = run("keys", "rotate", identifier, "--overlap-hours", "0", "--json", "--url", url)
    fresh = json.loads(rotated.stdout)["key"]
    assert keys.id_of(fresh) == identifier
    assert fresh != key
    ended = run("keys", "revoke", identifier, "--url", url)
    assert ended.stdout == f"{identifier}\trevoked\n"
    listed = json.loads(run("keys", "list", "--json", "--url", url).stdout)
    assert listed["state"] == "revoked"
    assert fresh.rpartition("_")[2] not in json.dumps(listed)


def test_an_unknown_scope_is_named_before_anything_is_asked() -> None:
    error = failure(run("keys", "create", "a", "--scope", "jobs:raed", "--url", "http://127.0.0.1:1"))
    assert error.code == Exit.USAGE
    assert "jobs:read" in error.hint


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_a_key_that_is_not_there_is_said(url: str, verb: str) -> None:
    assert "no such key" in str(failure(run("keys", verb, "a" * 16, "--url", url)))


def test_what_a_key_may_not_do_is_told_with_the_scope_that_it_lacks(world: World, url: str) -> None:
    narrow = world.entries.give("demo", "search")
    error = failure(run("keys", "create", "a", "--url", url, HEADRACE_API_KEY=narrow))
    assert "lack the scope keys:write" in str(error)


def test_a_key_is_made_with_limits_and_what_is_none_is_named_before_anything_is_asked(world: World, url: str) -> None:
    key = _created(url, "--limit", "requests=60/minute", "--limit", "bytes=1000/day")
    entry = world.entries.known[keys.id_of(key) or ""]
    assert entry.limits is not None
    assert (entry.limits.requests, entry.limits.bytes, entry.limits.tokens) == ("60/minute", "1000/day", None)
    for wrong in ("joules=1/day", "requests=many", "requests"):
        error = failure(run("keys", "create", "a", "--limit", wrong, "--url", "http://127.0.0.1:1"))
        assert error.code == Exit.USAGE
        assert wrong.partition("=")[0] in str(error)
        assert "600/minute" in error.hint
