"""The way to a server that every caller's verb is given: three options and what they come to."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.output import DATA_DIR, ApiKey, DataDir, Url

if TYPE_CHECKING:
    from cli.client import Client

_OPTIONS = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (("url", None, Url), ("api_key", None, ApiKey), ("data_dir", DATA_DIR, DataDir))
)
Connect = Callable[[], "Client"]
"""Opens a client; raises `CliError` where no server is known."""


def connect_to(url: str | None, api_key: str | None, data_dir: Path) -> "Client":
    """A client of the server that these name; raises `CliError` where they name none."""
    from cli.client import Client, Server

    return Client(Server.find(url, api_key, data_dir))


def connected(verb: Callable[..., None]) -> Callable[..., None]:
    """A command out of `verb`: its first argument, a `Connect`, becomes the options --url, --api-key and --data-dir."""
    _, *own = inspect.signature(verb).parameters.values()
    parameters = (*own, *_OPTIONS)

    @functools.wraps(verb)
    def command(url: str | None, api_key: str | None, data_dir: Path, **options: Any) -> None:
        verb(functools.partial(connect_to, url, api_key, data_dir), **options)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
