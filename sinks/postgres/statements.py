"""The projector's SQL. Bulk rows come as one JSON parameter; every statement takes its rows in key order."""

from sqlalchemy import text

REMEMBER = text("""
    INSERT INTO inbox (consumer, ce_id)
    SELECT :consumer, id FROM unnest(CAST(:ids AS uuid[])) AS seen (id) ORDER BY id
    ON CONFLICT DO NOTHING RETURNING ce_id
""")

# A stub for any event; what only `JobSubmitted` knows is filled in when it comes, before or after the others.
DESCRIBE = text("""
    INSERT INTO jobs (id, tenant, document_id, revision, plan, lane, data_class, deadline,
        pipeline, filename, source_key, source_sha256, source_size, created_at)
    SELECT id, tenant, document_id, revision, plan, lane, data_class, deadline,
        pipeline, filename, source_key, source_sha256, source_size, created_at
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (id text, tenant text, document_id text, revision integer,
        plan text, lane text, data_class text, deadline timestamptz, pipeline text, filename text, source_key text,
        source_sha256 text, source_size bigint, created_at timestamptz)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET filename = excluded.filename,
        source_key = excluded.source_key, source_sha256 = excluded.source_sha256, source_size = excluded.source_size,
        created_at = least(jobs.created_at, excluded.created_at)
    WHERE excluded.source_key IS NOT NULL
""")

LOCK = text("""
    SELECT id, tenant, document_id, revision, state, run, runs FROM jobs WHERE id = ANY(:ids) ORDER BY id FOR UPDATE
""")

# Compare-and-set: a lower run never replaces a higher one. Of one run the smallest id stays, whatever came first.
STORE_PARTS = text("""
    INSERT INTO parts (job, part, kind, tenant, run, ce_id, at, pages, step, code, detail)
    SELECT job, part, kind, tenant, run, ce_id, at, pages, step, code, detail
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (job text, part integer, kind text, tenant text, run integer,
        ce_id uuid, at timestamptz, pages integer, step text, code text, detail text)
    ORDER BY job, part, kind
    ON CONFLICT (job, part, kind) DO UPDATE SET run = excluded.run, ce_id = excluded.ce_id, at = excluded.at,
        pages = excluded.pages, step = excluded.step, code = excluded.code, detail = excluded.detail
    WHERE excluded.run > parts.run OR excluded.run = parts.run AND excluded.ce_id < parts.ce_id
""")

STORE_RESULTS = text("""
    INSERT INTO results (job, part, tenant, run, ce_id, payload, text)
    SELECT job, part, tenant, run, ce_id, payload, text
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (job text, part integer, tenant text, run integer, ce_id uuid,
        payload jsonb, text text)
    ORDER BY job, part
    ON CONFLICT (job, part) DO UPDATE SET run = excluded.run, ce_id = excluded.ce_id, payload = excluded.payload,
        text = excluded.text
    WHERE excluded.run > results.run OR excluded.run = results.run AND excluded.ce_id < results.ce_id
""")

COUNT = text("""
    SELECT job, document, kinds, count(*) AS parts, max(run) AS run, sum(run - 1) AS repeats, max(pages) AS pages,
        min(began) AS began, max(ended) AS ended
    FROM (
        SELECT job, part = 0 AS document, array_agg(kind ORDER BY kind) AS kinds, max(run) AS run, max(pages) AS pages,
            min(at) FILTER (WHERE kind <> 'submitted') AS began, max(at) AS ended
        FROM current_parts WHERE job = ANY(:ids) GROUP BY job, part
    ) AS part
    GROUP BY job, document, kinds
""")

ADVANCE = text("""
    UPDATE jobs SET state = new.state, run = new.run, runs = new.runs, cancelling = new.cancelling,
        pages_total = new.pages_total, started_at = new.started_at,
        finished_at = CASE WHEN new.moved THEN new.finished_at ELSE jobs.finished_at END
    FROM json_to_recordset(CAST(:rows AS json)) AS new (id text, was text, state text, run integer,
        runs integer[], cancelling boolean, pages_total integer, started_at timestamptz, finished_at timestamptz,
        moved boolean)
    WHERE jobs.id = new.id AND jobs.state = new.was
""")

# One event for each end of a run, even where events of two runs came so mixed that the job ended, went on and ended.
ANNOUNCE = text("""
    INSERT INTO outbox (job, tenant, run, event, payload)
    SELECT job, tenant, run, event, payload
    FROM json_to_recordset(CAST(:rows AS json)) AS ended (job text, tenant text, run integer, event text, payload jsonb)
    ORDER BY job
    ON CONFLICT DO NOTHING
""")

POSITION = text("""
    INSERT INTO projection (topic, partition, next_offset, through)
    SELECT topic, partition, next_offset, to_timestamp(through)
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (topic text, partition integer, next_offset bigint,
        through double precision)
    ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = coalesce(excluded.next_offset, projection.next_offset),
        through = greatest(projection.through, excluded.through)
""")
