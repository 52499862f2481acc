"""`headrace migrate`: the database as this release needs it."""

import os

import typer

from cli.errors import CliError, Exit
from cli.output import note

ADMIN = "HEADRACE_POSTGRES_ADMIN"
PASSWORDS = {"headrace_api": "HEADRACE_POSTGRES_API_PASSWORD", "headrace_sink": "HEADRACE_POSTGRES_SINK_PASSWORD"}
"""Variables by the login role whose password they hold."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(
        epilog=f"Reads {ADMIN}, the URL of a user that may create roles, and the passwords that the roles shall have: "
        + ", ".join(PASSWORDS.values())
        + ". A role whose password is not given keeps the one it has."
    )
    def migrate() -> None:
        """Make or upgrade tables and roles at HEADRACE_POSTGRES_ADMIN; safe to run again."""
        from sinks.postgres.migrate import migrate

        admin = os.environ.get(ADMIN)
        if not admin:
            raise CliError(f"{ADMIN} is not set", Exit.USAGE, "postgresql://USER:PASSWORD@HOST/DATABASE of an owner")
        migrate(admin, {role: os.environ[name] for role, name in PASSWORDS.items() if os.environ.get(name)})
        note("the database is as this release needs it")
