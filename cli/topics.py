"""`headrace topics plan` and `apply`: the log as declared."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from cli.output import AsJson, show, show_json

if TYPE_CHECKING:
    from producers.provisioning import Change


def register(app: typer.Typer) -> None:
    """Add the commands."""
    topics = typer.Typer(no_args_is_help=True, help="The topics of the log at HEADRACE_KAFKA.")
    app.add_typer(topics, name="topics")

    @topics.command()
    def plan(*, as_json: AsJson = False) -> None:
        """Show what `apply` would change."""
        from producers import provisioning
        from schemas.settings import Settings

        settings = Settings()
        _show(provisioning.plan(settings.broker, dev=settings.dev, tenants=settings.tenant_topics), as_json=as_json)

    @topics.command()
    def apply(*, as_json: AsJson = False) -> None:
        """Make the topics as declared; partitions are only ever added."""
        from producers import provisioning
        from schemas.settings import Settings

        settings = Settings()
        _show(provisioning.apply(settings.broker, dev=settings.dev, tenants=settings.tenant_topics), as_json=as_json)


def _show(changes: "Sequence[Change]", *, as_json: bool) -> None:
    if as_json:
        show_json({"changes": [{"topic": c.topic, "action": c.action, "detail": c.detail} for c in changes]})
        return
    for change in changes:
        show(f"{change.topic}\t{change.action}\t{change.detail}")
    if not changes:
        show("the log is as declared")
