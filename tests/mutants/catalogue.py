"""Lines of the source made wrong, one at a time, and what is to notice."""

from dataclasses import dataclass

SIMULATION = "simulation"
FAN_IN = "tests/property/test_fan_in.py"
FAIRNESS = "tests/simulation/test_fairness.py"
RELEASE = "tests/dispatcher/test_release.py"
REDRIVES = "tests/dead_letters/test_redrives.py"
RESUMES = "tests/sinks/test_resumes.py"
SWEEPS = "tests/sinks/test_sweeps.py"
OUTAGES = "tests/unit/processors/test_outages.py"
OUTBOX = "tests/relay/test_outbox.py"
RUNNER = "tests/unit/processors/test_runner.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file`, `text` (which stands there once) becomes `wrong`; `breaks` names what is then promised in vain.

    `caught_by`: the simulation, or tests by file or name, on the real thing where SQL is wrong.
    """

    name: str
    breaks: str
    file: str
    text: str
    wrong: str
    caught_by: str = SIMULATION


_RUNNER = "processors/runner.py"
_DISPATCHER = "producers/dispatcher.py"
_STREAM = "processors/stream/kafka_stream.py"
_STATEMENTS = "sinks/postgres/statements.py"

MUTANTS = (
    Mutant(
        "finished before it is published",
        "I4",
        _RUNNER,
        "        await self._publish([*outcome.records, *self._parts.attempts.clear(record)])",
        "        self._parts.finish(record)\n"
        "        await self._publish([*outcome.records, *self._parts.attempts.clear(record)])",
    ),
    Mutant(
        "what a batch made is not waited for",
        "I4",
        _RUNNER,
        "        await self._publish(emitted)",
        "        self._later = asyncio.create_task(self._publish(emitted))",
    ),
    Mutant(
        "a log that is away is given up",
        "I4",
        _RUNNER,
        "                turn += 1\n                await self._patience.hold(turn, str(error), to_the_end=True)\n"
        "            else:\n                if turn:",
        "                return\n            else:\n                if turn:",
    ),
    Mutant(
        "suspects are not run alone",
        "I1",
        _RUNNER,
        "suspects = [record for record in batch if",
        "suspects = [record for record in () if",
    ),
    Mutant("marks are not written", "I1", _RUNNER, "            await self._publish([mark])\n", ""),
    Mutant("one death too many", "attempts", _RUNNER, "if count >= LIMIT:", "if count > LIMIT:"),
    Mutant(
        "the last mark is lifted",
        "I1",
        "processors/attempts.py",
        "if self._marked.pop(str(record), 0) >= LIMIT:",
        "if self._marked.pop(str(record), 0) > 1000:",
    ),
    Mutant(
        "what ran is not noted",
        "I1",
        "processors/attempts.py",
        "positions = sorted({*self._suspects, *(str(record) for record in records)})",
        "positions = sorted(self._suspects)",
    ),
    Mutant(
        "what a dependency cannot take is dead-lettered",
        "I5",
        "processors/outcomes.py",
        'if error.fate == "hold":',
        'if error.fate == "never":',
    ),
    Mutant(
        "a failure is not told",
        "I1",
        "processors/outcomes.py",
        "(letter, *_failure(record, step, code, detail, attempt))",
        "(letter,)",
    ),
    Mutant(
        "a dead letter is not written",
        "I5",
        "processors/outcomes.py",
        "(letter, *_failure(record, step, code, detail, attempt))",
        "_failure(record, step, code, detail, attempt)",
    ),
    Mutant(
        "a skip is not told",
        "I4",
        _RUNNER,
        "Skip(reason, outgoing(envelope, self._name, event))",
        "Skip(reason)",
    ),
    Mutant("held records are let go of", "I1", "processors/batcher.py", "reversed(list(items))", "()"),
    Mutant(
        "the later ones never come",
        "I1",
        "processors/batcher.py",
        "heapq.heappush(self._later, (due, next(self._order), item))",
        "due += 0",
    ),
    Mutant(
        "the watermark follows the newest",
        "I4",
        "processors/watermark.py",
        "following = track.order[0] if track.order else track.highest + 1",
        "following = track.highest + 1",
    ),
    Mutant(
        "one offset too far",
        "I4",
        "processors/watermark.py",
        "following = track.order[0] if track.order",
        "following = track.order[0] + 1 if track.order",
    ),
    Mutant(
        "the epoch is ignored",
        "I4",
        "processors/watermark.py",
        "track is not None and track.epoch == record.epoch and",
        "track is not None and",
        "tests/property/test_watermark.py",
    ),
    Mutant(
        "what came before its assignment is not read again",
        "I4",
        _STREAM,
        "            consumer.seek(item, messages[0].offset)\n",
        "",
    ),
    Mutant("a sink's events are lost", "I4", "processors/handlers.py", "return [events, *(", "return [(), *("),
    Mutant(
        "counted before it is stored",
        "I1",
        "sinks/projection.py",
        "    await _store(connection, tasks, deleted)\n    needed = needed_by(tasks)\n"
        "    verdicts = await conclude(connection, jobs.values(), needed)\n",
        "    needed = needed_by(tasks)\n    verdicts = await conclude(connection, jobs.values(), needed)\n"
        "    await _store(connection, tasks, deleted)\n",
    ),
    Mutant(
        "one a kind instead of counting",
        "I1",
        "sinks/fan_in.py",
        "counts[fate(group.kinds, needed)] += group.parts",
        "counts[fate(group.kinds, needed)] += 1",
    ),
    Mutant(
        "the run of a part is forgotten",
        "I1",
        "sinks/fan_in.py",
        '        "run": envelope.run,\n',
        '        "run": 1,\n',
    ),
    Mutant(
        "a reopened page waits for its document",
        "I1",
        "sinks/fan_in.py",
        'group.run <= whole.run or "reopened" in group.kinds',
        "group.run <= whole.run",
    ),
    Mutant(
        "all failed is called partial",
        "I1",
        "schemas/jobs.py",
        "tally.failed >= tally.pages",
        "tally.failed > tally.pages",
    ),
    Mutant(
        "an end has no run of its own",
        "I1",
        "sinks/announcements.py",
        'named = {"id": _id(envelope.job, run, part, kind',
        'named = {"id": _id(envelope.job, 1, part, kind',
    ),
    Mutant(
        "every repeat has an id of its own",
        "I2",
        "schemas/envelope.py",
        '"id": uuid.uuid5(NAMESPACE, name), "kind"',
        '"id": uuid.uuid4(), "kind"',
    ),
    Mutant(
        "the relay begins at the beginning",
        "I2",
        "producers/relay.py",
        "await self._outbox.begin(position)",
        "await self._outbox.begin(None)",
    ),
    Mutant(
        "the relay's position is one row behind",
        "I2",
        "producers/relay.py",
        "xid=place.xid, seq=place.seq)",
        "xid=place.xid, seq=place.seq - 1)",
    ),
    Mutant(
        "the inbox is left out",
        "I2",
        "sinks/projector.py",
        "[unseen[uuid.UUID(str(found))] for found in new]",
        "list(unseen.values())",
    ),
    Mutant(
        "jobs are counted without their lock",
        "I1",
        _STATEMENTS,
        "ORDER BY tenant, document_id, id FOR UPDATE",
        "ORDER BY tenant, document_id, id",
        FAN_IN,
    ),
    Mutant(
        "a lower run replaces a higher one",
        "runs",
        _STATEMENTS,
        "WHERE excluded.run > parts.run OR excluded.run = parts.run AND excluded.ce_id < parts.ce_id",
        "",
        FAN_IN,
    ),
    Mutant(
        "a terminal state is left without a new run",
        "I1",
        "sinks/conclusions.py",
        "run_rises=counted.runs > tuple(job.runs)",
        "run_rises=True",
        FAN_IN,
    ),
    Mutant(
        "the relay reads what older transactions may still add to",
        "I2",
        "sinks/postgres/outbox.py",
        " AND xid < pg_snapshot_xmin(pg_current_snapshot())",
        "",
        OUTBOX,
    ),
    Mutant(
        "a later run's page is written over",
        "runs",
        "sinks/index_fence.py",
        " WHERE excluded.run >= indexed_pages.run\n",
        "\n",
        "tests/contract/test_indexes.py::test_a_later_run_replaces_a_page_and_an_earlier_one_no_more",
    ),
    Mutant(
        "the position lies outside of the transaction",
        "I2",
        "producers/relay_log.py",
        "            self._producer.produce(RELAY.name, position.model_dump_json(), _SHARD, partition=0)\n",
        "",
        "tests/relay/test_position.py",
    ),
    Mutant(
        "cancelled work is worked on",
        "cancel",
        _RUNNER,
        "if self._parts.orders.cancelled(envelope.job, envelope.run):",
        "if not envelope.job:",
        RUNNER,
    ),
    Mutant(
        "one bad record fails its batch",
        "I5",
        _RUNNER,
        "if len(tasks) > 1 and not isinstance(",
        "if len(tasks) > 99 and not isinstance(",
        RUNNER,
    ),
    Mutant(
        "the allowance is ignored",
        "fairness",
        "producers/lanes.py",
        'max(0, self._allowance - held.get(("interactive", tenant), 0))',
        "1_000_000",
        FAIRNESS,
    ),
    Mutant(
        "what a tenant got is not counted",
        "fairness",
        "producers/round_robin.py",
        "self._deficits[tenant] -= item.pages",
        "self._deficits[tenant] -= 0",
        FAIRNESS,
    ),
    Mutant(
        "the same tenant is first for ever",
        "fairness",
        "producers/round_robin.py",
        "self._ring.rotate(-1)",
        "self._ring.rotate(0)",
        FAIRNESS,
    ),
    Mutant(
        "a round gives by the room of the moment",
        "fairness",
        "producers/round_robin.py",
        "            self._served.clear()\n            self._quantum = quantum\n",
        "            self._served.clear()\n        self._quantum = quantum\n",
        FAIRNESS,
    ),
    Mutant(
        "who has no more room goes to the end",
        "fairness",
        "producers/round_robin.py",
        "if tenant not in left or self._deficits[tenant] < 1:",
        "if True:",
        FAIRNESS,
    ),
    Mutant(
        "interactive work stops bulk work",
        "fairness",
        "producers/lanes.py",
        'reserve = max(1, window // RESERVE) if waiting["bulk"] else 0',
        "reserve = 0",
        FAIRNESS,
    ),
    Mutant(
        "the window is not looked at",
        "window",
        "producers/lanes.py",
        'room = max(0, window - total, reserve - in_work["bulk"])',
        "room = max(0, window)",
        FAIRNESS,
    ),
    Mutant(
        "slices are forgotten before they are published",
        "I1",
        _DISPATCHER,
        "        await self._parts.publisher.publish([record for release in releases for record in release.records])\n",
        "        await self._backlog.forget(releases)\n"
        "        await self._parts.publisher.publish([record for release in releases for record in release.records])\n",
    ),
    Mutant(
        "what was decided is not published again",
        "I1",
        _DISPATCHER,
        "[*await self._backlog.unconfirmed(), *",
        "[*",
    ),
    Mutant(
        "slices of a job have one name",
        "I2",
        "sinks/postgres/waiting.py",
        "digests=(str(row.first), str(row.last))",
        "digests=()",
    ),
    Mutant(
        "a slice begins where the one before it ended",
        "I2",
        "sinks/postgres/waiting.py",
        "row.run, row.released + 1, pages)",
        "row.run, max(1, row.released), pages)",
    ),
    Mutant(
        "the backlog takes no notice of what it has forgotten",
        "I1",
        "sinks/postgres/waiting.py",
        "            await bulk(connection, sql.FORGET_SLICES, slices)\n",
        "",
    ),
    Mutant(
        "two leaders release the same pages",
        "I2",
        "sinks/postgres/waiting_statements.py",
        "WHERE (waiting.job, waiting.run, waiting.released) = (chosen.job, chosen.run, chosen.first - 1)",
        "WHERE (waiting.job, waiting.run) = (chosen.job, chosen.run)",
        RELEASE,
    ),
    Mutant(
        "what is cancelled or too late while it waits is worked on",
        "cancel",
        _DISPATCHER,
        ", *await self._backlog.stopped()]",
        "]",
        RELEASE,
    ),
    Mutant(
        "a submission that is read again waits again",
        "I2",
        "sinks/dispatcher.py",
        "return [unseen[uuid.UUID(str(found))] for found in new]",
        "return list(unseen.values())",
        RELEASE,
    ),
    Mutant(
        "a delayed record comes back as its first attempt",
        "I4",
        "processors/outcomes.py",
        "told = {_ATTEMPT: str(attempt),",
        "told = {_ATTEMPT: str(1),",
        OUTAGES,
    ),
    Mutant(
        "a halted step works on",
        "halts",
        _RUNNER,
        "            if self.halted():\n",
        "            if not batch:\n",
    ),
    Mutant(
        "a step does not halt itself",
        "halts",
        "processors/halts.py",
        "if total < self._limits.least or",
        "if total > 0 or",
        OUTAGES,
    ),
    Mutant(
        "the callers' faults halt the step",
        "halts",
        _RUNNER,
        "bad = isinstance(outcome, Reject) and not outcome.input_at_fault\n",
        "bad = isinstance(outcome, Reject)\n",
        OUTAGES,
    ),
    Mutant(
        "a redrive keeps the run that failed",
        "I1",
        "sinks/redriven.py",
        '"run": run, "plan": plan, "attempt": 1',
        '"run": own.run, "plan": plan, "attempt": 1',
    ),
    Mutant(
        "nobody hears which pages are redriven",
        "I1",
        "sinks/redrives.py",
        "if reopened and 0 not in reopened:",
        "if not reopened:",
    ),
    Mutant(
        "redriven letters stay open",
        "I2",
        "sinks/redrives.py",
        "        await bulk(connection, letters.CLOSE, self.closed)\n",
        "",
        REDRIVES,
    ),
    Mutant(
        "anybody redrives anybody's letters",
        "tenants",
        "sinks/postgres/letters.py",
        "WHERE id = ANY(CAST(:ids AS uuid[])) AND tenant = :tenant AND state = 'open'",
        "WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'open'",
        f"{REDRIVES}::test_a_letter_of_another_tenant_is_nobodys_to_redrive",
    ),
    Mutant(
        "each repeat of a rejection is a letter of its own",
        "I5",
        "sinks/letter_rows.py",
        "named = str(envelope.id) if readable else f",
        "named = f",
    ),
    Mutant(
        "a letter is lost where its job is not known yet",
        "I5",
        "sinks/postgres/letters.py",
        "LEFT JOIN jobs ON jobs.id = letter.job AND jobs.tenant = told_tenant",
        "JOIN jobs ON jobs.id = letter.job AND jobs.tenant = told_tenant",
        REDRIVES,
    ),
    Mutant(
        "what is done is resumed, what failed is not",
        "I1",
        "sinks/resumes.py",
        'if fate(page.kinds, needed) == "indexed"}',
        'if fate(page.kinds, needed) != "indexed"}',
    ),
    Mutant(
        "a resume that is asked for twice is two runs",
        "runs",
        "sinks/resumes.py",
        "if job is None or not (await connection.scalars(statements.REMEMBER, asked)).all():",
        "if job is None:",
        f"{RESUMES}::test_asking_twice_is_one_run",
    ),
    Mutant(
        "a resume's run is one that was",
        "runs",
        "sinks/resumes.py",
        "SET last_run = 1 + greatest(",
        "SET last_run = greatest(",
        RESUMES,
    ),
    Mutant(
        "the sweep's clock is the wall's",
        "lifetimes",
        "sinks/sweeps.py",
        "SELECT CASE WHEN bool_and(known >= partitions) THEN min(through) END",
        "SELECT now()",
        f"{SWEEPS}::test_a_projector_that_stands_still_or_was_never_there_keeps_everything",
    ),
    Mutant(
        "a partition that was never read is no matter",
        "lifetimes",
        "sinks/sweeps.py",
        "bool_and(known >= partitions)",
        "bool_or(known > 0)",
        f"{SWEEPS}::test_a_projector_that_stands_still_or_was_never_there_keeps_everything",
    ),
    Mutant(
        "an expired job's run has no name of its own",
        "I1",
        "sinks/overdue.py",
        'f"{job.id}|overdue|{job.run}"',
        'f"{job.id}|overdue"',
        "tests/sinks/test_overdue.py",
    ),
    Mutant(
        "what ended is expired once more",
        "I1",
        "sinks/overdue.py",
        "WHERE finished_at IS NULL AND id > :after",
        "WHERE id > :after",
        "tests/sinks/test_overdue.py::test_a_job_that_ended_is_never_expired",
    ),
    Mutant(
        "pages of an earlier run are missed",
        "runs",
        "sinks/page_round.py",
        "AND shown.run = results.run",
        "",
        "tests/sinks/test_page_round.py::test_what_is_not_to_be_there_is_not_missed",
    ),
)
