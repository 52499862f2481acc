"""What a submission with an `Idempotency-Key` asks, as functions: one round trip each, as one tenant.

A statement alone cannot say which tenant it is for: that would take a transaction of four round trips, and the caller
waits for each.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

# A row that was given up, or whose process died, is taken over with its job's id; one that has expired begins anew.
_TAKE = """
CREATE FUNCTION take_submission(
    of_tenant text, of_key text, of_fingerprint text, of_job text, expiry double precision, lease double precision
) RETURNS TABLE (ours boolean, job text, fingerprint text, published boolean, answer text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('headrace.tenant', of_tenant, true);
    RETURN QUERY
        INSERT INTO idempotency_keys AS known (tenant, key, fingerprint, job)
        VALUES (of_tenant, of_key, of_fingerprint, of_job)
        ON CONFLICT (tenant, key) DO UPDATE SET taken_at = now(), answer = NULL, published = false,
            fingerprint = excluded.fingerprint,
            job = CASE WHEN known.created_at < now() - make_interval(secs => expiry)
                THEN excluded.job ELSE known.job END,
            created_at = CASE WHEN known.created_at < now() - make_interval(secs => expiry)
                THEN now() ELSE known.created_at END
        WHERE known.created_at < now() - make_interval(secs => expiry)
            OR known.fingerprint = excluded.fingerprint AND NOT known.published
                AND known.taken_at < now() - make_interval(secs => lease)
        RETURNING true, known.job, known.fingerprint, known.published, known.answer;
    IF NOT FOUND THEN
        RETURN QUERY
            SELECT false, known.job, known.fingerprint, known.published, known.answer
            FROM idempotency_keys AS known WHERE known.tenant = of_tenant AND known.key = of_key;
    END IF;
END $$
"""
_DONE = """
CREATE FUNCTION submission_done(of_tenant text, of_key text, of_job text, told text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('headrace.tenant', of_tenant, true);
    UPDATE idempotency_keys SET published = true, answer = told
        WHERE tenant = of_tenant AND key = of_key AND job = of_job;
END $$
"""
_GIVEN_UP = """
CREATE FUNCTION submission_given_up(of_tenant text, of_key text, of_job text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('headrace.tenant', of_tenant, true);
    UPDATE idempotency_keys SET taken_at = '-infinity'
        WHERE tenant = of_tenant AND key = of_key AND job = of_job AND NOT published;
END $$
"""
_SIGNATURES = (
    "take_submission(text, text, text, text, double precision, double precision)",
    "submission_done(text, text, text, text)",
    "submission_given_up(text, text, text)",
)


def upgrade() -> None:
    """Create them; the release before this one goes on with its own statements. They may do what their caller may."""
    for function in (_TAKE, _DONE, _GIVEN_UP):
        op.execute(function)
    for signature in _SIGNATURES:
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO headrace_api")
