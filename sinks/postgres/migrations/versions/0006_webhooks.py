"""Webhooks: endpoints, messages, what is to be delivered, and what each attempt came to."""

from alembic import op

revision = "0006"
down_revision = "0005"

_TABLES = """
CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    payload text NOT NULL CHECK (payload IN ('thin', 'full')),
    description text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'active', 'disabled')),
    reason text NOT NULL DEFAULT '',
    code text NOT NULL,
    secrets jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    verified_at timestamptz,
    disabled_at timestamptz,
    failing_since timestamptz
);
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant, created_at DESC, id DESC);

CREATE TABLE webhook_messages (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    type text NOT NULL,
    job text NOT NULL,
    document_id text NOT NULL,
    revision bigint NOT NULL,
    at timestamptz NOT NULL,
    thin text NOT NULL,
    whole text NOT NULL
);
CREATE INDEX webhook_messages_by_tenant ON webhook_messages (tenant, at DESC, id DESC);
CREATE INDEX webhook_messages_by_document ON webhook_messages (tenant, document_id);
CREATE INDEX webhook_messages_by_age ON webhook_messages USING brin (at);

CREATE TABLE webhook_deliveries (
    endpoint text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    message text NOT NULL REFERENCES webhook_messages ON DELETE CASCADE,
    tenant text NOT NULL,
    at timestamptz NOT NULL,
    verifies boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    due timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    tries integer NOT NULL DEFAULT 0,
    status integer,
    error text NOT NULL DEFAULT '',
    PRIMARY KEY (endpoint, message)
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (endpoint, at DESC, message DESC);
CREATE INDEX webhook_deliveries_by_message ON webhook_deliveries (message);

CREATE TABLE webhook_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint text NOT NULL,
    message text NOT NULL,
    tenant text NOT NULL,
    at timestamptz NOT NULL,
    seconds real NOT NULL,
    status integer,
    error text NOT NULL,
    request jsonb NOT NULL,
    response text NOT NULL,
    FOREIGN KEY (endpoint, message) REFERENCES webhook_deliveries ON DELETE CASCADE
);
CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (endpoint, message, id DESC);
"""

_OF_TENANTS = ("webhook_endpoints", "webhook_messages", "webhook_deliveries", "webhook_attempts")


def upgrade() -> None:
    """Create everything; the release before this one goes on without."""
    for statement in filter(str.strip, _TABLES.split(";\n")):
        op.execute(statement)
    own = "tenant = current_setting('headrace.tenant', true)"
    for table in _OF_TENANTS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY sinks ON {table} TO headrace_sink USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY own_tenant ON {table} TO headrace_api USING ({own}) WITH CHECK ({own})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO headrace_sink")
        op.execute(f"GRANT SELECT ON {table} TO headrace_api")
    op.execute("GRANT INSERT, DELETE ON webhook_endpoints TO headrace_api")
    op.execute(
        "GRANT UPDATE (url, events, payload, description, state, reason, code, secrets, verified_at, disabled_at,"
        " failing_since) ON webhook_endpoints TO headrace_api"
    )
    op.execute("GRANT INSERT ON webhook_messages, webhook_deliveries TO headrace_api")
    op.execute("GRANT UPDATE (state, due, tries) ON webhook_deliveries TO headrace_api")
