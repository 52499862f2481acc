"""Dead letters: records that were rejected. Look at them, try them again, perhaps differently, or let them be."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.auth.doors import LettersRead, LettersWrite, audited
from api.errors import InvalidRequest, declare
from api.json_route import JsonRoute
from api.letter_orders import discarded, redriven
from api.letter_views import shown
from api.parts import PartsOf
from schemas.dead_letters import (
    CauseList,
    Chosen,
    ChosenToRedrive,
    LetterFilter,
    LetterList,
    LetterQuery,
    LettersTaken,
    LetterView,
)
from schemas.documents import Edits
from schemas.errors import BadRequest, DependencyDown, LetterClosed, LogUnavailable, NotFound

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], route_class=JsonRoute)
_READING = declare(BadRequest, InvalidRequest, DependencyDown)
_ONE = declare(NotFound, InvalidRequest, DependencyDown)
_ORDER = declare(BadRequest, NotFound, LetterClosed, InvalidRequest, LogUnavailable, DependencyDown)


@router.get("", responses=_READING)
async def letter_list(query: Annotated[LetterQuery, Query()], who: LettersRead, parts: PartsOf) -> LetterList:
    """The caller's dead letters, newest first, open or not."""
    return await parts.letters.letters(who.tenant, query)


@router.get("/causes", responses=_READING)
async def letter_causes(where: Annotated[LetterFilter, Query()], who: LettersRead, parts: PartsOf) -> CauseList:
    """The caller's open dead letters by what went wrong, each with the newest of them as an example."""
    return await parts.letters.causes(who.tenant, where)


@router.get("/{letter}", responses=_ONE)
async def letter_view(letter: uuid.UUID, who: LettersRead, parts: PartsOf) -> LetterView:
    """One dead letter with its envelope, its payload, what the job tells of its page, and what was done about it."""
    found = await parts.letters.letter(who.tenant, letter)
    if found is None:
        raise NotFound("there is no such dead letter")
    return await shown(found, parts.blobs)


@router.post("/redrive", status_code=202, responses=_ORDER)
async def redrive(request: Request, chosen: ChosenToRedrive, who: LettersWrite, parts: PartsOf) -> LettersTaken:
    """Try open dead letters again, each page as a run above all that its job has had; perhaps with other settings.

    Named letters that are closed already are passed over. What was done about each stands in its `audit`.
    """
    return await redriven(chosen, chosen.edits, who.tenant, parts, by=audited(request, who))


@router.post("/discard", status_code=202, responses=_ORDER)
async def discard(request: Request, chosen: Chosen, who: LettersWrite, parts: PartsOf) -> LettersTaken:
    """Close open dead letters without trying them again."""
    return await discarded(chosen, who.tenant, parts, by=audited(request, who))


@router.post("/{letter}/redrive", status_code=202, responses=_ORDER)
async def redrive_one(
    request: Request, letter: uuid.UUID, who: LettersWrite, parts: PartsOf, edits: Edits | None = None
) -> LettersTaken:
    """Try one open dead letter again, perhaps with other settings or another payload."""
    chosen = Chosen(letters=(letter,))
    return await redriven(chosen, edits or Edits(), who.tenant, parts, by=audited(request, who), alone=True)


@router.post("/{letter}/discard", status_code=202, responses=_ORDER)
async def discard_one(request: Request, letter: uuid.UUID, who: LettersWrite, parts: PartsOf) -> LettersTaken:
    """Close one open dead letter without trying it again."""
    return await discarded(Chosen(letters=(letter,)), who.tenant, parts, by=audited(request, who), alone=True)
