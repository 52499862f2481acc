"""Pipelines, compiled: a plan is data, and its hash travels with every record of a job."""

import hashlib
import itertools
import json
from collections.abc import Iterable
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
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def digest(self, step: str) -> str:
        """A short digest of one step's version and settings: its parameter digest."""
        return hashlib.sha256(self._planned(step).model_dump_json().encode()).hexdigest()[:16]

    def options(self, step: str) -> dict[str, Any]:
        """One step's settings."""
        return self._planned(step).settings

    def _planned(self, step: str) -> PlannedStep:
        return next(item for item in self.steps if item.name == step)


_STEPS = (
    PlannedStep(name="prepare", version=2, settings={"dpi": 150}),
    PlannedStep(name="ocr", version=2, settings={"line_classifier": False, "det_limit_side": 960, "rec_batch": 1}),
    PlannedStep(name="chunk", version=2, settings={"max_characters": 600}),
    PlannedStep(name="embed", version=1, settings={"max_tokens": 256}),
)
INDEXES = ("pgvector", "weaviate")


def document(indexes: Iterable[str]) -> Plan:
    """The `document` pipeline as it runs where `indexes` are required (named in any order)."""
    return Plan(pipeline="document", steps=_STEPS, indexes=tuple(sorted(indexes)))


DOCUMENT = document(("pgvector",))
PLANS: dict[str, Plan] = {
    plan.hash: plan
    for count in range(1, len(INDEXES) + 1)
    for plan in map(document, itertools.combinations(INDEXES, count))
}
