"""A database's tables, indexes, policies and grants as SQL, the same for the same schema."""

import subprocess
from pathlib import Path

from deploy.local.postgres import Postgres


def dumped(url: str) -> str:
    """What makes the schema and says which migration it is of, without what differs from dump to dump."""
    argv = [Postgres(Path(), 0).binary("pg_dump"), "--schema=public", "--no-comments", url]
    tables = _said([*argv, "--schema-only"])
    version = _said([*argv, "--data-only", "--inserts", "--table=alembic_version"])
    kept = [line for line in (tables + version).splitlines() if line and not line.startswith(("--", "\\"))]
    return "\n".join(kept) + "\n"


def _said(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
