"""The projector's SQL. Bulk rows come as one JSON parameter; every statement takes its rows in key order."""

from sqlalchemy import text

from schemas.jobs import ENDS
from schemas.results import INLINE_BYTES

REMEMBER = text("""
    INSERT INTO inbox (consumer, ce_id)
    SELECT :consumer, id FROM unnest(CAST(:ids AS uuid[])) AS seen (id) ORDER BY id
    ON CONFLICT DO NOTHING RETURNING ce_id
""")

# A stub for any event; what only `JobSubmitted` knows is filled in when it comes, before or after the others.
# A row that conflicts is locked even where the condition then changes nothing in it.
DESCRIBE = text("""
    INSERT INTO jobs (id, tenant, document_id, revision, plan, lane, data_class, deadline,
        pipeline, filename, metadata, tags, submitted_by, source_key, source_sha256, source_size, created_at)
    SELECT id, tenant, document_id, revision, plan, lane, data_class, deadline,
        pipeline, filename, metadata, tags, submitted_by, source_key, source_sha256, source_size, created_at
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (id text, tenant text, document_id text, revision bigint,
        plan text, lane text, data_class text, deadline timestamptz, pipeline text, filename text, metadata jsonb,
        tags text[], submitted_by text, source_key text, source_sha256 text, source_size bigint, created_at timestamptz)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET filename = CASE WHEN NOT jobs.deleted THEN excluded.filename END,
        metadata = CASE WHEN NOT jobs.deleted THEN coalesce(excluded.metadata, jobs.metadata) END,
        tags = CASE WHEN NOT jobs.deleted THEN coalesce(excluded.tags, jobs.tags) END,
        submitted_by = coalesce(excluded.submitted_by, jobs.submitted_by),
        source_key = excluded.source_key, source_sha256 = excluded.source_sha256, source_size = excluded.source_size,
        created_at = least(jobs.created_at, excluded.created_at),
        deadline = greatest(jobs.deadline, excluded.deadline)
    WHERE excluded.source_key IS NOT NULL
""")

