"""The projector's SQL of documents. Bulk rows come as one JSON parameter, at most one for each document."""

from sqlalchemy import text

# The newest submission and the highest deletion stay, whatever came first. As with jobs, every row named here is
# locked afterwards: who holds a document's row holds all its jobs.
DESCRIBE = text("""
    INSERT INTO documents (tenant, document_id, revision, job, dropped)
    SELECT tenant, document_id, revision, job, dropped
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (tenant text, document_id text, revision bigint, job text,
        dropped bigint)
    ORDER BY tenant, document_id
    ON CONFLICT (tenant, document_id) DO UPDATE SET
        revision = greatest(documents.revision, excluded.revision),
        job = CASE WHEN (excluded.revision, excluded.job) > (documents.revision, documents.job) THEN excluded.job
            ELSE documents.job END,
        dropped = greatest(documents.dropped, excluded.dropped),
        current = CASE WHEN documents.current > excluded.dropped THEN documents.current END
    WHERE (excluded.revision, excluded.job) > (documents.revision, documents.job)
        OR excluded.dropped > documents.dropped
""")

FORGET = text("""
    WITH gone AS (
        UPDATE jobs SET deleted = true, filename = NULL, metadata = NULL, tags = NULL
        FROM json_to_recordset(CAST(:rows AS json)) AS named (tenant text, document_id text)
        JOIN documents USING (tenant, document_id)
        WHERE jobs.tenant = documents.tenant AND jobs.document_id = documents.document_id
            AND jobs.revision <= documents.dropped AND NOT jobs.deleted
        RETURNING jobs.id, jobs.tenant, jobs.document_id, jobs.revision, jobs.state, jobs.run, jobs.source_key
    ), emptied AS (
        DELETE FROM results USING gone WHERE results.job = gone.id
    )
    SELECT * FROM gone ORDER BY id
""")

SUCCEED = text("""
    UPDATE documents SET current = greatest(documents.current, new.revision)
    FROM json_to_recordset(CAST(:rows AS json)) AS new (tenant text, document_id text, revision bigint)
    WHERE documents.tenant = new.tenant AND documents.document_id = new.document_id
        AND new.revision > documents.dropped
""")
