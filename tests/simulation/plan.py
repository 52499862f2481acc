"""What a history holds: jobs with pages and their fates, and faults; drawn from one seed, or by Hypothesis."""

import json
import random
from dataclasses import asdict, dataclass
from typing import Any, Literal

from schemas.envelope import Lane

Fate = Literal["ok", "slow", "twice", "later", "refused", "broken", "poison"]
FATES: tuple[Fate, ...] = ("ok", "slow", "twice", "later", "refused", "broken", "poison")
_OFTEN = (12, 2, 0.5, 0.03, 2, 0.5, 0.4)
Again = Literal["", "redrive", "resume"]
FaultKind = Literal[
    "kill", "crash", "pause", "log down", "answers lost", "database down", "slow commits", "repeat", "join", "leave"
]
FAULTS: tuple[FaultKind, ...] = (
    "kill", "crash", "pause", "log down", "answers lost", "database down", "slow commits", "repeat", "join", "leave",
)  # fmt: skip
TARGETS = (
    "dispatcher-1", "prepare-1", "ocr-1", "ocr-2", "index-1", "projector-1", "projector-2", "relay-1", "letters-1",
)  # fmt: skip

JOINING, LEAVING = ("ocr-3", "projector-3"), ("ocr-2", "projector-2")


def targets(kind: FaultKind, *, standby: bool = True) -> tuple[str, ...]:
    """Whom a fault may meet: only those leave who have a peer."""
    found = {"join": JOINING, "leave": LEAVING}.get(kind, TARGETS)
    return found if standby else tuple(name for name in found if name not in LEAVING)


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job: when it comes, its pages' fates, when it is cancelled, how its failed pages are tried again."""

    tenant: str
    at: float
    pages: tuple[Fate, ...]
    cancel: float | None = None
    again: Again = ""
    lane: Lane = "bulk"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: `kill` at a time, `crash` after so many steps of the process, the others for some seconds."""

    kind: FaultKind
    at: float
    target: str = ""
    seconds: float = 0.0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole history; the seed draws the order of everything.

    `standby`: there are a second dispatcher, reader, projector and relay. `halts`: some dead letters halt the step that
    wrote them.
    """

    seed: int
    jobs: tuple[JobPlan, ...]
    faults: tuple[Fault, ...]
    standby: bool = True
    halts: bool = False

    def line(self) -> str:
        """The plan as one line, to be run again exactly."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parsed(cls, line: str) -> "Plan":
        """The plan of a line."""
        found: dict[str, Any] = json.loads(line)
        jobs = tuple(JobPlan(**job | {"pages": tuple(job["pages"])}) for job in found["jobs"])
        return cls(**found | {"jobs": jobs, "faults": tuple(Fault(**fault) for fault in found["faults"])})


def drawn(seed: int) -> Plan:
    """The plan of a seed: mostly one job, mostly of one page, one to three faults meanwhile.

    Most are small: what can go wrong goes wrong in small histories too, of which there are more in a minute.
    """
    dice = random.Random(seed * 2 + 1)
    jobs = tuple(_job(dice, number, dice.uniform(0, 0.5)) for number in range(dice.choices((1, 2, 3), (8, 1, 1))[0]))
    standby = dice.random() < 0.33
    faults = tuple(_fault(dice, standby) for _ in range(dice.choice((1, 1, 1, 2, 3))))
    halts = any("broken" in job.pages for job in jobs) and dice.random() < 0.7
    if halts:  # more comes before what is broken was given up, and while the step stands
        jobs += tuple(_job(dice, len(jobs) + more, dice.uniform(*at)) for more, at in enumerate(((0.5, 2), (4, 6))))
    return Plan(seed, jobs, faults, standby, halts)


def _job(dice: random.Random, number: int, at: float) -> JobPlan:
    pages = tuple(dice.choices(FATES, _OFTEN, k=dice.choices((1, 2, 3), (7, 2, 1))[0]))
    cancel = round(dice.uniform(0, 0.8), 3) if dice.random() < 0.12 else None
    again: Again = dice.choices(("", "redrive", "resume"), (6, 3, 1))[0]
    return JobPlan(
        ("anna", "bert")[number % 2], round(at, 3), pages, cancel, again, dice.choice(("bulk", "interactive"))
    )


def _fault(dice: random.Random, standby: bool) -> Fault:
    kind = dice.choices(FAULTS, (2, 6, 3, 1, 2, 1, 2, 2, 1, standby))[0]
    at = round(dice.uniform(0, 0.9), 3)
    target = dice.choice(targets(kind, standby=standby))
    match kind:
        case "kill" | "join" | "leave":
            return Fault(kind, at, target)
        case "crash":
            return Fault(kind, at, target, steps=dice.randint(0, 60))
        case "pause":
            return Fault(kind, at, target, seconds=dice.choice((0.5, 2.0, 4.0)))
        case "log down" | "database down" | "answers lost" | "slow commits":
            return Fault(kind, at, seconds=dice.choice((0.3, 1.0, 2.0)))
        case "repeat":
            return Fault(kind, at, steps=dice.randint(1, 5))