# Of each row in the order of FROM: everyone locks a job after its document, and documents in one order.
LOCK = text("""
    SELECT id, jobs.tenant, document_id, jobs.revision, filename, CAST(metadata AS text) AS metadata, tags, source_key,
        state, run, runs, cancelling, pages_total, pages_settled, started_at, finished_at, deleted,
        jobs.revision <= dropped AS dropped
    FROM documents JOIN jobs USING (tenant, document_id) WHERE id = ANY(:ids)
    ORDER BY tenant, document_id, id FOR UPDATE
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

# Of one run the smallest id stays, whatever came first.
STORE_TRAILS = text("""
    INSERT INTO trails (job, part, run, kind, tenant, ce_id, way)
    SELECT job, part, run, kind, tenant, ce_id, way
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (job text, part integer, run integer, kind text, tenant text,
        ce_id uuid, way text)
    ORDER BY job, part, run, kind
    ON CONFLICT (job, part, run, kind) DO UPDATE SET ce_id = excluded.ce_id, way = excluded.way
    WHERE excluded.ce_id < trails.ce_id
""")

# The one statement whose rows are large: as arrays they take 0.4 of the time that one JSON parameter does.
STORE_RESULTS = text("""
    INSERT INTO results (job, part, tenant, run, ce_id, plan, payload, text)
    SELECT job, part, tenant, run, ce_id, plan, CAST(payload AS jsonb), text
    FROM unnest(CAST(:job AS text[]), CAST(:part AS integer[]), CAST(:tenant AS text[]), CAST(:run AS integer[]),
        CAST(:ce_id AS uuid[]), CAST(:plan AS text[]), CAST(:payload AS text[]), CAST(:text AS text[]))
        AS seen (job, part, tenant, run, ce_id, plan, payload, text)
    ORDER BY job, part
    ON CONFLICT (job, part) DO UPDATE SET run = excluded.run, ce_id = excluded.ce_id, plan = excluded.plan,
        payload = excluded.payload, text = excluded.text
    WHERE excluded.run > results.run OR excluded.run = results.run AND excluded.ce_id < results.ce_id
""")

# `settling` are patterns of the kinds that bring a part to its fate: what else is said of it later moves no time.
COUNT = text("""
    SELECT job, document, kinds, count(*) AS parts, max(run) AS run, sum(run - 1) AS repeats, max(pages) AS pages,
        min(began) AS began, max(ended) AS ended
    FROM (
        SELECT job, part = 0 AS document, array_agg(kind ORDER BY kind) AS kinds, max(pages) AS pages,
            coalesce(max(run) FILTER (WHERE kind <> 'cancelling'), 1) AS run,
            min(at) FILTER (WHERE kind NOT IN ('submitted', 'cancelling')) AS began,
            max(at) FILTER (WHERE kind LIKE ANY (settling)) AS ended
        FROM current_parts
        JOIN json_to_recordset(CAST(:rows AS json)) AS asked (id text, settling text[]) ON id = job
        WHERE job = ANY(:ids) GROUP BY job, part
    ) AS part
    GROUP BY job, document, kinds
""")

# As `current_parts`, which the planner would walk whole for these few pages; with what was read on those that are done.
PAGES = text("""
    WITH known AS (
        SELECT parts.job, parts.part, parts.tenant, max(parts.run) AS run, array_agg(kind) AS kinds,
            array_agg(kind) @> min(needed) AS done, max(at) FILTER (WHERE kind LIKE ANY (settling)) AS at,
            max(step) FILTER (WHERE kind = 'failed') AS step, max(code) FILTER (WHERE kind = 'failed') AS code,
            max(detail) FILTER (WHERE kind = 'failed') AS detail
        FROM json_to_recordset(CAST(:rows AS json)) AS asked (job text, part integer, needed text[], settling text[])
        CROSS JOIN LATERAL (
            SELECT max(run) AS run FROM parts
            WHERE parts.job = asked.job AND parts.part IN (0, asked.part) AND kind <> 'cancelling'
        ) AS current
        JOIN parts ON parts.job = asked.job AND parts.part = asked.part AND parts.run >= current.run
        GROUP BY parts.job, parts.part, parts.tenant
    )
    SELECT known.job, known.part, known.tenant, known.run, kinds, at, step, code, detail,
        CASE WHEN octet_length(text) <= :most THEN text END AS text, CAST(payload -> 'image' AS text) AS image
    FROM known LEFT JOIN results
        ON done AND results.job = known.job AND results.part = known.part AND results.run = known.run
    ORDER BY known.job, known.part
""").bindparams(most=INLINE_BYTES)

ADVANCE = text("""
    UPDATE jobs SET state = new.state, run = new.run, runs = new.runs, cancelling = new.cancelling,
        pages_total = new.pages_total, pages_settled = new.pages_settled,
        started_at = new.started_at, finished_at = new.finished_at
    FROM json_to_recordset(CAST(:rows AS json)) AS new (id text, state text, run integer, runs integer[],
        cancelling boolean, pages_total integer, pages_settled integer, started_at timestamptz,
        finished_at timestamptz)
    WHERE jobs.id = new.id
""")

WHOLE = text("UPDATE jobs SET whole = true WHERE id = ANY(:ids) AND NOT whole")

# Appends under the job's lock. A story goes from run to run, and what ended a run is its last line: all that comes
# later of that run, or of one before it, is left out.
TELL = text("""
    WITH told AS (
        SELECT told.*, jobs.last_event + row_number() OVER (PARTITION BY told.job ORDER BY place) AS seq
        FROM json_to_recordset(CAST(:rows AS json)) AS told (job text, tenant text, run integer, part integer,
            event text, data jsonb, at timestamptz, place integer)
        JOIN jobs ON jobs.id = told.job
        LEFT JOIN job_events AS last ON last.job = told.job AND last.seq = jobs.last_event
        WHERE (last.seq IS NULL OR told.run > last.run
                OR told.run = last.run AND last.event <> ALL (CAST(:ends AS text[])))
            AND NOT EXISTS (
                SELECT FROM job_events AS seen WHERE (seen.job, seen.run, seen.part, seen.event)
                    = (told.job, told.run, told.part, told.event)
            )
    ), kept AS (
        INSERT INTO job_events (job, seq, tenant, run, event, part, data, at)
        SELECT job, seq, tenant, run, event, part, data, at FROM told ORDER BY job, seq RETURNING job, seq
    )
    UPDATE jobs SET last_event = newest.seq FROM (SELECT job, max(seq) AS seq FROM kept GROUP BY job) AS newest
    WHERE jobs.id = newest.job RETURNING pg_notify('headrace_jobs', jobs.id)
""").bindparams(ends=sorted(ENDS))

# A row's id says what it announces, so each thing is announced once.
ANNOUNCE = text("""
    WITH put AS (
        INSERT INTO outbox (ce_id, tenant, job, topic, key, headers, value)
        SELECT ce_id, tenant, job, topic, key, headers, value
        FROM json_to_recordset(CAST(:rows AS json)) AS new (ce_id uuid, tenant text, job text, topic text, key text,
            headers jsonb, value text, place integer)
        ORDER BY place
        ON CONFLICT DO NOTHING RETURNING seq
    )
    SELECT pg_notify('headrace_outbox', '') WHERE EXISTS (SELECT FROM put)
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
