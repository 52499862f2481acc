"""`headrace search`: how it is asked."""

from cli.errors import Exit
from tests.cli.invoking import run
from tests.fakes import World


def test_mode_language_and_page_are_asked_for(url: str, world: World) -> None:
    result = run("search", "total", "--mode", "keyword", "--language", "de", "--page", "2", "--url", url)
    assert result.exit_code == 0, result.output
    [asked] = world.search.asked
    assert (asked.mode, asked.language, asked.page) == ("keyword", "de", 2)
    run("search", "total", "--url", url)
    assert (world.search.asked[1].mode, world.search.asked[1].language) == ("vector", None)


def test_what_cannot_be_asked_is_a_mistake_of_the_command_line(url: str, world: World) -> None:
    for wrong in (("--mode", "fuzzy"), ("--language", "German"), ("--page", "0")):
        assert run("search", "total", *wrong, "--url", url).exit_code == Exit.USAGE
    assert "two small letters" in run("search", "total", "--language", "German", "--url", url).output
    assert world.search.asked == []
