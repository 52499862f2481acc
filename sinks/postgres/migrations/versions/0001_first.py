"""The first tables: jobs and their parts, results, inbox, outbox, projection, passages; row security from the start."""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE jobs (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled', 'expired')),
    cancelling boolean NOT NULL DEFAULT false,
    run integer NOT NULL DEFAULT 1,
    runs integer[] NOT NULL DEFAULT '{1,0}',
    document_id text NOT NULL,
    revision integer NOT NULL,
    plan text NOT NULL,
    lane text NOT NULL,
    data_class text NOT NULL,
    deadline timestamptz,
    pipeline text NOT NULL,
    filename text,
    source_key text,
    source_sha256 text,
    source_size bigint,
    pages_total integer,
    created_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX jobs_by_tenant ON jobs (tenant, created_at);

CREATE TABLE parts (
    job text NOT NULL,
    part integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('submitted', 'prepared', 'read', 'failed') OR kind ~ '^(indexed|skipped):.'),
    tenant text NOT NULL,
    run integer NOT NULL,
    ce_id uuid NOT NULL,
    at timestamptz NOT NULL,
    pages integer,
    step text,
    code text,
    detail text,
    PRIMARY KEY (job, part, kind)
);

CREATE TABLE results (
    job text NOT NULL,
    part integer NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    ce_id uuid NOT NULL,
    payload jsonb NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (job, part)
);

CREATE TABLE inbox (
    consumer text NOT NULL,
    ce_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, ce_id)
);
CREATE INDEX inbox_by_age ON inbox USING brin (at);

CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    job text NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    event text NOT NULL,
    payload jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (job, run, event)
);
CREATE INDEX outbox_by_commit ON outbox (xid, seq);

CREATE TABLE projection (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint,
    through timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE indexed_pages (
    job text NOT NULL,
    page integer NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    PRIMARY KEY (job, page)
);

CREATE TABLE chunks (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    document_id text NOT NULL,
    revision integer NOT NULL,
    job text NOT NULL,
    run integer NOT NULL,
    page integer NOT NULL,
    chunk integer NOT NULL,
    plan text NOT NULL,
    digest text NOT NULL,
    text text NOT NULL,
    box double precision[] NOT NULL,
    image_width integer NOT NULL,
    image_height integer NOT NULL,
    embedding vector(384) NOT NULL
);
CREATE INDEX chunks_by_page ON chunks (tenant, document_id, revision, page);
CREATE INDEX chunks_by_direction ON chunks USING hnsw (embedding vector_cosine_ops);
"""

# A part's current run is its own highest, and never below the document's: what an earlier run left counts no more.
_VIEW = """
CREATE VIEW current_parts WITH (security_invoker = true) AS
SELECT job, part, kind, tenant, run, ce_id, at, pages, step, code, detail
FROM (
    SELECT *, max(run) OVER (PARTITION BY job, part) AS own,
        max(run) FILTER (WHERE part = 0) OVER (PARTITION BY job) AS documents
    FROM parts
) AS seen
WHERE run >= greatest(own, documents);
"""

_OF_TENANTS = ("jobs", "parts", "results", "outbox", "indexed_pages", "chunks")
_READ_BY_API = ("jobs", "parts", "results", "chunks")


def upgrade() -> None:
    """Create everything."""
    for block in (_TABLES, _VIEW):
        for statement in filter(str.strip, block.split(";\n")):
            op.execute(statement)
    for table in _OF_TENANTS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY sinks ON {table} TO headrace_sink USING (true) WITH CHECK (true)")
    for table in _READ_BY_API:
        # Unset, the setting is NULL or '': then no row passes.
        own = "tenant = current_setting('headrace.tenant', true)"
        op.execute(f"CREATE POLICY own_tenant ON {table} FOR SELECT TO headrace_api USING ({own})")
    op.execute(f"GRANT SELECT ON {', '.join(_READ_BY_API)}, current_parts, projection TO headrace_api")
    everything = (*_OF_TENANTS, "inbox", "projection", "current_parts")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(everything)} TO headrace_sink")
