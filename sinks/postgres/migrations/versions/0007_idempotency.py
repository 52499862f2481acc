"""Keys by which a submission that is sent again is taken once."""

from alembic import op

revision = "0007"
down_revision = "0006"

_TABLES = """
CREATE TABLE idempotency_keys (
    tenant text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    job text NOT NULL,
    published boolean NOT NULL DEFAULT false,
    answer text,
    created_at timestamptz NOT NULL DEFAULT now(),
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY sinks ON idempotency_keys TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY own_tenant ON idempotency_keys TO headrace_api
    USING (tenant = current_setting('headrace.tenant', true))
    WITH CHECK (tenant = current_setting('headrace.tenant', true));
GRANT SELECT, INSERT, UPDATE ON idempotency_keys TO headrace_api;
GRANT SELECT, DELETE ON idempotency_keys TO headrace_sink;
"""


def upgrade() -> None:
    """Create it; the release before this one goes on without."""
    for statement in filter(str.strip, _TABLES.split(";\n")):
        op.execute(statement)
