"""Dead letters as callers see them: records that were rejected, with what happened and what was done about it."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from schemas.documents import Edits
from schemas.given import NO_CONTROLS, Moment, OnlyTrue
from schemas.jobs import JobEvent
from schemas.paging import PageQuery

LetterState = Literal["open", "redriven", "discarded"]
Action = Literal["redriven", "discarded", "superseded", "refused", "erased"]
_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8,}\b|\b[0-9a-f]{4}(?:-[0-9a-f]{4,12}){1,4}\b|\d+(?:[.,]\d+)*")


class LetterSummary(BaseModel):
    """A dead letter in a list. `page` 0 is the document as a whole; `cause` is the same for what failed alike."""

    id: uuid.UUID
    state: LetterState
    job: str
    document_id: str
    page: int
    run: int
    plan: str
    kind: str
    step: str
    code: str
    detail: str
    cause: str
    attempt: int
    at: AwareDatetime
    position: str = Field(description="Where the record lay on the log: topic[partition]@offset.")


class LetterAction(BaseModel):
    """One line of a letter's audit. `run` is the run that was begun; `reason` says why nothing was done."""

    action: Action
    by: str
    at: AwareDatetime
    run: int | None = None
    reason: str = ""
    edits: dict[str, Any] = {}


class LetterView(LetterSummary):
    """A dead letter whole. `payload` is null where the record's bytes are none of ours, or were erased."""

    envelope: dict[str, Any]
    payload: dict[str, Any] | None
    story: list[JobEvent] = Field(description="What the job's events tell of this page.")
    audit: list[LetterAction]


class LetterList(BaseModel):
    """`GET /v1/dead-letters`, newest first. `next`: the cursor that `after` takes for the following page."""

    data: list[LetterSummary]
    has_more: bool
    next: str | None = None


class LetterFilter(BaseModel):
    """Which dead letters are meant; those that nothing rules out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: Annotated[str, Field(max_length=64), NO_CONTROLS] | None = None
    step: Annotated[str, Field(max_length=64), NO_CONTROLS] | None = None
    code: Annotated[str, Field(max_length=64), NO_CONTROLS] | None = None
    cause: Annotated[str, Field(max_length=16), NO_CONTROLS] | None = None
    since: Moment | None = None
    until: Moment | None = None


class LetterQuery(LetterFilter, PageQuery):
    """What a list of dead letters is to hold."""

    state: tuple[LetterState, ...] = ()


class Cause(BaseModel):
    """Dead letters that failed alike: how many are open, since when, and one of them to look at."""

    cause: str
    step: str
    code: str
    detail: str
    letters: int
    first: AwareDatetime
    last: AwareDatetime
    example: uuid.UUID


class CauseList(BaseModel):
    """`GET /v1/dead-letters/causes`: of open letters, the most frequent first."""

    data: list[Cause]


class Chosen(BaseModel):
    """Open dead letters: by id, by what they have in common, or all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    letters: tuple[uuid.UUID, ...] = Field(default=(), max_length=1000)
    where: LetterFilter | None = None
    all: OnlyTrue | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.letters) + (self.where is not None) + bool(self.all) != 1:
            raise ValueError("give either `letters`, or `where`, or `all`")
        return self


class ChosenToRedrive(Chosen):
    """Which open dead letters are to be tried again, and what is to be different."""

    edits: Edits = Edits()


class LettersTaken(BaseModel):
    """An order was accepted: how many letters it names. `plans` are those that it makes, by the plan they replace."""

    taken: int
    plans: dict[str, str] = {}


def cause_of(step: str, code: str, detail: str) -> str:
    """The fingerprint of how something failed: numbers, ids and what is quoted make no difference."""
    alike = " ".join(_VARIES.sub("#", detail.lower()).split())
    return hashlib.sha256(f"{step}|{code}|{alike}".encode()).hexdigest()[:16]


def foreign(payload: Any, tenant: str, at: str = "") -> str:
    """Where in a payload (a JSON pointer) bytes are named that are not below the tenant's own; empty for nowhere."""
    if isinstance(payload, Mapping):
        key = payload.get("key")
        if "sha256" in payload and not (isinstance(key, str) and key.startswith(f"{tenant}/") and ".." not in key):
            return f"{at}/key"
        return next(filter(None, (foreign(value, tenant, f"{at}/{name}") for name, value in payload.items())), "")
    if isinstance(payload, list):
        return next(filter(None, (foreign(value, tenant, f"{at}/{place}") for place, value in enumerate(payload))), "")
    return ""
