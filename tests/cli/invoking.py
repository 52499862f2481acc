"""The command run inside the test's own process, and what it failed with."""

from typer.testing import CliRunner, Result

from cli.errors import CliError
from cli.main import build


def run(*words: object, **environment: str) -> Result:
    """`headrace WORDS` with a key that the fakes know."""
    return CliRunner().invoke(
        build(), [str(word) for word in words], env={"HEADRACE_API_KEY": "demo-key", **environment}
    )


def failure(result: Result) -> CliError:
    """The error that the command ends with, as `main` would tell it."""
    assert isinstance(result.exception, CliError), (result.exception, result.output)
    return result.exception
