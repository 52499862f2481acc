"""What the front door says, and what stands behind it, made wrong."""

from tests.mutants.mutant import Mutant

TOKENS = "tests/auth/test_access_tokens.py"
BLOBS = "tests/sinks/test_blobs.py"
DESTINATIONS = "tests/webhooks/test_destinations.py"
LANES = "tests/webhooks/test_lanes.py"
TRAILS = "tests/unit/processors/test_trails.py"
TIMELINE = "tests/sinks/test_timeline.py"
WINDOWS = "tests/limits/test_windows.py"
_TOKENS = "api/auth/access_tokens.py"

MUTANTS = (
    Mutant(
        "a token is good for every audience",
        "authentication",
        _TOKENS,
        "if self._issuer.audience not in (",
        "if not (",
        f"{TOKENS}::test_what_is_no_good_token_is_refused_and_not_quoted",
    ),
    Mutant(
        "any algorithm is taken",
        "authentication",
        _TOKENS,
        'if peeked.header.get("alg") not in self._issuer.algorithms:',
        'if peeked.header.get("alg") is None:',
        f"{TOKENS}::test_an_algorithm_that_is_not_allowed_asks_nobody_for_a_key",
    ),
    Mutant(
        "a token lives for ever",
        "authentication",
        _TOKENS,
        "if now >= claims.exp + leeway:",
        "if now >= claims.exp + 10**9:",
        f"{TOKENS}::test_what_is_no_good_token_is_refused_and_not_quoted",
    ),
    Mutant(
        "what must be understood is passed over",
        "authentication",
        "api/auth/jws.py",
        'if "crit" in peeked.header or "b64" in peeked.header:',
        'if "b64" in peeked.header:',
        f"{TOKENS}::test_what_is_no_good_token_is_refused_and_not_quoted",
    ),
    Mutant(
        "scopes are not asked for",
        "authentication",
        "api/auth/doors.py",
        "if missing:",
        "if len(missing) > 1:",
        "tests/auth/test_doors.py::test_each_route_refuses_who_presents_nothing_and_who_lacks_its_scope",
    ),
    Mutant(
        "every tenant's ids are one's own",
        "tenancy",
        "schemas/ids.py",
        "not hmac.compare_digest(tag, self._tag(body, tenant))",
        "not tag",
        "tests/unit/schemas/test_words.py::test_a_foreign_id_and_one_of_a_retired_key_are_not_found",
    ),
    Mutant(
        "what one limit refuses another counts",
        "limits",
        "api/auth/windows.py",
        "        if not full:\n",
        "        if True:\n",
        f"{WINDOWS}::test_what_one_limit_refuses_no_other_counts",
    ),
    Mutant(
        "the window before is forgotten",
        "limits",
        "api/auth/windows.py",
        "self.before = self.now if number == self.number + 1 else 0",
        "self.before = 0",
        f"{WINDOWS}::test_this_process_counts_as_the_library_does_in_redis",
    ),
    Mutant(
        "a key is taken over while the first is under way",
        "idempotency",
        "sinks/postgres/migrations/versions/0010_submissions.py",
        "\n                AND known.taken_at < now() - make_interval(secs => lease)",
        "",
        "tests/api/test_idempotency.py::test_a_key_in_the_table_is_taken_over_only_when_it_may_be",
    ),
    Mutant(
        "a folder that was removed is still durable",
        "durability",
        "sinks/durable_names.py",
        "            self._durable.pop(missing, None)\n",
        "",
        f"{BLOBS}::test_a_folder_that_was_gone_is_durable_anew",
    ),
    Mutant(
        "a sync that began before us is ours",
        "durability",
        "sinks/durable_names.py",
        "if turns.ended > arrived:",
        "if turns.ended >= max(1, arrived):",
        f"{BLOBS}::test_who_comes_while_a_folder_is_synced_shares_the_next_sync",
    ),
    Mutant(
        "a redirect is success",
        "webhooks",
        "sinks/webhooks/verdicts.py",
        "200 <= status < 300",
        "200 <= status < 400",
        f"{LANES}::test_only_2xx_is_success_and_the_schedule_is_kept_with_its_jitter",
    ),
    Mutant(
        "410 is tried again",
        "webhooks",
        "sinks/webhooks/verdicts.py",
        "if status == _GONE:",
        "if status == 0:",
        f"{LANES}::test_2xx_is_delivered_and_410_wants_nothing_more",
    ),
    Mutant(
        "an attempt that failed is not told",
        "timeline",
        "processors/trails.py",
        "self._failed.setdefault(str(record), []).append(self._attempt(record, code))",
        "pass",
        f"{TRAILS}::test_an_attempt_that_failed_is_told_with_the_one_that_did_not",
    ),
    Mutant(
        "a dead letter is changed on its way",
        "timeline",
        "processors/trails.py",
        "return record if record.topic == DEAD_LETTERS.name else",
        "return",
        f"{TRAILS}::test_one_that_failed_for_good_is_told_by_the_event_and_the_letter_stays_as_it_came",
    ),
    Mutant(
        "of two trails that came the last stays",
        "timeline",
        "sinks/postgres/statements.py",
        "    WHERE excluded.ce_id < trails.ce_id\n",
        "",
        f"{TIMELINE}::test_any_order_any_cuts_and_any_repeats_leave_the_same",
    ),
)
