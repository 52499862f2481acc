"""The dispatcher's SQL. No statement walks the backlog but those that count it: each tenant's queue is met by index."""

from sqlalchemy import text

from schemas.jobs import TERMINAL

_ENDS = sorted(TERMINAL)

# Of a tenant's interactive jobs those beyond its allowance wait in the bulk lane, and stay there.
KEEP = text("""
    WITH new AS (
        SELECT *, row_number() OVER (PARTITION BY tenant, lane ORDER BY place) AS number
        FROM json_to_recordset(CAST(:rows AS json)) AS given (job text, run integer, tenant text, lane text,
            accepted timestamptz, deadline timestamptz, headers jsonb, value text, place integer)
    )
    INSERT INTO waiting_jobs (job, run, tenant, lane, accepted, deadline, headers, value)
    SELECT job, run, tenant,
        CASE WHEN lane = 'interactive' AND number + (
            SELECT count(*) FROM (
                SELECT FROM waiting_jobs AS known
                WHERE (known.tenant, known.lane) = (new.tenant, 'interactive') LIMIT :allowance
            ) AS before
        ) > :allowance THEN 'bulk' ELSE lane END,
        accepted, deadline, headers, value
    FROM new ORDER BY job, run
    ON CONFLICT DO NOTHING
""")

DELAY = text("""
    INSERT INTO waiting_records (id, tenant, lane, job, due, topic, key, headers, value, spread, in_work)
    SELECT id, tenant, lane, job, to_timestamp(due), topic, decode(key, 'base64'), headers, decode(value, 'base64'),
        spread, true
    FROM json_to_recordset(CAST(:rows AS json)) AS given (id uuid, tenant text, lane text, job text,
        due double precision, topic text, key text, headers jsonb, value text, spread bigint)
    ORDER BY id
    ON CONFLICT DO NOTHING
""")

RING = text("SELECT pg_notify('headrace_waiting', '')")

# Of a run only its own word counts: what the job's row says of an earlier one says nothing of it.
TIDY = text("""
    DELETE FROM waiting_jobs AS waiting USING jobs
    WHERE waiting.released > 0 AND jobs.id = waiting.job
        AND (
            jobs.runs[1] >= waiting.run AND pages_total IS NOT NULL AND (whole OR waiting.released >= pages_total)
            OR jobs.runs[1] > waiting.run OR jobs.runs[1] = waiting.run AND jobs.state = ANY(:ends)
        )
        AND NOT EXISTS (
            SELECT FROM waiting_slices AS slice WHERE (slice.job, slice.run) = (waiting.job, waiting.run)
        )
""").bindparams(ends=_ENDS)

WORKING = text("""
    WITH known AS (
        SELECT released.job, released.run, released.tenant, interactive, bulk,
            CASE WHEN jobs.runs[1] >= released.run THEN pages_total END AS total,
            CASE WHEN jobs.runs[1] >= released.run THEN pages_settled ELSE 0 END AS settled,
            coalesce(whole AND jobs.runs[1] >= released.run AND pages_total IS NOT NULL, false) AS whole,
            coalesce(
                jobs.runs[1] > released.run OR jobs.runs[1] = released.run AND jobs.state = ANY(:ends), false
            ) AS ended
        FROM released_jobs AS released LEFT JOIN jobs ON jobs.id = released.job
    ), gone AS (
        DELETE FROM released_jobs AS released USING known
        WHERE known.ended AND (released.job, released.run) = (known.job, known.run)
    )
    SELECT * FROM known
""").bindparams(ends=_ENDS)

# A walk from tenant to tenant by the index, however much of each one waits; a document that is being counted waits.
OFFERS = text("""
    WITH RECURSIVE turn AS (
        (SELECT tenant, lane FROM waiting_jobs ORDER BY tenant, lane LIMIT 1)
        UNION ALL
        SELECT next.tenant, next.lane FROM turn CROSS JOIN LATERAL (
            SELECT tenant, lane FROM waiting_jobs AS other WHERE (other.tenant, other.lane) > (turn.tenant, turn.lane)
            ORDER BY tenant, lane LIMIT 1
        ) AS next
    )
    SELECT offer.* FROM turn CROSS JOIN LATERAL (
        SELECT waiting.tenant, waiting.lane, job, waiting.run, released,
            CASE WHEN released > 0 THEN pages_total END AS total
        FROM waiting_jobs AS waiting LEFT JOIN jobs ON released > 0 AND jobs.id = job
        WHERE (waiting.tenant, waiting.lane) = (turn.tenant, turn.lane)
            AND (released = 0 OR jobs.runs[1] >= waiting.run AND NOT whole AND pages_total > released)
        ORDER BY accepted, job LIMIT :most
    ) AS offer
""")

