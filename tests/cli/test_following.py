"""A job's story over connections that break: each event once, in order, to its end or to the caller's."""

import threading
import time

import pytest

from cli import following
from cli.client import Client, Server
from cli.errors import CliError, Exit
from cli.following import follow
from deploy.local import ports
from tests.cli.scripted import Answer, Script, event, heartbeats, lines, nothing_follows, refuses, scripted, tells
from tests.support import until

END = event(4, "job.succeeded")


def _followed(script: Script, *, after: int = 0, seconds: float = 20, known: bool = False) -> list[int]:
    until = time.monotonic() + seconds
    with scripted(script) as url, Client(Server(url, "key")) as client:
        return [told.seq for told in follow(client, "job_1", after=after, until=until, known=known)]


def test_a_story_that_breaks_off_behind_every_event_is_gone_on_with() -> None:
    script = Script([tells(event(1)), tells(event(2)), tells(event(3)), tells(END), nothing_follows])
    assert _followed(script) == [1, 2, 3, 4]
    assert script.asked == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("cut", range(1, len(lines(event(2))), 9))
def test_a_cut_anywhere_in_an_event_loses_and_doubles_nothing(cut: int) -> None:
    script = Script([tells(event(1), then=lines(event(2))[:cut]), tells(event(2), END), nothing_follows])
    assert _followed(script) == [1, 2, 4]
    assert script.asked[1] == 1


def test_a_server_that_repeats_itself_is_not_repeated() -> None:
    assert _followed(Script([tells(event(1), event(2)), tells(event(1), event(2), END), nothing_follows])) == [1, 2, 4]


def test_a_caller_may_begin_behind_an_event() -> None:
    script = Script([tells(END), nothing_follows])
    assert _followed(script, after=3) == [4]
    assert script.asked[0] == 3


@pytest.mark.parametrize("silent", [heartbeats, tells(event(1))])
def test_time_ends_a_story_however_lively_the_server_is(silent: Answer) -> None:
    begun = time.monotonic()
    with pytest.raises(CliError) as told:
        _followed(Script([silent]), seconds=0.7)
    assert told.value.code == Exit.TIMEOUT
    assert time.monotonic() - begun < 5


def test_a_server_that_is_busy_in_the_middle_is_asked_again() -> None:
    script = Script([tells(event(1)), refuses(503, "overloaded"), tells(END), nothing_follows])
    assert _followed(script) == [1, 4]


@pytest.mark.parametrize(
    ("answer", "code"),
    [(refuses(404, "not_found"), Exit.NOT_FOUND), (refuses(503, "overloaded"), Exit.UNREACHABLE)],
)
def test_what_a_server_refuses_at_the_beginning_is_told_at_once(answer: Answer, code: Exit) -> None:
    with pytest.raises(CliError) as told:
        _followed(Script([answer]))
    assert told.value.code == code
    assert "req_1" in str(told.value)


def test_a_job_that_is_gone_in_the_middle_ends_the_story_with_an_error() -> None:
    with pytest.raises(CliError, match="gone"):
        _followed(Script([tells(event(1)), refuses(410, "gone")]))


def test_a_server_that_goes_away_and_comes_back_in_time_is_gone_on_with() -> None:
    [port] = ports.free(1)
    seen: list[int] = []
    with Client(Server(f"http://127.0.0.1:{port}", "key")) as client:
        story = follow(client, "job_1", until=time.monotonic() + 30)
        reader = threading.Thread(target=lambda: seen.extend(told.seq for told in story))
        first = Script([tells(event(1)), refuses(503, "overloaded")])
        with scripted(first, port):
            reader.start()
            until(lambda: len(first.asked) > 1, 10, "the second question")
        with scripted(Script([tells(END), nothing_follows]), port):
            reader.join(20)
    assert seen == [1, 4]


def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PATIENCE", 0.6)
    with Client(Server(f"http://127.0.0.1:{ports.free(1)[0]}", "key")) as client:
        with pytest.raises(CliError) as told:
            list(follow(client, "job_1"))
        assert told.value.code == Exit.UNREACHABLE
        with pytest.raises(CliError) as told:
            list(follow(client, "job_1", known=True))
        assert told.value.code == Exit.UNREACHABLE


def test_an_event_of_a_newer_release_is_told_as_such() -> None:
    strange = tells(event(1), then=b'id: 2\nevent: page.sung\ndata: {"seq":2,"event":"page.sung"}\n\n')
    with pytest.raises(CliError, match="cannot read"):
        _followed(Script([strange]))
