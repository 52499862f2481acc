"""The judge: what a history lost, did twice, or committed before it was done. A pure function of what was read."""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.codec import index_id
from schemas.jobs import TERMINAL
from schemas.topics import (
    CHUNK,
    DEAD_LETTERS,
    DELAYED,
    EMBED,
    EVENTS,
    OCR,
    OCR_INTERACTIVE,
    PREPARE,
    PREPARE_INTERACTIVE,
    RESULTS,
    VECTORS,
)  # fmt: skip
from tests.faults.history import History, Job, Passage, Place, Said

_IN_FLIGHT = re.compile(r"(.+)\[(\d+)\]@(\d+)")
_DONE = {
    PREPARE.name: "DocumentPrepared",
    PREPARE_INTERACTIVE.name: "DocumentPrepared",
    OCR.name: "PageRead",
    OCR_INTERACTIVE.name: "PageRead",
    CHUNK.name: "PageChunked",
    EMBED.name: "ChunksEmbedded",
}
"""By a step's topic, the event that says that its record was worked on."""
_SETTLED = frozenset({"PartFailed", "PartSkipped"})


@dataclass(frozen=True, slots=True)
class Expected:
    """What a caller was promised: a job of `tenant`. `states` it may end in, `mark` that its every text bears."""

    tenant: str
    states: frozenset[str] = frozenset({"succeeded"})
    mark: str = ""
    pages: int | None = None


@dataclass(slots=True)
class Verdict:
    """What is wrong, sentence by sentence, and what was merely done again."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    strayed: list[str] = field(default_factory=list)
    repeats: Counter[str] = field(default_factory=Counter)
    parts: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.early or self.strayed)

    def told(self) -> str:
        """The first sentences of each fault."""
        kinds = {"lost": self.lost, "doubled": self.doubled, "committed early": self.early, "strayed": self.strayed}
        return "\n".join(f"{kind}: {line}" for kind, lines in kinds.items() for line in lines[:5])


def judge(history: History, expected: Mapping[str, Expected], needed: Collection[str]) -> Verdict:
    """Judge the jobs of `expected`; `needed` are the indexes that a job wants before it has succeeded."""
    own = [said for said in history.said if said.place.job in expected]
    verdict = Verdict()
    jobs = {job.id: job for job in history.jobs}
    for name, promise in expected.items():
        _ended(verdict, name, promise, jobs.get(name))
    _parts(verdict, history, {name: jobs[name] for name in expected if name in jobs}, needed)
    _results(verdict, history, own, expected)
    _indexed(verdict, history, own, jobs, expected)
    _announced(verdict, own, {name: jobs[name] for name in expected if name in jobs})
    _told_twice(verdict, own)
    _strays(verdict, own, expected)
    verdict.early += [*_before_deaths(history), *_before_done(history)]
    return verdict


def _ended(verdict: Verdict, name: str, promise: Expected, job: Job | None) -> None:
    """I1: each accepted job in one terminal state that it may be in, not after its deadline."""
    if job is None:
        verdict.lost.append(f"{name} has no row")
        return
    if job.state not in TERMINAL:
        verdict.lost.append(f"{name} is still {job.state}")
    elif job.state not in promise.states:
        verdict.lost.append(f"{name} is {job.state}, not {' or '.join(sorted(promise.states))}")
    if promise.pages is not None and job.pages != promise.pages and job.state == "succeeded":
        verdict.lost.append(f"{name} has {job.pages} pages, not {promise.pages}")
    if job.deadline and job.finished and job.finished > job.deadline and job.state != "expired":
        verdict.lost.append(f"{name} ended after its deadline")


def _parts(
    verdict: Verdict,
    history: History,
    jobs: Mapping[str, Job],
    needed: Collection[str],
) -> None:
    """I5: every part has an outcome; one that was read is in every index that its job needs."""
    kinds: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in history.parts:
        kinds[row.job, row.part].add(row.kind)
    results = {(row.job, row.part) for row in history.results}
    done = {"read", *(f"indexed:{index}" for index in needed)}
    for name, job in jobs.items():
        if kinds[name, 0] & {"failed", "skipped:cancelled", "skipped:expired"}:
            continue
        for part in range(1, (job.pages or 0) + 1):
            verdict.parts += 1
            found = kinds[name, part]
            given_up = any(kind == "failed" or kind.startswith("skipped:") for kind in found)
            if not done <= found and not given_up:
                verdict.lost.append(f"page {part} of {name} has no outcome, only {sorted(found)}")
            if job.state == "succeeded" and (name, part) not in results:
                verdict.lost.append(f"page {part} of {name} has no result")


def _results(verdict: Verdict, history: History, own: Sequence[Said], expected: Mapping[str, Expected]) -> None:
    """I2 of the results: each is what one event said, of the page that it belongs to."""
    told: dict[Place, set[str]] = defaultdict(set)
    for said in own:
        if said.topic == EVENTS.name and said.kind == "PageRead":
            told[said.place].add(said.id)
    verdict.doubled += [f"{place} was read in {len(ids)} ways" for place, ids in told.items() if len(ids) > 1]
    known = {(place.job, place.part, name) for place, ids in told.items() for name in ids}
    for row in history.results:
        if row.job not in expected:
            continue
        promise = expected[row.job]
        if (row.job, row.part, row.id) not in known:
            verdict.doubled.append(f"the result of page {row.part} of {row.job} follows from no event")
        if row.tenant != promise.tenant or promise.mark not in row.text:
            verdict.strayed.append(f"the result of page {row.part} of {row.job} is another's")


def _indexed(
    verdict: Verdict, history: History, own: Sequence[Said], jobs: Mapping[str, Job], expected: Mapping[str, Expected]
) -> None:
    """I2 of the indexes: what was confirmed is there, nothing is that was not embedded, each in its tenant's name."""
    embedded: dict[Place, set[str]] = defaultdict(set)
    confirmed: dict[str, set[Place]] = defaultdict(set)
    for said in own:
        if said.topic == VECTORS.name and said.kind == "ChunksEmbedded":
            digest = said.value["engine"]["digest"]
            embedded[said.place] |= {str(index_id(said.envelope, one["index"], digest)) for one in said.value["chunks"]}
        elif said.kind == "ChunksIndexed":
            confirmed[said.value["index"]].add(said.place)
    for index, held in history.indexes.items():
        found = {one.id: one for one in held if one.job in expected}
        wanted = {name for place in confirmed[index] for name in embedded[place]}
        allowed = {name for names in embedded.values() for name in names}
        verdict.lost += [f"{index} lacks passage {name}" for name in sorted(wanted - found.keys())]
        verdict.doubled += [f"{index} has passage {name} too much" for name in sorted(found.keys() - allowed)]
        verdict.doubled += _more_than_once(index, (one for one in held if one.job in expected))
        verdict.strayed += [
            f"{index} holds passage {one.id} for another" for one in found.values()
            if one.tenant != expected[one.job].tenant
        ]  # fmt: skip


