"""The attempts of each step, as the events of a part tell of them: of each run, which `parts` forgets."""

from alembic import op

revision = "0011"
down_revision = "0010"

_TABLE = """
CREATE TABLE trails (
    job text NOT NULL,
    part integer NOT NULL,
    run integer NOT NULL,
    kind text NOT NULL,
    tenant text NOT NULL,
    ce_id uuid NOT NULL,
    way text NOT NULL,
    PRIMARY KEY (job, part, run, kind)
)
"""


def upgrade() -> None:
    """Create the table; the release before this one writes nothing to it."""
    op.execute(_TABLE)
    op.execute("ALTER TABLE trails ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE trails FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY sinks ON trails TO headrace_sink USING (true) WITH CHECK (true)")
    own = "tenant = current_setting('headrace.tenant', true)"
    op.execute(f"CREATE POLICY own_tenant ON trails FOR SELECT TO headrace_api USING ({own})")
    op.execute("GRANT SELECT ON trails TO headrace_api")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON trails TO headrace_sink")
