"""Documents by their callers' own ids: list them, look at one, delete one with all that was made of it.

An id is the rest of the path, so `a/b` and `a%2Fb` are the same one. Clients do best to percent-encode all of it: what
looks like `..` is otherwise taken out of a URL before it is sent.
"""

import time
import uuid
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator

from api.auth.doors import DocumentsRead, DocumentsWrite
from api.errors import InvalidRequest, declare
from api.parts import PartsOf
from schemas import plans, topics
from schemas.codec import encode
from schemas.documents import DocumentDropped
from schemas.envelope import NAMESPACE, Envelope, new_trace
from schemas.errors import BadRequest, DependencyDown, LogUnavailable, NotFound
from schemas.jobs import DocumentDeletion, DocumentList, DocumentView
from schemas.paging import PageQuery
from schemas.printable import printable

router = APIRouter(prefix="/v1/documents", tags=["documents"])
_Id = Annotated[str, Path(min_length=1, max_length=256, description="The document's id."), AfterValidator(printable)]


@router.get("", responses=declare(BadRequest, InvalidRequest, DependencyDown))
async def document_list(query: Annotated[PageQuery, Query()], who: DocumentsRead, parts: PartsOf) -> DocumentList:
    """The caller's documents, the one submitted last first; a document is listed once the projector has seen it."""
    return await parts.jobs.documents(who.tenant, query.after, query.limit)


@router.get("/{document:path}", responses=declare(NotFound, InvalidRequest, DependencyDown))
async def document_view(document: _Id, who: DocumentsRead, parts: PartsOf) -> DocumentView:
    """A document's newest submission, and which revision searches find."""
    view = await parts.jobs.document(who.tenant, document)
    if view is None:
        raise NotFound("there is no such document")
    return view


@router.delete("/{document:path}", status_code=202, responses=declare(NotFound, InvalidRequest, LogUnavailable))
async def document_deletion(document: _Id, who: DocumentsWrite, parts: PartsOf) -> DocumentDeletion:
    """Delete every revision that was submitted until now: passages, results, pictures and uploads; running jobs stop.

    202 once the log has confirmed the order; it is carried out soon after. The log alone is asked, so an unknown id is
    accepted as well: perhaps its job is on the log and in no database yet. What is submitted later is kept.
    """
    at = time.time()
    through = int(at * 1_000_000)
    envelope = Envelope(
        id=uuid.uuid5(NAMESPACE, f"{who.tenant}/{document}|deleted|{through}"),
        kind=DocumentDropped.kind(),
        at=datetime.fromtimestamp(at, UTC),
        job="",
        run=1,
        part=0,
        tenant=who.tenant,
        plan=plans.document(parts.settings.indexes).hash,
        document=document,
        revision=through,
        traceparent=new_trace(),
    )
    await parts.publisher.publish([encode(topics.DOCUMENTS.name, envelope, DocumentDropped(reason="deleted"))])
    return DocumentDeletion(document_id=document, through=through)
