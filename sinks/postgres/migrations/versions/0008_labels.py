"""What callers write on their jobs."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add columns; the release before this one leaves them empty."""
    op.execute("ALTER TABLE jobs ADD COLUMN metadata jsonb, ADD COLUMN tags text[]")
    op.execute("CREATE INDEX jobs_by_tag ON jobs USING gin (tags) WHERE tags IS NOT NULL")
