"""Pipelines, compiled: a plan is data, and its hash travels with every record of a job.

This release's own plans are `PLANS` from the start; those that callers make by editing one lie on `headrace.control`,
and every process that decodes records puts them here as it hears of them.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class PlannedStep(BaseModel):
    """One step of a plan: its version and the engine settings that its results depend on."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    settings: dict[str, Any] = {}


class Plan(BaseModel):
    """A pipeline as it runs. `indexes` names the indexes that a job needs before it has succeeded."""

    model_config = ConfigDict(frozen=True)

    pipeline: str
    steps: tuple[PlannedStep, ...]
    indexes: tuple[str, ...]

    @property
    def hash(self) -> str:
        """The first 16 hex digits of sha256 over the plan's canonical JSON."""
        return _hash(self.model_dump_json())  # not a cached property, which a changed copy of the plan would inherit

    def digest(self, step: str) -> str:
        """A short digest of one step's version and settings: its parameter digest."""
        return hashlib.sha256(self._planned(step).model_dump_json().encode()).hexdigest()[:16]

    def options(self, step: str) -> dict[str, Any]:
        """One step's settings."""
        return self._planned(step).settings

    def _planned(self, step: str) -> PlannedStep:
        return next(item for item in self.steps if item.name == step)


@lru_cache(maxsize=1024)
def _hash(plan: str) -> str:
    canonical = json.dumps(json.loads(plan), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


_STEPS = (
    PlannedStep(name="prepare", version=2, settings={"dpi": 150}),
    PlannedStep(name="ocr", version=2, settings={"line_classifier": False, "det_limit_side": 960, "rec_batch": 1}),
    PlannedStep(name="chunk", version=2, settings={"max_characters": 600}),
    PlannedStep(name="embed", version=1, settings={"max_tokens": 256}),
)
INDEXES = ("pgvector", "weaviate")


def document(indexes: Iterable[str]) -> Plan:
    """The `document` pipeline as it runs where `indexes` are required (named in any order)."""
    return _document(tuple(sorted(indexes)))


@cache
def _document(indexes: tuple[str, ...]) -> Plan:
    return Plan(pipeline="document", steps=_STEPS, indexes=indexes)


DOCUMENT = document(("pgvector",))
PLANS: dict[str, Plan] = {
    plan.hash: plan
    for count in range(1, len(INDEXES) + 1)
    for plan in map(document, itertools.combinations(INDEXES, count))
}

_EXTENTS: dict[tuple[str, str], tuple[int, int]] = {
    ("prepare", "dpi"): (50, 600),
    ("ocr", "det_limit_side"): (320, 6400),
    ("ocr", "rec_batch"): (1, 32),
    ("chunk", "max_characters"): (100, 10_000),
    ("embed", "max_tokens"): (16, 256),
}
"""What a setting that is a number may be edited to: neither nonsense nor a way to take the machine down."""
OCR_MODELS = ("PP-OCRv6 small", "PP-OCRv4 mobile")
_CHOICES: dict[tuple[str, str], tuple[str, ...]] = {("ocr", "model"): OCR_MODELS}
"""Settings that no plan of a release names, as each takes the first of these; an edit may take another."""
Changes = Mapping[str, Mapping[str, Any]]


def learn(name: str, content: bytes) -> None:
    """Know the plan of this hash from now on; what is no plan, or not of this hash, is a newer release's: ignored."""
    with contextlib.suppress(ValueError):
        plan = Plan.model_validate_json(content)
        if plan.hash == name:
            PLANS[name] = plan


def faults(plan: Plan, changes: Changes) -> Iterator[tuple[str, str, str]]:
    """Step, setting (empty where the step itself is at fault) and what is wrong, of each change that cannot be made."""
    steps = {step.name: step for step in plan.steps}
    for name, wanted in changes.items():
        if name not in steps:
            yield name, "", f"the plan has the steps {', '.join(steps)}"
            continue
        known = steps[name].settings
        for setting, value in wanted.items():
            choices = _CHOICES.get((name, setting), ())
            if setting not in known and not choices:
                more = [chosen for step, chosen in _CHOICES if step == name]
                yield name, setting, f"{name} has the settings {', '.join([*known, *more])}"
            elif choices and value not in choices:
                yield name, setting, f"it is one of {', '.join(choices)}"
            elif not choices and (wrong := _wrong((name, setting), known[setting], value)):
                yield name, setting, wrong


def edited(plan: Plan, changes: Changes) -> Plan:
    """The plan with other settings; raises `ValueError` for the first of its faults."""
    for step, setting, wrong in faults(plan, changes):
        raise ValueError(f"{step}.{setting}: {wrong}" if setting else f"{step}: {wrong}")
    steps = [step.model_copy(update={"settings": _merged(step, changes.get(step.name, {}))}) for step in plan.steps]
    return plan.model_copy(update={"steps": tuple(steps)})


def _merged(step: PlannedStep, changes: Mapping[str, Any]) -> dict[str, Any]:
    settings = {**step.settings, **changes}
    return {name: value for name, value in settings.items() if value != _CHOICES.get((step.name, name), (None,))[0]}


def _wrong(name: tuple[str, str], known: Any, value: Any) -> str:
    if type(value) is not type(known):
        return f"it is of type {type(known).__name__}, as in {json.dumps(known)}"
    least, most = _EXTENTS.get(name, (0, 0))
    return f"it is from {least} to {most}" if name in _EXTENTS and not least <= value <= most else ""
