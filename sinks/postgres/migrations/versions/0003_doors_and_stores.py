"""Results for subscribers, a job's story, documents with revisions, a second index, words to search by."""

from alembic import op

revision = "0003"
down_revision = "0002"

# Nobody has read the first outbox yet: it is made anew in the form that the relay wants.
_TABLES = """
DROP TABLE outbox;
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ce_id uuid NOT NULL UNIQUE,
    tenant text NOT NULL,
    job text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    headers jsonb NOT NULL,
    value text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_by_commit ON outbox (xid, seq);

CREATE TABLE incarnation (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    "only" boolean PRIMARY KEY DEFAULT true CHECK ("only")
);
INSERT INTO incarnation DEFAULT VALUES;

CREATE TABLE job_events (
    job text NOT NULL,
    seq integer NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    event text NOT NULL,
    part integer NOT NULL DEFAULT 0,
    data jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL,
    PRIMARY KEY (job, seq),
    UNIQUE (job, run, part, event)
);

CREATE TABLE documents (
    tenant text NOT NULL,
    document_id text NOT NULL,
    revision bigint NOT NULL,
    job text NOT NULL,
    current bigint,
    dropped bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, document_id)
);
CREATE INDEX documents_by_age ON documents (tenant, revision);

CREATE TABLE index_drops (
    index text NOT NULL,
    tenant text NOT NULL,
    document_id text NOT NULL,
    dropped bigint NOT NULL,
    PRIMARY KEY (index, tenant, document_id)
);

ALTER TABLE jobs
    ALTER COLUMN revision TYPE bigint,
    ADD COLUMN last_event integer NOT NULL DEFAULT 0,
    ADD COLUMN deleted boolean NOT NULL DEFAULT false;
DROP INDEX jobs_by_tenant;
CREATE INDEX jobs_by_creation ON jobs (tenant, created_at DESC, id DESC);
CREATE INDEX jobs_by_end ON jobs (tenant, finished_at DESC, id DESC) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_by_document ON jobs (tenant, document_id, revision);

ALTER TABLE parts
    DROP CONSTRAINT parts_kind_check,
    ADD CONSTRAINT parts_kind_check CHECK (
        kind IN ('submitted', 'prepared', 'read', 'failed', 'cancelling') OR kind ~ '^(indexed|skipped):.'
    );

ALTER TABLE indexed_pages
    ADD COLUMN index text NOT NULL DEFAULT 'pgvector',
    DROP CONSTRAINT indexed_pages_pkey,
    ADD PRIMARY KEY (index, job, page);

ALTER TABLE chunks
    ALTER COLUMN revision TYPE bigint,
    ADD COLUMN words tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED;
ALTER TABLE chunks
    ALTER COLUMN words DROP EXPRESSION,
    ALTER COLUMN words SET DEFAULT '';
CREATE INDEX chunks_by_words ON chunks USING gin (words);
"""

_OF_TENANTS = ("outbox", "job_events", "documents", "index_drops")
_READ_BY_API = ("job_events", "documents")


def upgrade() -> None:
    """Create and change everything."""
    for statement in filter(str.strip, _TABLES.split(";\n")):
        op.execute(statement)
    for table in _OF_TENANTS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY sinks ON {table} TO headrace_sink USING (true) WITH CHECK (true)")
    for table in _READ_BY_API:
        own = "tenant = current_setting('headrace.tenant', true)"
        op.execute(f"CREATE POLICY own_tenant ON {table} FOR SELECT TO headrace_api USING ({own})")
    op.execute(f"GRANT SELECT ON {', '.join(_READ_BY_API)} TO headrace_api")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(_OF_TENANTS)} TO headrace_sink")
    op.execute("GRANT SELECT ON incarnation TO headrace_sink")
