"""What an API key may use, beside its tenant's limits."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add a column; the release before this one leaves it empty."""
    op.execute("ALTER TABLE api_keys ADD COLUMN limits jsonb")
