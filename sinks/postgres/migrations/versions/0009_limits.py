"""What an API key may use, beside its tenant's limits; which key a job was submitted with."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add columns; the release before this one leaves them empty."""
    op.execute("ALTER TABLE api_keys ADD COLUMN limits jsonb")
    op.execute("ALTER TABLE jobs ADD COLUMN submitted_by text")
    op.execute("CREATE INDEX jobs_unfinished ON jobs (tenant) WHERE finished_at IS NULL")
