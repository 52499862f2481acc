"""`headrace up`, `down` and `status`: the embedded stack."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import CliError, Exit
from cli.output import DATA_DIR, AsJson, DataDir, note, show, show_json


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def up(
        data_dir: DataDir = DATA_DIR,
        port: Annotated[int | None, typer.Option(help="The API's port; a free one is chosen and kept.", min=1)] = None,
    ) -> None:
        """Start the embedded stack and stay in the foreground until Ctrl-C or `headrace down`."""
        _up(data_dir, port)

    @app.command()
    def down(
        data_dir: DataDir = DATA_DIR,
        timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 60,
    ) -> None:
        """End the embedded stack; its data stays."""
        from deploy.local import stack

        pid = stack.down(data_dir, timeout)
        if pid is None:
            note(f"no stack is up in {data_dir}")
        elif stack.supervisor_of(data_dir) is not None:
            raise CliError(f"the stack (pid {pid}) has not ended within {timeout:.0f} s", Exit.TIMEOUT)

    @app.command()
    def status(data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
        """Show each process with its pid, port, restarts, and whether it works."""
        _status(data_dir, as_json=as_json)


def _up(data: Path, port: int | None) -> None:
    from deploy.local import stack
    from deploy.local.children import StartFailed
    from deploy.local.jars import JarRefused
    from deploy.local.layout import AlreadyUp

    try:
        stack.up(data, port, _reporter())
    except AlreadyUp as error:
        hint = "`headrace status` shows it, `headrace down` ends it; --data-dir starts another beside it"
        raise CliError(str(error), hint=hint) from error
    except stack.PortTaken as error:
        raise CliError(str(error), hint="give another one with --port") from error
    except (StartFailed, JarRefused) as error:
        raise CliError(str(error)) from error


def _status(data: Path, *, as_json: bool) -> None:
    from deploy.local import stack

    found = stack.status(data)
    if found is None:
        raise CliError(f"no stack is up in {data}", Exit.UNREACHABLE, "start one with `headrace up`")
    if as_json:
        show_json(found)
        return
    show(f"{found['url']} (supervisor {found['pid']})  {'ready' if found['ready'] else 'not ready'}")
    for slot in found["slots"]:
        show(_line(slot))


def _line(slot: dict[str, Any]) -> str:
    pid, port = slot["pid"] or "-", slot["port"] or "-"
    state = "ready" if slot["ready"] else "starting" if slot["pid"] else "waiting"
    return f"{slot['slot']:<18} {state:<9} pid {pid:<8} port {port:<6} restarts {slot['restarts']}"


def _reporter() -> Any:
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    return lambda text: console.print(text, markup=False, highlight=False)
