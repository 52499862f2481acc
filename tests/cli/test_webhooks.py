"""webhooks: endpoints made, changed, verified and removed; deliveries listed, shown and sent again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from cli.errors import Exit
from cli.webhook_deliveries import State
from schemas.errors import WrongCode
from schemas.webhooks import (
    JOB_ENDS,
    Attempt,
    Delivery,
    DeliveryList,
    DeliveryQuery,
    DeliveryState,
    DeliveryView,
    Endpoint,
    EndpointChange,
    NewEndpoint,
)
from tests.cli.invoking import failure, run
from tests.cli.test_terminal import _seen as seen
from tests.fake_webhooks import FakeWebhooks
from tests.fakes import World
from tests.served import served

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOBODY, MESSAGE = "we_" + "a" * 16, "msg_" + "0" * 32


@dataclass
class Hooks(FakeWebhooks):
    """Endpoints that hold what a test says, and remember what they were asked for."""

    asked: list[Any] = field(default_factory=list)
    sent: list[Delivery] = field(default_factory=list)
    views: dict[str, DeliveryView] = field(default_factory=dict)

    def give(self, **about: Any) -> str:
        """An endpoint of the caller's tenant."""
        told = {"state": "active", "url": "https://a.example/", "events": ["job.failed"], "payload": "thin", **about}
        number = "abcdefghij"[len(self.kept)]
        made = Endpoint.model_validate(
            {"id": f"we_{number * 16}", "description": "", "created_at": AT, "created_by": "key k", **told}
        )
        self.kept["demo", made.id] = made
        return made.id

    async def create(self, tenant: str, identifier: str, wanted: NewEndpoint, *more: Any) -> Endpoint:
        self.asked.append(wanted)
        return await super().create(tenant, identifier, wanted, *more)

    async def change(self, tenant: str, identifier: str, wanted: EndpointChange) -> Endpoint | None:
        self.asked.append(wanted.model_dump(exclude_unset=True))
        return await super().change(tenant, identifier, wanted)

    async def rotate(self, tenant: str, identifier: str, key: int, overlap: timedelta) -> bool:
        self.asked.append(overlap)
        return await super().rotate(tenant, identifier, key, overlap)

    async def verify(self, tenant: str, identifier: str, code: str) -> Endpoint | None:
        if code != "right":
            raise WrongCode
        return await super().verify(tenant, identifier, code)

    async def challenge(self, tenant: str, identifier: str) -> str | None:
        return self._message(tenant, identifier, "challenge")

    async def test(self, tenant: str, identifier: str) -> str | None:
        return self._message(tenant, identifier, "test")

    async def resend(self, tenant: str, identifier: str, message: str) -> bool:
        return self._message(tenant, identifier, f"resend {message}") is not None

    async def deliveries(self, tenant: str, identifier: str, query: DeliveryQuery) -> DeliveryList | None:
        if (tenant, identifier) not in self.kept:
            return None
        self.asked.append(query)
        found = [each for each in self.sent if query.state in (None, each.state)]
        begin = int(query.after or 0)
        end = begin + query.limit
        more = end < len(found)
        return DeliveryList(data=found[begin:end], has_more=more, next=str(end) if more else None)

    async def delivery(self, tenant: str, identifier: str, message: str) -> DeliveryView | None:
        return self.views.get(message) if (tenant, identifier) in self.kept else None

    async def recover(self, tenant: str, identifier: str, since: datetime) -> int | None:
        return self._taken(tenant, identifier, since, 3)

    async def replay(self, tenant: str, identifier: str, since: datetime) -> int | None:
        return self._taken(tenant, identifier, since, 0)

    def _message(self, tenant: str, identifier: str, asked: str) -> str | None:
        self.asked.append(asked)
        return MESSAGE if (tenant, identifier) in self.kept else None

    def _taken(self, tenant: str, identifier: str, since: datetime, taken: int) -> int | None:
        self.asked.append(since)
        return taken if (tenant, identifier) in self.kept else None


@pytest.fixture(scope="module")
def world() -> World:
    return World(webhooks=Hooks())


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    """One server for all: to start and end one takes longer than most tests here."""
    with served(world) as url:
        yield url


@pytest.fixture
def hooks(world: World) -> Hooks:
    found = world.webhooks
    assert isinstance(found, Hooks)
    for kept in (found.kept, found.asked, found.sent, found.views):
        kept.clear()
    return found


def _delivery(number: int, **about: Any) -> Delivery:
    told = {"type": "job.failed", "job": "job_1", "at": AT, "state": "delivered", "attempts": 1, "status": 204, **about}
    return Delivery.model_validate({"message": f"msg_{number:032x}", **told})


