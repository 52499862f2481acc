"""I4: an offset passes a record only after its outcome is on the log, as Kafka's own log of commits tells."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from schemas.topics import (
    CHUNK,
    DEAD_LETTERS,
    DELAYED,
    EMBED,
    OCR,
    OCR_INTERACTIVE,
    PREPARE,
    PREPARE_INTERACTIVE,
)  # fmt: skip
from tests.faults.history import History, Place, Said

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


def early_commits(history: History) -> list[str]:
    """A sentence for each commit that came too early."""
    return [*_before_deaths(history), *_before_done(history)]


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
        # of copies the first counts, which need not be the one that was read first: they may lie on another partition
        settled[kind, said.place] = min(said.at, settled.get((kind, said.place), said.at))
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
