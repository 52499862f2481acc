"""Passages of documents without page pictures have no box; passages tell their pieces and their language.

Expands only: the release before this one goes on writing and reading its own rows.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Ease and add columns of `chunks`; no row is rewritten."""
    op.execute("""
        ALTER TABLE chunks
            ALTER COLUMN box DROP NOT NULL,
            ALTER COLUMN image_width DROP NOT NULL,
            ALTER COLUMN image_height DROP NOT NULL,
            ADD COLUMN boxes jsonb NOT NULL DEFAULT '[]',
            ADD COLUMN language text NOT NULL DEFAULT ''
    """)
