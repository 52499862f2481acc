"""A job's pages: what was read on one, and its picture as the pipeline made it upright, never what the caller sent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Request, Response

from api.auth.doors import JobsRead
from api.errors import InvalidRequest, declare
from api.etags import is_known
from api.parts import Parts, PartsOf
from api.v1.jobs import view_of
from schemas.documents import Claim
from schemas.errors import (
    BlobMissing,
    Conflict,
    DecodeFailed,
    DependencyDown,
    Gone,
    HeadraceError,
    NotFound,
)
from schemas.jobs import MOST_PAGES, TERMINAL, PageResult

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_PNG = b"\x89PNG\r\n\x1a\n"
# A redrive may replace the picture under the same path, so a cached one is asked for again, by its ETag.
_CACHE = "private, no-cache"
_Found = TypeVar("_Found")
_Page = Annotated[int, Path(ge=1, le=MOST_PAGES)]


@router.get(
    "/{job}/pages/{page}",
    responses=declare(NotFound, Conflict, Gone, InvalidRequest, DependencyDown),
)
async def page_result(job: str, page: _Page, who: JobsRead, parts: PartsOf) -> PageResult:
    """What was read on one page, as soon as it was; 404 where the document has no such page, 409 until it was read."""
    issued = parts.ids.check(job, who.tenant)
    found = await _found(parts, who.tenant, job, page, issued, lambda: parts.jobs.page(who.tenant, job, page))
    if found is None:
        raise NotFound("the page could not be read, or the document has no such page")
    return found


@router.get(
    "/{job}/pages/{page}/image",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}}},
        304: {"description": "The picture is the one that `If-None-Match` names."},
        **declare(NotFound, Conflict, Gone, InvalidRequest, DependencyDown),
    },
)
async def page_image(request: Request, job: str, page: _Page, who: JobsRead, parts: PartsOf) -> Response:
    """The upright picture that a page's boxes are drawn on; 404 where the page has none, 409 until it was read."""
    issued = parts.ids.check(job, who.tenant)
    claim = await _found(parts, who.tenant, job, page, issued, lambda: parts.jobs.picture(who.tenant, job, page))
    if claim is None:
        raise NotFound("the page has no picture")
    headers = {"ETag": f'"{claim.sha256}"', "Cache-Control": _CACHE}
    if is_known(request.headers.get("if-none-match", ""), claim.sha256):
        return Response(status_code=304, headers=headers)
    content = await _picture(parts, claim, f"{who.tenant}/{job}/pages/")
    headers["Content-Disposition"] = f'attachment; filename="page-{page}.png"'
    return Response(content, headers=headers, media_type="image/png")


async def _found(
    parts: Parts, tenant: str, job: str, page: int, issued: datetime, ask: Callable[[], Awaitable[_Found | None]]
) -> _Found | None:
    """What is kept of a page, None where it has none; raises `Conflict` until it was read, `Gone` when deleted."""
    found = await ask()
    if found is not None:
        return found
    view = await view_of(job, tenant, parts, issued)
    if view.deleted:
        raise Gone("the job's document was deleted")
    known = {progress.page: progress.state for progress in view.pages}
    counted = view.pages_total is not None
    if view.state not in TERMINAL and known.get(page, "none" if counted else "queued") == "queued":
        raise Conflict("the page has not been read yet", retry_after=1)
    # Again, after its state was read: the page may have been read between the two.
    return await ask()


async def _picture(parts: Parts, claim: Claim, folder: str) -> bytes:
    """The PNG of a claim, checked whole before its first byte is sent."""
    if not claim.key.startswith(folder):
        raise HeadraceError("the page's picture is not where pictures lie")
    try:
        content = await asyncio.to_thread(parts.blobs.read, claim)
    except BlobMissing as error:
        raise Gone("the page's picture is no longer kept") from error
    except DecodeFailed as error:  # of a caller's input elsewhere; here it is our own store's fault
        raise HeadraceError("the page's picture is damaged") from error
    if not content.startswith(_PNG):
        raise HeadraceError("the page's picture is no PNG")
    return content
