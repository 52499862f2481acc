"""Whether a process grows: resident memory over time, and its slope by least squares."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident megabytes of one process of a slot, `at` seconds after the run began."""

    slot: str
    pid: int
    at: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Growth:
    """A slot's memory: megabytes at the end, the most of all, and its slope in megabytes an hour where it is known.

    `error` is the slope's standard error.
    """

    slot: str
    last: float
    most: float
    lives: int
    slope: float | None = None
    error: float = 0.0


def growths(samples: Iterable[Sample], warm: float) -> list[Growth]:
    """One a slot, by name.

    A slot's lives share one slope, each with a base of its own: a process that was killed begins anew. The first `warm`
    seconds of a life are its start, not its growth.
    """
    slots: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        slots[sample.slot].append(sample)
    return [_growth(slot, own, warm) for slot, own in sorted(slots.items())]


def _growth(slot: str, samples: Sequence[Sample], warm: float) -> Growth:
    lives = [list(own) for _, own in groupby(samples, lambda one: one.pid)]
    shown = Growth(slot, samples[-1].megabytes, max(one.megabytes for one in samples), len(lives))
    times, sizes, bases = [], [], 0
    for life in lives:
        late = [one for one in life if one.at - life[0].at >= warm]
        if len(late) > 1:
            at, size = np.array([one.at for one in late]), np.array([one.megabytes for one in late])
            times.append(at - at.mean())
            sizes.append(size - size.mean())
            bases += 1
    free = sum(map(len, times)) - bases - 1
    if free < 1:
        return shown
    at, size = np.concatenate(times), np.concatenate(sizes)
    slope = float((at * size).sum() / (at * at).sum())
    spread = float(((size - slope * at) ** 2).sum()) / free
    return replace(shown, slope=slope * 3600, error=float(np.sqrt(spread / (at * at).sum())) * 3600)
