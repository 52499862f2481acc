"""What the environment tells the command: the settings, and where the log is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cli.errors import CliError, Exit

if TYPE_CHECKING:
    from schemas.broker import Broker
    from schemas.settings import Settings


def settings() -> "Settings":
    """The settings of this environment; raises `CliError` naming the variables that are wrong, never their values."""
    from pydantic import ValidationError

    from schemas.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        found = (
            (".".join(str(part) for part in problem["loc"]), problem["msg"].removeprefix("Value error, "))
            for problem in error.errors(include_url=False, include_input=False)
        )
        told = "\n".join(f"HEADRACE_{name.upper()}: {message}" if name else message for name, message in found)
        raise CliError(told, Exit.USAGE, "docs/operations.md says what each variable is for") from None
    except ValueError as error:  # of a variable that is not the JSON that it should be: its value may be a secret
        raise CliError(str(error), Exit.USAGE, "the variable holds a JSON object") from None


def postgres(data_dir: Path) -> str:
    """The database that HEADRACE_POSTGRES names, or else the embedded stack's in `data_dir` as the sinks' role.

    Raises `CliError`.
    """
    from deploy.local import secret_store
    from deploy.local.layout import Layout, read

    if os.environ.get("HEADRACE_POSTGRES"):
        return settings().postgres.get_secret_value()
    place = Layout(data_dir.absolute())
    port = (read(place.ports) or {}).get("postgres")
    if port is None or not place.secrets.exists():
        hint = "start one with `headrace up`, or set HEADRACE_POSTGRES to the URL of role headrace_sink"
        raise CliError(f"no database is known: there is no {place.ports}", Exit.UNREACHABLE, hint)
    password = quote(secret_store.load(place).passwords["headrace_sink"], safe="")
    return f"postgresql://headrace_sink:{password}@127.0.0.1:{port}/postgres"


def broker(data_dir: Path) -> "Broker":
    """The log that HEADRACE_KAFKA names, or else the embedded stack's in `data_dir`; raises `CliError`."""
    from deploy.local.layout import Layout, read
    from schemas.broker import Broker

    if os.environ.get("HEADRACE_KAFKA"):
        return settings().broker
    place = Layout(data_dir.absolute()).ports
    port = (read(place) or {}).get("kafka")
    if port is None:
        hint = "start one with `headrace up`, or set HEADRACE_KAFKA"
        raise CliError(f"no log is known: there is no {place}", Exit.UNREACHABLE, hint)
    return Broker(f"127.0.0.1:{port}")
