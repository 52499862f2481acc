"""API keys, announced by the outbox."""

from alembic import op

revision = "0005"
down_revision = "0004"

_TABLES = """
CREATE TABLE api_keys (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    secrets jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    rotated_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_by_age ON api_keys (tenant, created_at DESC, id DESC);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY sinks ON api_keys FOR SELECT TO headrace_sink USING (true);
CREATE POLICY own_tenant ON api_keys TO headrace_api
    USING (tenant = current_setting('headrace.tenant', true))
    WITH CHECK (tenant = current_setting('headrace.tenant', true));
GRANT SELECT, INSERT, UPDATE (secrets, rotated_at, revoked_at, last_used_at) ON api_keys TO headrace_api;
GRANT SELECT ON api_keys TO headrace_sink;
CREATE POLICY keys_announced ON outbox FOR INSERT TO headrace_api WITH CHECK (
    tenant = current_setting('headrace.tenant', true) AND topic = 'headrace.control'
    AND EXISTS (SELECT FROM api_keys WHERE outbox.key = 'key:' || api_keys.id)
);
GRANT INSERT ON outbox TO headrace_api;
"""


def upgrade() -> None:
    """Create everything; the release before this one goes on without."""
    for statement in filter(str.strip, _TABLES.split(";\n")):
        op.execute(statement)
