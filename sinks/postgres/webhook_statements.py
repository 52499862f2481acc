"""The SQL of webhooks. Bulk rows come as one JSON parameter."""

from sqlalchemy import text

# Endpoints are held against deletion while deliveries to them are stored. A message is stored where an endpoint of the
# tenant asks for it, even one that is disabled: it may ask for what it missed.
TAKE = text("""
    WITH seen AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS seen (id text, tenant text, type text, job text,
            document_id text, revision bigint, at timestamptz, thin text, whole text)
    ), asking AS MATERIALIZED (
        SELECT id, tenant, events, state FROM webhook_endpoints
        WHERE tenant IN (SELECT tenant FROM seen) ORDER BY id FOR KEY SHARE
    ), stored AS (
        INSERT INTO webhook_messages SELECT * FROM seen
        WHERE EXISTS (SELECT FROM asking WHERE asking.tenant = seen.tenant AND seen.type = ANY(asking.events))
        ORDER BY id ON CONFLICT DO NOTHING RETURNING id, tenant, type, at
    )
    INSERT INTO webhook_deliveries (endpoint, message, tenant, at)
    SELECT asking.id, stored.id, stored.tenant, stored.at
    FROM stored JOIN asking ON asking.tenant = stored.tenant AND stored.type = ANY(asking.events)
    WHERE asking.state <> 'disabled'
    RETURNING 1
""")

FORGET = text("""
    UPDATE webhook_messages SET whole = thin
    FROM json_to_recordset(CAST(:rows AS json)) AS gone (tenant text, document_id text, revision bigint)
    WHERE webhook_messages.tenant = gone.tenant AND webhook_messages.document_id = gone.document_id
        AND webhook_messages.revision <= gone.revision
""")

# What is claimed is due again when its lease ends: of a courier that was killed, nothing is left to tidy up. No
# endpoint gets more than its room, however much waits for it; the order among endpoints is that of who waits longest.
CLAIM = text("""
    WITH rooms AS (
        SELECT * FROM json_to_recordset(CAST(:rooms AS json)) AS rooms (endpoint text, room integer)
    ), picked AS (
        SELECT waits.endpoint, waits.message
        FROM webhook_endpoints AS asks LEFT JOIN rooms ON rooms.endpoint = asks.id
        CROSS JOIN LATERAL (
            SELECT endpoint, message, due FROM webhook_deliveries
            WHERE endpoint = asks.id AND webhook_deliveries.state = 'waiting' AND due <= now()
                AND (asks.state = 'active' OR verifies)
            ORDER BY due LIMIT coalesce(rooms.room, CASE WHEN asks.failing_since IS NULL THEN :room ELSE 1 END)
            FOR UPDATE SKIP LOCKED
        ) AS waits
        WHERE asks.state <> 'disabled' AND coalesce(rooms.room, 1) > 0
        ORDER BY waits.due LIMIT :most
    )
    UPDATE webhook_deliveries SET due = now() + make_interval(secs => :lease)
    FROM picked, webhook_endpoints, webhook_messages
    WHERE webhook_deliveries.endpoint = picked.endpoint AND webhook_deliveries.message = picked.message
        AND webhook_endpoints.id = picked.endpoint AND webhook_messages.id = picked.message
    RETURNING webhook_deliveries.endpoint, webhook_deliveries.message, webhook_deliveries.tenant, tries, verifies, url,
        CAST(secrets AS text) AS secrets, failing_since IS NOT NULL AS failing, code,
        CASE WHEN payload = 'full' THEN whole ELSE thin END AS body
""")

# In the transaction of `CLAIM`, so that both mean the same now: nothing comes due between the two unseen. An endpoint
# whose deliveries are due and have no room hides no other's.
NEXT_DUE = text("""
    SELECT extract(epoch FROM min(first.due) - now())
    FROM webhook_endpoints AS asks CROSS JOIN LATERAL (
        SELECT due FROM webhook_deliveries
        WHERE endpoint = asks.id AND webhook_deliveries.state = 'waiting' AND due > now()
            AND (asks.state = 'active' OR verifies)
        ORDER BY due LIMIT 1
    ) AS first
    WHERE asks.state <> 'disabled'
""")

# A delivery that another courier has settled meanwhile (this one's lease was over) stays as it is, but for the attempt.
SETTLE = text("""
    WITH seen AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS seen (endpoint text, message text, at timestamptz,
            seconds real, status integer, error text, request jsonb, response text, state text, wait double precision,
            tries integer)
    ), settled AS (
        UPDATE webhook_deliveries SET attempts = attempts + 1, tries = seen.tries, status = seen.status,
            error = seen.error,
            state = CASE WHEN webhook_deliveries.state = 'waiting' THEN seen.state ELSE webhook_deliveries.state END,
            due = now() + make_interval(secs => seen.wait)
        FROM seen WHERE webhook_deliveries.endpoint = seen.endpoint AND webhook_deliveries.message = seen.message
        RETURNING webhook_deliveries.endpoint, webhook_deliveries.message, tenant
    )
    INSERT INTO webhook_attempts (endpoint, message, tenant, at, seconds, status, error, request, response)
    SELECT endpoint, message, tenant, at, seconds, status, error, request, response
    FROM seen JOIN settled USING (endpoint, message)
""")

# `well`: the last of the attempts was; `lately`: one of them was. Only what changes is written: an endpoint that goes
# on well costs nothing.
JUDGE = text("""
    WITH seen AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS seen (endpoint text, well boolean, lately boolean,
            gone boolean, proved boolean, code text, at timestamptz)
    ), locked AS (
        SELECT id FROM webhook_endpoints JOIN seen ON endpoint = id
        WHERE NOT well OR proved OR webhook_endpoints.failing_since IS NOT NULL
        ORDER BY id FOR NO KEY UPDATE OF webhook_endpoints
    ), judged AS (
        SELECT id, seen.*, state, failing_since,
            gone OR NOT lately AND failing_since < seen.at - make_interval(secs => :longest) AS ends
        FROM webhook_endpoints JOIN locked USING (id) JOIN seen ON endpoint = id
    )
    UPDATE webhook_endpoints SET
        failing_since = CASE WHEN well THEN NULL WHEN lately THEN judged.at
            ELSE coalesce(webhook_endpoints.failing_since, judged.at) END,
        state = CASE WHEN ends THEN 'disabled' WHEN proved AND judged.code = webhook_endpoints.code
            AND judged.state = 'pending' THEN 'active' ELSE webhook_endpoints.state END,
        verified_at = CASE WHEN proved AND judged.code = webhook_endpoints.code THEN now() ELSE verified_at END,
        disabled_at = CASE WHEN ends THEN now() ELSE disabled_at END,
        reason = CASE WHEN gone THEN 'gone' WHEN ends THEN 'failing' ELSE reason END
    FROM judged
    WHERE webhook_endpoints.id = judged.id AND webhook_endpoints.state <> 'disabled'
        AND (ends OR proved OR well = (webhook_endpoints.failing_since IS NOT NULL))
    RETURNING webhook_endpoints.id, tenant, url, disabled_at, coalesce(ends, false) AS ends, reason
""")
RELEASE = text("""
    UPDATE webhook_deliveries SET due = now()
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (endpoint text, message text)
    WHERE webhook_deliveries.endpoint = seen.endpoint AND webhook_deliveries.message = seen.message
        AND webhook_deliveries.state = 'waiting'
""")
RING = text("SELECT pg_notify('headrace_webhooks', '')")
