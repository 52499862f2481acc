"""Work that waits to be released, dead letters with their audit, how many pages of a job came to their fate."""

from alembic import op

revision = "0004"
down_revision = "0003"

_TABLES = """
CREATE TABLE waiting_jobs (
    job text NOT NULL,
    run integer NOT NULL,
    tenant text NOT NULL,
    lane text NOT NULL,
    accepted timestamptz NOT NULL,
    deadline timestamptz,
    headers jsonb NOT NULL,
    value text NOT NULL,
    released integer NOT NULL DEFAULT 0,
    PRIMARY KEY (job, run)
);
CREATE INDEX waiting_jobs_in_turn ON waiting_jobs (tenant, lane, accepted, job) INCLUDE (released);
CREATE INDEX waiting_jobs_begun ON waiting_jobs (job) WHERE released > 0;
CREATE INDEX waiting_jobs_by_deadline ON waiting_jobs (deadline) WHERE deadline IS NOT NULL;

CREATE TABLE released_jobs (
    job text NOT NULL,
    run integer NOT NULL,
    tenant text NOT NULL,
    interactive integer NOT NULL DEFAULT 0,
    bulk integer NOT NULL DEFAULT 0,
    PRIMARY KEY (job, run)
);

CREATE TABLE waiting_slices (
    job text NOT NULL,
    run integer NOT NULL,
    tenant text NOT NULL,
    lane text NOT NULL,
    first integer NOT NULL,
    last integer NOT NULL,
    PRIMARY KEY (job, run, first)
);

CREATE TABLE waiting_records (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    lane text NOT NULL,
    job text NOT NULL,
    due timestamptz NOT NULL DEFAULT now(),
    topic text NOT NULL,
    key bytea NOT NULL,
    headers jsonb NOT NULL,
    value bytea,
    spread bigint,
    in_work boolean NOT NULL DEFAULT false
);
CREATE INDEX waiting_records_in_turn ON waiting_records (tenant, lane, due, id) WHERE NOT in_work;
CREATE INDEX waiting_records_by_age ON waiting_records (due, id);

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    job text NOT NULL,
    document_id text NOT NULL,
    run integer NOT NULL,
    part integer NOT NULL,
    plan text NOT NULL,
    kind text NOT NULL,
    step text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    cause text NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    headers jsonb NOT NULL,
    value bytea,
    told_tenant text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'redriven', 'discarded'))
);
CREATE INDEX dead_letters_of_nobody ON dead_letters (job) WHERE tenant = '';
CREATE INDEX dead_letters_open ON dead_letters (tenant, step) WHERE state = 'open';
CREATE INDEX dead_letters_by_age ON dead_letters (tenant, at DESC, id DESC);
CREATE INDEX dead_letters_by_job ON dead_letters (job, part);

CREATE TABLE dead_letter_actions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter uuid NOT NULL REFERENCES dead_letters (id) ON DELETE CASCADE,
    tenant text NOT NULL,
    action text NOT NULL,
    by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    run integer,
    reason text NOT NULL DEFAULT '',
    edits jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX dead_letter_actions_by_letter ON dead_letter_actions (letter, id);

ALTER TABLE jobs
    ADD COLUMN pages_settled integer NOT NULL DEFAULT 0,
    ADD COLUMN last_run integer NOT NULL DEFAULT 0,
    ADD COLUMN whole boolean NOT NULL DEFAULT false;
CREATE INDEX jobs_to_stop ON jobs (id) WHERE finished_at IS NULL AND (cancelling OR deleted);
ALTER TABLE parts
    DROP CONSTRAINT parts_kind_check,
    ADD CONSTRAINT parts_kind_check CHECK (
        kind IN ('submitted', 'prepared', 'read', 'failed', 'cancelling', 'reopened') OR kind ~ '^(indexed|skipped):.'
    );
ALTER TABLE results ADD COLUMN plan text;
CREATE INDEX jobs_by_source ON jobs (source_key);
CREATE INDEX jobs_by_deadline ON jobs (deadline) WHERE finished_at IS NULL;
ALTER TABLE indexed_pages ADD COLUMN passages integer;
CREATE INDEX chunks_of_tenant ON chunks (tenant, id);
"""

# A caller's wish to cancel begins no run of any part, and lapses with the next run of one.
_VIEW = """
CREATE OR REPLACE VIEW current_parts WITH (security_invoker = true) AS
SELECT job, part, kind, tenant, run, ce_id, at, pages, step, code, detail
FROM (
    SELECT *, max(run) OVER (PARTITION BY job) AS highest,
        max(run) FILTER (WHERE kind <> 'cancelling') OVER (PARTITION BY job, part) AS own,
        max(run) FILTER (WHERE part = 0 AND kind <> 'cancelling') OVER (PARTITION BY job) AS documents
    FROM parts
) AS seen
WHERE run >= CASE WHEN kind = 'cancelling' THEN highest ELSE greatest(own, documents) END
"""

_OF_TENANTS = (
    "waiting_jobs", "waiting_slices", "released_jobs", "waiting_records", "dead_letters", "dead_letter_actions",
)  # fmt: skip
_READ_BY_API = ("waiting_jobs", "dead_letters", "dead_letter_actions")


def upgrade() -> None:
    """Create and change everything; the release before this one goes on with its own columns."""
    for statement in filter(str.strip, _TABLES.split(";\n")):
        op.execute(statement)
    op.execute(_VIEW)
    for table in _OF_TENANTS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY sinks ON {table} TO headrace_sink USING (true) WITH CHECK (true)")
    for table in _READ_BY_API:
        own = "tenant = current_setting('headrace.tenant', true)"
        op.execute(f"CREATE POLICY own_tenant ON {table} FOR SELECT TO headrace_api USING ({own})")
    op.execute(f"GRANT SELECT ON {', '.join(_READ_BY_API)} TO headrace_api")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(_OF_TENANTS)} TO headrace_sink")