RECORDS = text("""
    WITH RECURSIVE turn AS (
        (SELECT tenant, lane FROM waiting_records WHERE NOT in_work ORDER BY tenant, lane LIMIT 1)
        UNION ALL
        SELECT next.tenant, next.lane FROM turn CROSS JOIN LATERAL (
            SELECT tenant, lane FROM waiting_records AS other
            WHERE NOT in_work AND (other.tenant, other.lane) > (turn.tenant, turn.lane)
            ORDER BY tenant, lane LIMIT 1
        ) AS next
    )
    SELECT offer.* FROM turn CROSS JOIN LATERAL (
        SELECT tenant, lane, job, CAST(id AS text) AS id FROM waiting_records AS waiting
        WHERE NOT in_work AND (waiting.tenant, waiting.lane) = (turn.tenant, turn.lane) AND due <= now()
        ORDER BY due, waiting.id LIMIT :most
    ) AS offer
""")

# What another has released meanwhile no longer fits, and is left out.
DECIDE = text("""
    WITH taken AS (
        UPDATE waiting_jobs AS waiting SET released = chosen.last, lane = chosen.stays
        FROM json_to_recordset(CAST(:rows AS json)) AS chosen (job text, run integer, lane text, stays text,
            first integer, last integer)
        WHERE (waiting.job, waiting.run, waiting.released) = (chosen.job, chosen.run, chosen.first - 1)
        RETURNING waiting.job, waiting.run, waiting.tenant, chosen.lane, chosen.first, chosen.last
    ), counted AS (
        INSERT INTO released_jobs (job, run, tenant, interactive, bulk)
        SELECT job, run, tenant, CASE lane WHEN 'interactive' THEN last - first + 1 ELSE 0 END,
            CASE lane WHEN 'bulk' THEN last - first + 1 ELSE 0 END
        FROM taken
        ON CONFLICT (job, run) DO UPDATE SET interactive = released_jobs.interactive + excluded.interactive,
            bulk = released_jobs.bulk + excluded.bulk
    )
    INSERT INTO waiting_slices (job, run, tenant, lane, first, last)
    SELECT job, run, tenant, lane, first, last FROM taken
    ON CONFLICT DO NOTHING
""")

SLICES = text("""
    SELECT slice.job, slice.run, slice.lane, first, last, headers, value
    FROM waiting_slices AS slice JOIN waiting_jobs AS waiting USING (job, run)
    ORDER BY slice.job, slice.run, first LIMIT 500
""")

FORGET_SLICES = text("""
    DELETE FROM waiting_slices AS slice
    USING json_to_recordset(CAST(:rows AS json)) AS published (job text, run integer, first integer)
    WHERE (slice.job, slice.run, slice.first) = (published.job, published.run, published.first)
""")

DUE = text("""
    SELECT CAST(id AS text) AS id, topic, key, headers, value, spread FROM waiting_records
    WHERE in_work AND due <= now() ORDER BY due, id LIMIT 500
""")

NAMED_RECORDS = text("""
    SELECT CAST(id AS text) AS id, topic, key, headers, value, spread FROM waiting_records
    WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY due, id
""")

FORGET_RECORDS = text("DELETE FROM waiting_records WHERE id = ANY(CAST(:ids AS uuid[]))")

NEXT_DUE = text("SELECT extract(epoch FROM min(due) - clock_timestamp())::float8 FROM waiting_records")

STOPPED = text("""
    SELECT job, run, headers, 'expired' AS reason FROM waiting_jobs WHERE deadline < now()
    UNION ALL
    SELECT waiting.job, waiting.run, headers, 'cancelled'
    FROM jobs JOIN waiting_jobs AS waiting ON waiting.job = jobs.id
    WHERE finished_at IS NULL AND (cancelling OR deleted) AND waiting.run <= jobs.run
    LIMIT 500
""")

FORGET_JOBS = text("""
    WITH ended AS (
        DELETE FROM waiting_jobs AS waiting
        USING json_to_recordset(CAST(:rows AS json)) AS told (job text, run integer)
        WHERE (waiting.job, waiting.run) = (told.job, told.run)
        RETURNING waiting.job, waiting.run
    )
    DELETE FROM waiting_slices AS slice USING ended WHERE (slice.job, slice.run) = (ended.job, ended.run)
""")

COUNTS = text("""
    SELECT tenant, lane, sum(pages)::bigint AS pages, sum(uncounted)::bigint AS uncounted,
        coalesce(extract(epoch FROM now() - min(accepted)), 0)::float8 AS oldest
    FROM (
        SELECT tenant, lane, count(*) AS pages, count(*) AS uncounted, min(accepted) AS accepted
        FROM waiting_jobs WHERE released = 0 GROUP BY tenant, lane
        UNION ALL
        SELECT waiting.tenant, waiting.lane, coalesce(pages_total - released, 0), (pages_total IS NULL)::integer,
            accepted
        FROM waiting_jobs AS waiting LEFT JOIN jobs ON jobs.id = job AND jobs.runs[1] >= waiting.run
        WHERE released > 0 AND (pages_total IS NULL OR NOT whole AND pages_total > released)
        UNION ALL
        SELECT tenant, lane, count(*), 0, min(due) FROM waiting_records WHERE NOT in_work GROUP BY tenant, lane
    ) AS queue
    GROUP BY tenant, lane
""")