def _facts(shown: str) -> dict[str, str]:
    return {line[:14].strip(): line[14:] for line in shown.splitlines()}


def test_an_endpoint_is_printed_with_its_secret_and_what_has_to_happen_next(hooks: Hooks, url: str) -> None:
    words = ("--events", "job.failed, page.failed", "--full", "--description", "the warehouse")
    result = run("webhooks", "create", "https://a.example/in", *words, "--url", url)
    assert result.exit_code == 0, result.output
    facts = _facts(result.stdout)
    told = NewEndpoint(
        url="https://a.example/in", events=("job.failed", "page.failed"), payload="full", description="the warehouse"
    )
    assert hooks.asked == [told]
    assert (facts["url"], facts["state"], facts["verified"]) == ("https://a.example/in", "pending", "-")
    assert (facts["secret"][:6], facts["public key"][:5]) == ("whsec_", "whpk_")
    assert "endpoint.verification" in result.stderr
    assert f"headrace webhooks verify {facts['endpoint']} CODE" in result.stderr


def test_without_options_an_endpoint_is_told_of_the_ends_of_jobs_and_programs_get_an_object(
    hooks: Hooks, url: str
) -> None:
    made = json.loads(run("webhooks", "create", "https://a.example/in", "--json", "--url", url).stdout)
    assert hooks.asked == [NewEndpoint(url="https://a.example/in")]
    assert (made["events"], made["payload"], made["description"]) == (list(JOB_ENDS), "thin", "")
    assert made["secrets"][0]["secret"].startswith("whsec_")


@pytest.mark.parametrize(("verb", "events"), [("create", "job.failed,job.fialed"), ("create", ""), ("change", "x,")])
def test_an_unknown_event_is_named_before_anything_is_asked(verb: str, events: str) -> None:
    error = failure(run("webhooks", verb, NOBODY, "--events", events, "--url", "http://127.0.0.1:1"))
    assert (error.code, "job.failed" in error.hint) == (Exit.USAGE, True)
    assert repr(next(name for name in events.split(",") if name != "job.failed")) in str(error)


def test_endpoints_are_listed_a_line_each_and_shown_whole(hooks: Hooks, url: str) -> None:
    none = run("webhooks", "list", "--url", url)
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no webhook endpoints\n")
    name = hooks.give(state="disabled", reason="gone", disabled_at=AT, events=["job.failed", "page.failed"])
    row = run("webhooks", "list", "--url", url).stdout.rstrip("\n").split("\t")
    at = "2026-05-01T12:00:00.000Z"
    assert row == [name, "disabled", "gone", "https://a.example/", "thin", "job.failed page.failed", at, "", "", ""]
    assert json.loads(run("webhooks", "list", "--json", "--url", url).stdout)["reason"] == "gone"
    facts = _facts(run("webhooks", "show", name, "--url", url).stdout)
    assert (facts["state"], facts["disabled"], facts["created"]) == ("disabled (gone)", at, f"{at} by key k")
    assert json.loads(run("webhooks", "show", name, "--json", "--url", url).stdout)["id"] == name


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("--full", "--events", "job.failed"), {"payload": "full", "events": ("job.failed",)}),
        (("--thin", "--description", "", "--disable"), {"payload": "thin", "description": "", "enabled": False}),
        (("--enable", "--new-url", "https://b.example/"), {"enabled": True, "url": "https://b.example/"}),
    ],
)
def test_only_what_is_to_be_different_is_asked_for(
    hooks: Hooks, url: str, words: tuple[str, ...], asked: dict[str, Any]
) -> None:
    result = run("webhooks", "change", hooks.give(), *words, "--url", url)
    assert (result.exit_code, hooks.asked, result.stderr) == (0, [asked], "")
    assert _facts(result.stdout)["url"] == "https://a.example/"


def test_a_change_says_what_is_next_where_the_endpoint_is_verified_anew(hooks: Hooks, url: str) -> None:
    name = hooks.give(state="pending")
    moved = run("webhooks", "change", name, "--new-url", "https://b.example/", "--json", "--url", url)
    assert (json.loads(moved.stdout)["id"], "verify" in moved.stderr) == (name, True)
    assert run("webhooks", "change", name, "--full", "--url", url).stderr == ""


def test_a_change_of_nothing_is_a_usage_error() -> None:
    error = failure(run("webhooks", "change", NOBODY, "--url", "http://127.0.0.1:1"))
    assert (error.code, "--help" in error.hint) == (Exit.USAGE, True)


