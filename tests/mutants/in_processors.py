"""The loop, its batches, offsets, attempts and halts made wrong."""

from tests.mutants.mutant import Mutant

OUTAGES = "tests/unit/processors/test_outages.py"
RUNNER = "tests/unit/processors/test_runner.py"
_RUNNER = "processors/runner.py"
_STREAM = "processors/stream/kafka_stream.py"

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
        "sorted({*self._suspects, *(str(record) for record in records)})",
        "sorted(self._suspects)",
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
        "a delayed record comes back as its first attempt",
        "I4",
        "processors/outcomes.py",
        "told = {_ATTEMPT: str(attempt),",
        "told = {_ATTEMPT: str(1),",
        f"{OUTAGES}::test_a_dependency_that_says_when_is_asked_again_then_and_by_way_of_the_log",
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
        f"{OUTAGES}::test_nonsense_halts_the_step_before_much_is_given_up_and_all_else_is_done_once_it_goes_on",
    ),
    Mutant(
        "the callers' faults halt the step",
        "halts",
        _RUNNER,
        "bad = isinstance(outcome, Reject) and not outcome.input_at_fault\n",
        "bad = isinstance(outcome, Reject)\n",
        f"{OUTAGES}::test_one_tenants_encrypted_documents_halt_nobody",
    ),
)
