"""Lines of the source made wrong, one at a time, and what is to notice."""

from dataclasses import dataclass

SIMULATION = "simulation"
FAN_IN = "tests/property/test_fan_in.py"
FAIRNESS = "tests/simulation/test_fairness.py"
OUTBOX = "tests/relay/test_outbox.py"
RUNNER = "tests/unit/processors/test_runner.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file`, `text` (which stands there once) becomes `wrong`; `breaks` names what is then promised in vain.

    `caught_by`: the simulation, or a file of tests on the real thing.
    """

    name: str
    breaks: str
    file: str
    text: str
    wrong: str
    caught_by: str = SIMULATION


_RUNNER = "processors/runner.py"
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
        "tests/sinks/test_pgvector.py",
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
)