def test_a_code_is_told_and_a_wrong_one_refused(hooks: Hooks, url: str) -> None:
    name = hooks.give()
    assert run("webhooks", "verify", name, "right", "--url", url).stdout == f"{name}\tactive\n"
    assert json.loads(run("webhooks", "verify", name, "right", "--json", "--url", url).stdout)["state"] == "active"
    error = failure(run("webhooks", "verify", name, "left", "--url", url))
    assert (error.code, "[wrong_code]" in str(error)) == (Exit.FAILED, True)


@pytest.mark.parametrize(("verb", "more"), [("challenge", ()), ("test", ()), ("resend", (MESSAGE,))])
def test_of_a_message_the_id_is_printed_alone_and_where_to_look(
    hooks: Hooks, url: str, verb: str, more: tuple[str, ...]
) -> None:
    name = hooks.give()
    result = run("webhooks", verb, name, *more, "--url", url)
    assert (result.stdout, hooks.asked) == (f"{MESSAGE}\n", [" ".join((verb, *more))])
    assert f"headrace webhooks delivery {name} {MESSAGE}" in result.stderr
    assert json.loads(run("webhooks", verb, name, *more, "--json", "--url", url).stdout) == {"message": MESSAGE}


def test_secrets_are_a_line_each_for_scripts_and_rotated_with_an_overlap(hooks: Hooks, url: str) -> None:
    name = hooks.give()
    secret, public, until = run("webhooks", "secrets", name, "--url", url).stdout.rstrip("\n").split("\t")
    assert (secret[:6], public[:5], until) == ("whsec_", "whpk_", "")
    assert run("webhooks", "rotate", name, "--overlap-hours", "0.5", "--url", url).stdout.startswith("whsec_")
    rotated = json.loads(run("webhooks", "rotate", name, "--json", "--url", url).stdout)
    assert (rotated["id"], hooks.asked) == (name, [timedelta(minutes=30), timedelta(hours=24)])


def test_the_states_are_those_of_a_delivery() -> None:
    assert get_args(State) == get_args(DeliveryState)


def test_deliveries_are_a_line_each_and_paged_on_with_what_the_list_told(hooks: Hooks, url: str) -> None:
    name = hooks.give()
    hooks.sent = [_delivery(number) for number in range(130)]
    hooks.sent[0] = _delivery(0, state="waiting", status=None, error="timeout", attempts=2, next_attempt_at=AT)
    first = run("webhooks", "deliveries", name, "--limit", 120, "--url", url)
    rows = [line.split("\t") for line in first.stdout.splitlines()]
    at = "2026-05-01T12:00:00.000Z"
    assert rows[0] == [f"msg_{0:032x}", "waiting", "job.failed", "2", "", "timeout", at, at, "job_1"]
    assert rows[1][1:] == ["delivered", "job.failed", "1", "204", "", at, "", "job_1"]
    assert len(rows) == 120
    assert first.stderr.splitlines() == ["there are more deliveries; --limit shows them", "what follows: --after 120"]
    words = ("--after", "120", "--state", "delivered", "--json", "--url", url)
    rest = run("webhooks", "deliveries", name, *words)
    assert [json.loads(line)["message"][-2:] for line in rest.stdout.splitlines()] == [
        f"{n:02x}" for n in range(121, 130)
    ]
    assert rest.stderr == ""
    assert {(query.state, query.limit, query.after) for query in hooks.asked} == {
        (None, 100, None), (None, 20, "100"), ("delivered", 20, "120"),
    }  # fmt: skip


def test_a_terminal_sees_whole_ids_and_the_end_of_a_jobs(hooks: Hooks, url: str) -> None:
    name = hooks.give()
    hooks.sent = [_delivery(7, job="job_" + "a" * 33 + "12345678", state="failed", status=200, error="timeout")]
    words = ["webhooks", "deliveries", name, "--url", url, "--api-key", "demo-key"]
    shown, code = seen(words, 110, NO_COLOR="1")
    head, row = shown.splitlines()
    assert code == 0
    assert all(name in head for name in ("message", "state", "type", "tries", "answer", "age", "job"))
    assert row.split()[:6] == [f"msg_{7:032x}", "failed", "job.failed", "1", "200", "timeout"]
    assert row.rstrip().endswith("…12345678")


