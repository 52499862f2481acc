"""The SQL of dead letters, as the sinks write them. Bulk rows come as one JSON parameter."""

from sqlalchemy import text

# Whose a letter is, the job's row says: a header may name a tenant, but not make one.
STORE = text("""
    INSERT INTO dead_letters (id, tenant, told_tenant, job, document_id, run, part, plan, kind, step, code, detail,
        cause, attempt, at, topic, partition, "offset", key, headers, value)
    SELECT letter.id, coalesce(jobs.tenant, ''), told_tenant, job, letter.document_id, letter.run, part, letter.plan,
        kind, step, code, detail, cause, attempt, at, topic, partition, "offset", decode(key, 'base64'), headers,
        decode(value, 'base64')
    FROM json_to_recordset(CAST(:rows AS json)) AS letter (id uuid, told_tenant text, job text, document_id text,
        run integer, part integer, plan text, kind text, step text, code text, detail text, cause text, attempt integer,
        at timestamptz, topic text, partition integer, "offset" bigint, key text, headers jsonb, value text)
    LEFT JOIN jobs ON jobs.id = letter.job AND jobs.tenant = told_tenant
    ORDER BY letter.id
    ON CONFLICT DO NOTHING
""")

ADOPT = text("""
    UPDATE dead_letters SET tenant = jobs.tenant FROM jobs
    WHERE dead_letters.tenant = '' AND dead_letters.job = jobs.id AND dead_letters.told_tenant = jobs.tenant
""")

# Who deletes a document deletes what was kept of it here as well.
ERASE = text("""
    WITH erased AS (
        UPDATE dead_letters SET key = NULL, headers = '[]', value = NULL, detail = '', document_id = '',
            state = CASE dead_letters.state WHEN 'open' THEN 'discarded' ELSE dead_letters.state END
        FROM jobs WHERE dead_letters.job = jobs.id AND jobs.deleted AND dead_letters.headers <> '[]'
        RETURNING dead_letters.id, dead_letters.tenant
    )
    INSERT INTO dead_letter_actions (letter, tenant, action, by, reason)
    SELECT id, tenant, 'erased', 'dead-letters', 'the document was deleted' FROM erased
""")

OPEN = text("SELECT step, count(*) AS letters FROM dead_letters WHERE state = 'open' GROUP BY step")

TAKE = text("""
    SELECT * FROM dead_letters WHERE id = ANY(CAST(:ids AS uuid[])) AND tenant = :tenant AND state = 'open'
    ORDER BY id FOR UPDATE
""")

JOBS = text("""
    SELECT id, tenant, state, cancelling, deleted, pages_total, revision, runs[1] AS document_run
    FROM jobs WHERE id = ANY(:ids) ORDER BY tenant, document_id, id FOR UPDATE
""")

# As `current_parts`: what is known of these pages in their current runs.
PAGES = text("""
    SELECT asked.job, asked.part, current.run, array_remove(array_agg(parts.kind), NULL) AS kinds
    FROM json_to_recordset(CAST(:rows AS json)) AS asked (job text, part integer)
    CROSS JOIN LATERAL (
        SELECT coalesce(max(run), 1) AS run FROM parts WHERE parts.job = asked.job AND parts.part IN (0, asked.part)
    ) AS current
    LEFT JOIN parts ON parts.job = asked.job AND parts.part = asked.part AND parts.run >= current.run
    GROUP BY asked.job, asked.part, current.run
""")

READ = text("SELECT CAST(payload AS text) FROM results WHERE job = :job AND part = :part")

NEXT_RUN = text("""
    UPDATE jobs SET last_run = 1 + greatest(last_run, run, (SELECT max(run) FROM parts WHERE parts.job = jobs.id))
    WHERE id = :job RETURNING last_run
""")

ENQUEUE = text("""
    INSERT INTO waiting_records (id, tenant, lane, job, topic, key, headers, value, spread)
    SELECT id, tenant, lane, job, topic, convert_to(key, 'UTF8'), headers, decode(value, 'base64'), spread
    FROM json_to_recordset(CAST(:rows AS json)) AS new (id uuid, tenant text, lane text, job text, topic text, key text,
        headers jsonb, value text, spread bigint)
    ORDER BY id
    ON CONFLICT DO NOTHING
""")

CLOSE = text("""
    UPDATE dead_letters SET state = new.state
    FROM json_to_recordset(CAST(:rows AS json)) AS new (letter uuid, state text) WHERE id = new.letter
""")

NOTE = text("""
    INSERT INTO dead_letter_actions (letter, tenant, action, by, run, reason, edits)
    SELECT letter, tenant, action, by, run, reason, edits
    FROM json_to_recordset(CAST(:rows AS json)) AS new (letter uuid, tenant text, action text, by text, run integer,
        reason text, edits jsonb)
""")
