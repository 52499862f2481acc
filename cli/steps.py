"""`headrace steps`: which steps are halted, and why; to halt one, and to let it go on."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError, Exit
from cli.output import AsJson, note, plain, show_json

if TYPE_CHECKING:
    from cli.step_text import StepState

Step = Annotated[str, typer.Argument(help="A step or sink, as `headrace steps list` names it.", metavar="STEP")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    steps = typer.Typer(no_args_is_help=True, help="The steps and sinks at work on the log at HEADRACE_KAFKA.")
    app.add_typer(steps, name="steps")

    @steps.command("list")
    def listed(*, as_json: AsJson = False) -> None:
        """List steps and sinks: whether an order halts them, since when and why, and how many records wait."""
        from cli.step_text import LISTING

        rows = _rows()
        if as_json:
            show_json({"steps": [row.model_dump(mode="json") for row in rows]})
            return
        LISTING.print(rows, as_json=False)
        if halted := [row.step for row in rows if row.state == "halted"]:
            note(f"headrace steps resume {halted[0]} lets it go on")

    @steps.command()
    def halt(
        step: Step, *, reason: Annotated[str, typer.Option(help="Why, for whoever finds it halted.")] = "by hand"
    ) -> None:
        """Halt a step: its workers end what they have begun and take up nothing more; its records wait."""
        _order(step, halted=True, reason=reason)

    @steps.command()
    def resume(step: Step) -> None:
        """Let a halted step go on."""
        _order(step, halted=False, reason="")


def _rows() -> "list[StepState]":
    from cli.step_text import state_of
    from producers.lag import LagSource
    from producers.step_orders import STEPS, standing
    from schemas.settings import Settings

    broker = Settings().broker
    orders, source = standing(broker), LagSource(broker)
    try:
        lags = source.read()
    finally:
        source.close()
    rows = []
    for step in STEPS:
        waiting = [lag.lag for lag in lags if lag.group == f"headrace.{step}"]
        rows.append(state_of(step, orders.get(step), sum(waiting) if waiting else None))
    return rows


def _order(step: str, *, halted: bool, reason: str) -> None:
    from producers.step_orders import STEPS, give
    from schemas.control import StepOrder
    from schemas.settings import Settings

    if step not in STEPS:
        raise CliError(f"there is no step {plain(step)!r}", Exit.USAGE, f"one of: {', '.join(STEPS)}")
    order = StepOrder(
        step=step, halted=halted, reason=reason, by=os.environ.get("USER") or f"uid {os.getuid()}", at=datetime.now(UTC)
    )
    give(Settings().broker, order)
    note(f"{step} {'is halted' if halted else 'goes on'}")
