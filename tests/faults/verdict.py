"""The judge: what a history lost, did twice, or committed before it was done. A pure function of what was read."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.codec import index_id
from schemas.jobs import TERMINAL
from schemas.topics import DEAD_LETTERS, EVENTS, RESULTS, VECTORS
from tests.faults.early_commits import early_commits
from tests.faults.history import History, Job, Passage, Place, Said


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
    verdict.lost += [f"dead letter {name} has no row" for name in sorted({*history.letters} - {*history.letter_rows})]
    verdict.early += early_commits(history)
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