def _view() -> DeliveryView:
    answers = [(200, "timeout", "<h1>\n late\x1b[2J"), (None, "unreachable", ""), (503, "", "x" * 100)]
    tried = [
        Attempt(at=AT, seconds=0.25, status=status, error=error, request={"webhook-id": MESSAGE}, response=response)
        for status, error, response in answers
    ]
    body = {"type": "job.failed", "data": {"job": "job_1", "filename": "a\u202eb ä"}}
    told = {**_delivery(0).model_dump(), "state": "waiting", "attempts": 120, "body": body, "tried": tried}
    return DeliveryView.model_validate(told)


def test_a_delivery_is_shown_with_its_newest_attempts_and_its_body(hooks: Hooks, url: str) -> None:
    name = hooks.give()
    hooks.views[MESSAGE] = _view()
    result = run("webhooks", "delivery", name, MESSAGE, "--url", url)
    lines = result.stdout.splitlines()
    at = "2026-05-01T12:00:00.000Z"
    assert [line for line in lines if line.startswith("attempt ")] == [
        f"attempt       {at}  0.250 s  200 timeout  <h1> late [2J",
        f"attempt       {at}  0.250 s  unreachable",
        f"attempt       {at}  0.250 s  503  {'x' * 59}…",
    ]
    assert (_facts(result.stdout)["state"], _facts(result.stdout)["next attempt"]) == ("waiting", "-")
    assert json.loads("".join(lines[lines.index("body") + 1 :]))["data"]["filename"] == "a b ä"
    assert result.stderr == "117 earlier attempts are not shown\n"
    told = json.loads(run("webhooks", "delivery", name, MESSAGE, "--json", "--url", url).stdout)
    assert told == hooks.views[MESSAGE].model_dump(mode="json")


@pytest.mark.parametrize(("verb", "taken"), [("recover", 3), ("replay", 0)])
def test_what_is_sent_again_since_a_moment_is_counted(hooks: Hooks, url: str, verb: str, taken: int) -> None:
    name = hooks.give()
    result = run("webhooks", verb, name, "--since", "2026-05-01T12:00+00:00", "--url", url)
    assert (result.stdout, hooks.asked) == (f"{taken} taken\n", [AT])
    assert ("headrace webhooks deliveries" in result.stderr) == bool(taken)
    before = datetime.now(UTC) - timedelta(hours=2)
    told = json.loads(run("webhooks", verb, name, "--since", "2h", "--json", "--url", url).stdout)
    assert told == {"taken": taken}
    assert before <= hooks.asked[-1] <= datetime.now(UTC) - timedelta(hours=2)


@pytest.mark.parametrize("since", [("--since", "yesterday"), ()])
def test_without_a_moment_nothing_is_asked(since: tuple[str, ...]) -> None:
    assert run("webhooks", "replay", NOBODY, *since, "--url", "http://127.0.0.1:1").exit_code == Exit.USAGE


def test_a_removal_wants_a_yes(hooks: Hooks, url: str) -> None:
    name = hooks.give()
    error = failure(run("webhooks", "remove", name, "--url", url))
    assert (error.code, "--yes" in error.hint) == (Exit.USAGE, True)
    words = ["webhooks", "remove", name, "--url", url, "--api-key", "demo-key"]
    shown, code = seen(words, 80, b"n\n")
    assert (code, "[y/N]" in shown, len(hooks.kept)) == (Exit.FAILED, True, 1)
    result = run("webhooks", "remove", name, "--yes", "--url", url)
    assert (result.exit_code, result.stdout, hooks.kept) == (0, f"{name}\tremoved\n", {})


@pytest.mark.parametrize(
    "words",
    [
        ("show",), ("change", "--full"), ("verify", "right"), ("challenge",), ("secrets",), ("rotate",), ("test",),
        ("deliveries",), ("delivery", MESSAGE), ("resend", MESSAGE), ("recover", "--since", "1h"),
        ("replay", "--since", "1h"), ("remove", "--yes"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(url: str, words: tuple[str, ...]) -> None:
    verb, *more = words
    error = failure(run("webhooks", verb, NOBODY, *more, "--url", url))
    assert (error.code, "there is no such" in str(error)) == (Exit.NOT_FOUND, True)


def test_what_a_key_may_not_do_is_told_with_the_scope_that_it_lacks(world: World, hooks: Hooks, url: str) -> None:
    narrow, name = world.entries.give("demo", "webhooks:read"), hooks.give()
    assert run("webhooks", "show", name, "--url", url, HEADRACE_API_KEY=narrow).exit_code == 0
    error = failure(run("webhooks", "secrets", name, "--url", url, HEADRACE_API_KEY=narrow))
    assert (error.code, "lack the scope webhooks:write" in str(error)) == (Exit.UNAUTHORIZED, True)
