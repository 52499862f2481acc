"""What must be true of every history, whatever went wrong in it."""

import itertools
import uuid
from collections import Counter, defaultdict
from typing import Any

from aiokafka import TopicPartition

from processors.attempts import LIMIT
from schemas import topics
from schemas.control import StepOrder, step_key
from schemas.documents import ChunksIndexed, PartSkipped, SliceReleased
from schemas.envelope import NAMESPACE
from schemas.jobs import ENDS, TERMINAL, JobState
from schemas.records import Partition, Record
from sinks.letter_rows import letter_row
from tests.simulation.database import Connection
from tests.simulation.log import Message
from tests.simulation.world import World, name_of, number_of

KNOWN_SECONDS = 1.5
"""After which an order is known everywhere, and what ran when it came has ended."""
SKIPPED, INDEXED = PartSkipped.kind(), ChunksIndexed.kind()


class Judge:
    """Watches a history while it happens, and looks at what it left in the end."""

    def __init__(self, world: World) -> None:
        self.found: list[str] = []
        self._world = world
        self._on_log: set[tuple[str, str]] = set()
        self._letters: set[str] = set()
        self._delayed: dict[str, int] = {}
        self._halted_at: float | None = None
        self._passed: dict[tuple[str, TopicPartition], int] = {}
        world.log.on_append.append(self._append)
        world.log.on_commit.append(self._commit)
        world.database.on_commit.append(self._stored)

    def blame(self, invariant: str, what: str) -> None:
        """One violation."""
        self.found.append(f"{invariant}: {what} (at {self._world.loop.now:.3f})")

    def _append(self, message: Message) -> None:
        headers = dict(message.headers)
        if message.topic == topics.DEAD_LETTERS.name:
            self._letters.add(f"{headers['headrace_step'].decode()} {headers['headrace_position'].decode()}")
        if message.topic == topics.DELAYED.name:
            self._delayed[headers["ce_id"].decode()] = int(headers["ce_attempt"])
        if name := headers.get("ce_id"):
            self._on_log.add((message.topic, name.decode()))
        if message.topic == topics.CONTROL.name and message.key == step_key("ocr"):
            order = StepOrder.model_validate_json(message.value or b"")
            self._halted_at = self._world.loop.now if order.halted else None
        if message.topic == topics.VECTORS.name and self._halts():
            self.blame("halts", "a page was read while ocr was halted")
        self._world.note(
            f"+ {message.topic}[{message.partition}]@{message.offset} {headers.get('ce_id', b'').decode()}"
        )

    def _halts(self) -> bool:
        """Whether ocr is halted, and every worker knows it; what a broken log or a sleeper says late is let pass."""
        late = {"pause", "log down", "answers lost", "repeat"}
        if self._halted_at is None or any(fault.kind in late for fault in self._world.plan.faults):
            return False
        return self._world.loop.now > self._halted_at + KNOWN_SECONDS

    def _commit(self, group: str, partition: TopicPartition, offset: int) -> None:
        """I4: below a committed offset everything has its outcome where no crash can take it away."""
        self._world.note(f"{group} commits {partition.topic}[{partition.partition}]@{offset}")
        begin = self._passed.get((group, partition), 0)
        records = self._world.log.of(partition.topic, partition.partition)
        if offset > len(records):
            self.blame("I4", f"{group} commits {partition} beyond its end")
        for message in records[begin:offset]:
            if not self._done(group, message):
                self.blame("I4", f"{group} committed {message.topic}[{message.partition}]@{message.offset} unfinished")
        self._passed[group, partition] = max(begin, offset)

    def _done(self, group: str, message: Message) -> bool:
        name = group.removeprefix("headrace.")
        headers = {key: value.decode() for key, value in message.headers}
        if f"{name} {message.topic}[{message.partition}]@{message.offset}" in self._letters:
            return True
        if name == "dead-letters":
            return (letter_row(record_of(message))["id"],) in self._world.database.table("dead_letters")
        if "ce_id" not in headers:
            return False
        if name == "projector":
            return (name, headers["ce_id"]) in self._world.database.table("inbox")
        if name == "dispatcher" and self._kept(message, headers["ce_id"]):
            return True
        if self._delayed.get(headers["ce_id"], 0) > int(headers["ce_attempt"]):
            return True
        if self._said(_following(headers, SKIPPED, name)):
            return True
        if name.startswith("index-"):
            return self._said(_following(headers, INDEXED, name))
        made = self._world.made.get((group, headers["ce_id"]))
        return made is not None and all(any((topic, one) in self._on_log for topic in _FORTH) for one in made)

    def _kept(self, message: Message, name: str) -> bool:
        if message.topic == topics.DELAYED.name:
            record = record_of(message)
            name = str(uuid.uuid5(NAMESPACE, f"{record}@{record.at}"))
        return ("dispatcher", name) in self._world.database.table("inbox")

    def _said(self, name: str) -> bool:
        return (topics.EVENTS.name, name) in self._on_log

    def _stored(self, connection: Connection) -> None:
        """A terminal state stays until its run rises, and no run falls."""
        jobs = self._world.database.table("jobs")
        for (table, key), row in connection.written.items():
            if table != "jobs" or row is None or (before := jobs.get(key)) is None:
                continue
            if row["run"] < before["run"]:
                self.blame("I1", f"the run of {key[0]} fell")
            same = row["run"] == before["run"]
            if before["state"] in TERMINAL and same and row["state"] != before["state"]:
                self.blame("I1", f"{key[0]} left {before['state']} for {row['state']} in one run")
            if row["state"] != before["state"]:
                self._world.note(f"{key[0]} is {row['state']} in run {row['run']}")

    def end(self) -> None:
        """What the whole history left."""
        for ring in self._world.database.rings:
            self.blame("locks", f"transactions wait in a ring: {ring}")
        for failure in self._world.loop.failures:
            self.blame("process", failure)
        for number in range(len(self._world.plan.jobs)):
            self._job(number)
        self._attempts()
        self._index()
        self._results()
        self._slices()
        self._letters_are_the_failures()

    def _job(self, number: int) -> None:
        job = name_of(number)
        row = self._world.database.table("jobs").get((job,))
        if row is None:
            return self.blame("I1", f"{job} was accepted and is not known")
        plan, state = self._world.plan.jobs[number], JobState(row["state"])
        states = {page: self._page_state(job, page) for page in range(1, len(plan.pages) + 1)}
        expected = {page: self._meant(number, page) for page in states}
        verdicts = {_verdict(list(one)) for one in itertools.product(*expected.values())}
        if plan.cancel is None:
            wrong = {page: states[page] for page in states if states[page] not in expected[page]}
            if wrong:
                self.blame("I2", f"pages of {job} came to {wrong}, not {expected}")
            if state not in verdicts:
                self.blame("I1", f"{job} is {state}, its pages {expected}")
        elif state not in (JobState.CANCELLED, *verdicts):
            self.blame("I1", f"the cancelled {job} is {state}")
        if row["pages_total"] not in (len(plan.pages), None if state is JobState.CANCELLED else -1):
            self.blame("I2", f"{job} has {row['pages_total']} pages")
        self._story(job, row)
        return None

    def _meant(self, number: int, page: int) -> tuple[str, ...]:
        """What a page may come to: one thing, except where copies of its record were read before and after a mend."""
        fate = self._world.plan.jobs[number].pages[page - 1]
        if (number, page) in self._world.redriven:
            return ("indexed",)
        if fate == "broken":
            kinds, _ = self._kinds(name_of(number), page)
            return tuple(end for end, kind in _ENDS_OF_BROKEN if kind in kinds) or ("indexed",)
        return ("failed",) if fate in ("refused", "poison") else ("indexed",)

    def _page_state(self, job: str, page: int) -> str:
        kinds, run = self._kinds(job, page)
        if {"read", "indexed:pgvector"} <= kinds:
            result = self._world.database.table("results").get((job, page))
            if result is None or result["run"] != run:
                self.blame("I2", f"page {page} of {job} is indexed and has no result of run {run}")
            return "indexed"
        return "failed" if "failed" in kinds else "skipped" if any(kind[:7] == "skipped" for kind in kinds) else "open"

    def _kinds(self, job: str, page: int) -> tuple[set[str], int]:
        rows = [
            row for (name, part, _), row in self._world.database.table("parts").items() if (name, part) == (job, page)
        ]
        run = max((row["run"] for row in rows), default=0)
        return {row["kind"] for row in rows if row["run"] == run} - {"reopened"}, run

    def _story(self, job: str, row: dict[str, Any]) -> None:
        events = self._world.database.table("job_events")
        lines = [events[job, seq] for seq in range(1, row["last_event"] + 1)]
        keys = [(line["run"], line["part"], line["event"]) for line in lines]
        if len(set(keys)) < len(keys):
            self.blame("I2", f"{job} tells a line twice")
        if lines and lines[-1]["event"] not in ENDS:
            self.blame("I1", f"the story of {job} ends with {lines[-1]['event']}")

    def _attempts(self) -> None:
        """Three deaths are enough: a record is not tried a fourth time, where its partition stayed with its slot."""
        moved = {"join", "leave", "pause"}
        if any(fault.kind in moved for fault in self._world.plan.faults):
            return
        for position, deaths in self._world.killed_by.items():
            if deaths > LIMIT:
                self.blame("attempts", f"{position} ended {deaths} processes")

    def _index(self) -> None:
        """I2: the index holds the pages that are indexed, each as its highest run made it, and nothing else."""
        chunks = self._world.database.table("chunks").values()
        held = Counter((row["job"], row["page"]) for row in chunks)
        for (job, page), count in held.items():
            if count > 1:
                self.blame("I2", f"page {page} of {job} is in the index {count} times")
        runs = {(row["job"], row["page"]): row["run"] for row in chunks}
        for (job, part, kind), row in self._world.database.table("parts").items():
            if kind == "indexed:pgvector" and runs.get((job, part)) != row["run"]:
                self.blame("I2", f"page {part} of {job} is called indexed in run {row['run']} and is not")

    def _results(self) -> None:
        """I2: whoever reads committed results sees each end once, and all that the outbox holds."""
        outbox = self._world.database.table("outbox").values()
        published = self._world.log.messages(topics.RESULTS.name)
        seen = Counter(dict(message.headers)["ce_id"].decode() for message in published)
        for name, count in seen.items():
            if count > 1:
                self.blame("I2", f"result {name} was published {count} times")
        expected = {row["ce_id"] for row in outbox if row["topic"] == topics.RESULTS.name}
        if set(seen) != expected:
            self.blame("I2", f"{len(expected - set(seen))} results unpublished, {len(set(seen) - expected)} unknown")
        ends: dict[tuple[str, int], int] = defaultdict(int)
        for message in published:
            headers = dict(message.headers)
            if headers["ce_type"] == b"headrace.JobEnded.v1":
                ends[headers["ce_job"].decode(), int(headers["ce_run"])] += 1
        for number in range(len(self._world.plan.jobs)):
            row = self._world.database.table("jobs").get((name_of(number),))
            if row is not None and row["state"] in TERMINAL and ends[name_of(number), row["run"]] != 1:
                self.blame("I1", f"the end of {name_of(number)} was told {ends[name_of(number), row['run']]} times")

    def _slices(self) -> None:
        """I2: what the dispatcher released of a job is each of its pages once, however often that was published."""
        pages: dict[int, dict[tuple[int, int], str]] = defaultdict(dict)
        for topic in (topics.PREPARE.name, topics.PREPARE_INTERACTIVE.name):
            for message in self._world.log.messages(topic):
                payload = SliceReleased.model_validate_json(message.value or b"")
                name = dict(message.headers)["ce_id"].decode()
                job = number_of(dict(message.headers)["ce_job"].decode())
                if pages[job].setdefault((payload.first, payload.last), name) != name:
                    self.blame("I2", f"pages {payload.first}-{payload.last} of {name_of(job)} have two names")
        for number, plan in enumerate(self._world.plan.jobs):
            slices = sorted(pages[number])
            if len(set(pages[number].values())) < len(slices):
                self.blame("I2", f"slices of {name_of(number)} have one name")
            for (_, last), (first, _) in itertools.pairwise(slices):
                if first != last + 1:
                    self.blame("I2", f"{name_of(number)} was released as {slices}")
            if plan.cancel is None and (not slices or slices[0][0] != 1 or slices[-1][1] < len(plan.pages)):
                self.blame("I1", f"of the {len(plan.pages)} pages of {name_of(number)} only {slices} were released")

    def _letters_are_the_failures(self) -> None:
        """I5: what was taken in came out as a result, as a dead letter, or as skipped."""
        letters = set()
        for message in self._world.log.messages(topics.DEAD_LETTERS.name):
            headers = {key: value.decode() for key, value in message.headers}
            letters.add((headers["ce_job"], int(headers["ce_part"]), int(headers["ce_run"])))
        failed = {
            (job, part, row["run"])
            for (job, part, kind), row in self._world.database.table("parts").items()
            if kind == "failed"
        }
        stored = Counter(
            (row["job"], row["part"], row["run"], row["step"])
            for row in self._world.database.table("dead_letters").values()
        )
        for place, count in stored.items():
            if count > 1:
                self.blame("I5", f"one failure is {count} letters: {place}")
        if lost := failed - letters:
            self.blame("I5", f"failed without a dead letter: {sorted(lost)}")


def record_of(message: Message) -> Record:
    """A message as its reader has it."""
    place = Partition(message.topic, message.partition)
    return Record(place, message.offset, 0, message.key, message.value, message.headers, message.timestamp / 1000)


def _verdict(pages: list[str]) -> JobState:
    """What a job of these pages must come to, said without any counting."""
    kinds = set(pages)
    if kinds == {"indexed"}:
        return JobState.SUCCEEDED
    return JobState.FAILED if kinds == {"failed"} else JobState.PARTIAL


_ENDS_OF_BROKEN = (("failed", "failed"), ("indexed", "indexed:pgvector"))
_FORTH = (topics.OCR.name, topics.OCR_INTERACTIVE.name, topics.VECTORS.name, topics.EVENTS.name)


def _following(headers: dict[str, str], kind: str, step: str) -> str:
    """The id of what a step says of a record, by the words of `Envelope.follow`."""
    words = (headers["ce_job"], headers["ce_run"], step, headers["ce_part"], kind, headers["ce_id"], "", "")
    return str(uuid.uuid5(NAMESPACE, "|".join(words)))
