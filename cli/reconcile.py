"""`headrace reconcile`: one round of everything that the reconciler looks after, by hand."""

from typing import Annotated

import typer

from cli.output import AsJson, show, show_json


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(
        epilog="Reads what `headrace sink reconciler` reads, of the environment: it works on the stores themselves. "
        "After restoring PostgreSQL or Weaviate from a backup, run it once."
    )
    def reconcile(
        *,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is not as it should be.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Compare jobs, pages, indexes and bytes once, and put right what no record on its way will."""
        import asyncio

        from cli.configuration import settings
        from sinks import reconciling

        found = asyncio.run(reconciling.once(settings(), dry=dry_run))
        if as_json:
            show_json({"dry_run": dry_run, "found": dict(sorted(found.items()))})
            return
        for what, count in sorted(found.items()):
            show(f"{what.replace('_', ' ')}\t{count}")
        if not found:
            show("everything is as it should be")