def _more_than_once(index: str, held: Iterable[Passage]) -> list[str]:
    counts = Counter(one.id for one in held)
    return [f"{index} has passage {name} {count} times" for name, count in counts.items() if count > 1]


def _announced(verdict: Verdict, own: Sequence[Said], jobs: Mapping[str, Job]) -> None:
    """What a `read_committed` reader of `headrace.results` was told: each end once."""
    counts = Counter((said.kind, said.place) for said in own if said.topic == RESULTS.name)
    ends = {place for kind, place in counts if kind == "JobEnded"}
    pages = {(place.job, place.part) for kind, place in counts if kind == "PageEnded"}
    for name, job in jobs.items():
        if job.state in TERMINAL and Place(name, job.run, 0) not in ends:
            verdict.lost.append(f"the end of {name} was not announced")
        if job.state == "succeeded":
            verdict.lost += [
                f"page {part} of {name} was not announced" for part in range(1, (job.pages or 0) + 1)
                if (name, part) not in pages
            ]  # fmt: skip
    verdict.doubled += [
        f"{kind} of {place} was announced {count} times" for (kind, place), count in counts.items() if count > 1
    ]


def _told_twice(verdict: Verdict, own: Sequence[Said]) -> None:
    """Work done again: the same id once more on the same topic. Allowed, and counted."""
    seen = Counter((said.topic, said.id) for said in own if said.topic != DEAD_LETTERS.name)
    for (topic, _), count in seen.items():
        if count > 1:
            verdict.repeats[topic] += count - 1


def _strays(verdict: Verdict, own: Sequence[Said], expected: Mapping[str, Expected]) -> None:
    """I6 of the topics: every record of a job bears its tenant's name."""
    verdict.strayed += [
        f"{said.kind} of {said.place} on {said.topic} names tenant {said.tenant}" for said in own
        if said.tenant != expected[said.place.job].tenant
    ]  # fmt: skip


def _before_deaths(history: History) -> Iterable[str]:
    """I4 at each death: nothing that was committed before it had passed the record in flight."""
    for death in history.deaths:
        match = _IN_FLIGHT.fullmatch(death.in_flight)
        if match is None:
            continue
        topic, partition, offset = match[1], int(match[2]), int(match[3])
        group = f"headrace.{death.slot.rpartition('-')[0]}"
        for commit in history.commits:
            same = (commit.group, commit.topic, commit.partition) == (group, topic, partition)
            if same and commit.at <= death.at and commit.offset > offset:
                yield f"{group} had committed {commit.offset} when it died with {death.in_flight}"


def _before_done(history: History) -> Iterable[str]:
    """I4 at each commit: every record below it had its outcome on the log."""
    settled: dict[tuple[str, Place], int] = {}
    for said in history.said:
        kind = "settled" if said.kind in _SETTLED or said.topic in (DEAD_LETTERS.name, DELAYED.name) else said.kind
        settled.setdefault((kind, said.place), said.at)
    read: dict[tuple[str, int], list[tuple[int, int, Said]]] = defaultdict(list)
    for said in history.said:
        if said.topic in _DONE:
            read[said.topic, said.partition].append((said.offset, _done_at(settled, said), said))
    last = {place: _last_done(records) for place, records in read.items()}
    for commit in history.commits:
        known = last.get((commit.topic, commit.partition))
        if known is None or not commit.group.startswith("headrace."):
            continue
        offsets, latest = known
        below = bisect_left(offsets, commit.offset)
        if below and latest[below - 1][0] > commit.at:
            said = latest[below - 1][1]
            what = f"{said.place} of {commit.topic}@{said.offset}"
            yield f"{commit.group} committed {commit.offset} while {what} was not done"


def _last_done(records: Sequence[tuple[int, int, Said]]) -> tuple[list[int], list[tuple[int, Said]]]:
    """The offsets, and for each which of the records up to it was done last, and when."""
    latest: list[tuple[int, Said]] = []
    for _, done, said in records:
        latest.append((done, said) if not latest or done > latest[-1][0] else latest[-1])
    return [offset for offset, _, _ in records], latest


def _done_at(settled: Mapping[tuple[str, Place], int], said: Said) -> int:
    document = said.place._replace(part=0)
    keys = [(_DONE[said.topic], said.place), ("settled", said.place), ("settled", document)]
    if said.kind == "SliceReleased":
        keys.append(("DocumentPrepared", document))
    return min((settled[key] for key in keys if key in settled), default=1 << 62)
