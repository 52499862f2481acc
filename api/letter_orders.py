"""Orders about dead letters: checked at the door, and put on the log for the dispatcher to carry out."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from api.errors import FieldProblem, InvalidRequest
from api.parts import Parts
from api.planning import announce
from schemas import plans, topics
from schemas.codec import KINDS, encode
from schemas.dead_letters import Chosen, LettersTaken, foreign
from schemas.documents import DiscardRequested, Edits, Payload, RedriveRequested
from schemas.envelope import Envelope, new_trace
from schemas.errors import LetterClosed, NotFound
from schemas.plans import PLANS, Plan
from schemas.ports import ChosenLetter
from schemas.records import Outgoing

_MOST = 100_000  # letters of one order
_AT_ONCE = 1000  # of one record


async def redriven(
    chosen: Chosen, edits: Edits, tenant: str, parts: Parts, *, by: str, alone: bool = False
) -> LettersTaken:
    """Order that letters be tried again; `alone`: one of which the caller must be told that it is closed.

    The plans that edits make lie on the log before the order does. Raises `NotFound`, `LetterClosed`,
    `InvalidRequest` for edits that cannot be made, `LogUnavailable`, `DependencyDown`.
    """
    found = await _meant(chosen, tenant, parts, alone=alone)
    _check_payload(edits, found, tenant)
    made = _planned(edits, found)
    await announce(made.values(), parts)
    orders = [RedriveRequested(letters=ids, edits=edits, by=by) for ids in _batches(found)]
    await parts.publisher.publish([_order(order, tenant, parts) for order in orders])
    return LettersTaken(taken=len(found), plans={old: plan.hash for old, plan in made.items()})


async def discarded(chosen: Chosen, tenant: str, parts: Parts, *, by: str, alone: bool = False) -> LettersTaken:
    """Order that letters be closed; raises as `redriven`."""
    found = await _meant(chosen, tenant, parts, alone=alone)
    orders = [DiscardRequested(letters=ids, by=by) for ids in _batches(found)]
    await parts.publisher.publish([_order(order, tenant, parts) for order in orders])
    return LettersTaken(taken=len(found))


async def _meant(chosen: Chosen, tenant: str, parts: Parts, *, alone: bool) -> list[ChosenLetter]:
    """The open ones; raises `NotFound` where one that is named is not the tenant's."""
    found = await parts.letters.chosen(tenant, chosen, _MOST)
    if len(found) < len(set(chosen.letters)):
        raise NotFound("there is no such dead letter")
    still = [letter for letter in found if letter.state == "open"]
    if alone and not still:
        raise LetterClosed
    return still


def _check_payload(edits: Edits, found: Sequence[ChosenLetter], tenant: str) -> None:
    if edits.payload is None:
        return
    if len(found) != 1:
        raise _wrong("/edits/payload", "one_letter", "a payload replaces that of one letter alone")
    kind = found[0].kind.split(".")[1] if found[0].kind else ""
    if kind not in KINDS:
        raise _wrong("/edits/payload", "unreadable", "the letter is of no kind whose payload is known")
    try:
        KINDS[kind].model_validate(edits.payload)
    except ValidationError as error:
        raise InvalidRequest.of(
            [{**detail, "loc": ("edits", "payload", *detail["loc"])} for detail in error.errors()]
        ) from error
    if strange := foreign(edits.payload, tenant):
        raise _wrong(f"/edits/payload{strange}", "foreign", "these bytes are none of the caller's")


def _planned(edits: Edits, found: Sequence[ChosenLetter]) -> dict[str, Plan]:
    """The plans that the edits make of the letters' own, by those; none without edits."""
    if not edits.settings:
        return {}
    made: dict[str, Plan] = {}
    for name in sorted({letter.plan for letter in found}):
        if name not in PLANS:
            raise _wrong("/edits/settings", "unknown_plan", f"this release does not know the plan {name}")
        wrong = [_fault(*fault) for fault in plans.faults(PLANS[name], edits.settings)]
        if wrong:
            raise InvalidRequest(wrong)
        made[name] = plans.edited(PLANS[name], edits.settings)
    return made


def _fault(step: str, setting: str, why: str) -> FieldProblem:
    pointer = f"/edits/settings/{step}" + (f"/{setting}" if setting else "")
    return FieldProblem(pointer=pointer, code="setting", detail=why)


def _wrong(pointer: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(pointer=pointer, code=code, detail=detail)])


def _batches(found: Sequence[ChosenLetter]) -> Iterator[tuple[uuid.UUID, ...]]:
    for begin in range(0, len(found), _AT_ONCE):
        yield tuple(letter.id for letter in found[begin : begin + _AT_ONCE])


def _order(payload: Payload, tenant: str, parts: Parts) -> Outgoing:
    envelope = Envelope(
        id=uuid.uuid4(),
        kind=payload.kind(),
        at=datetime.now(UTC),
        job="",
        run=1,
        part=0,
        tenant=tenant,
        plan=plans.document(parts.settings.indexes).hash,
        document="",
        traceparent=new_trace(),
    )
    return encode(topics.REDRIVES.name, envelope, payload)
