"""A caller's document, from the socket into the blob store: counted, hashed, durable, at most 1 MiB of it in memory."""

import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from api.errors import InvalidRequest
from api.forms import StreamedForm
from schemas.chunks import beginning, rejoined
from schemas.documents import Claim
from schemas.envelope import Lane
from schemas.errors import TooLarge, UnsupportedMedia
from schemas.labels import Metadata, Tags
from schemas.media import HEAD, media_type
from schemas.ports import BlobStore
from schemas.printable import printable

_FORM_BYTES = 64 * 1024  # boundaries, part headers and small fields around the file
MOST_SECONDS = 30 * 24 * 3600
_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def addressable(text: str) -> str:
    """`text` itself; raises ValueError for what no client can put at the end of a URL."""
    if text in {".", ".."}:
        raise ValueError("must not be . or ..")
    return text


DocumentId = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(printable), AfterValidator(addressable)]


class SubmitFields(BaseModel):
    """The fields beside `file`: the caller's name for the document, its lane, how long the answer is wanted; and what
    the caller writes on the job: `metadata` is a JSON object of strings, `tags` are names by commas. `plan` is the hash
    of a plan that an earlier job ran by, `model` what reads its pages; without them it is what this server does now.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    document_id: DocumentId | None = Field(default=None, examples=["invoices/2026-114"])
    lane: Lane = "interactive"
    metadata: Metadata | None = Field(default=None, examples=['{"order": "7"}'])
    tags: Tags | None = Field(default=None, examples=["archive,2026"])
    plan: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$", examples=["5e0c1b2a3d4f5e6a"])
    model: Literal["PP-OCRv6 small", "PP-OCRv4 mobile"] | None = None
    deadline_seconds: float | None = Field(default=None, gt=0, le=MOST_SECONDS, allow_inf_nan=False, examples=[3600])


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored document and what its caller said of it."""

    claim: Claim
    filename: str
    fields: SubmitFields


async def receive(
    request: Request, blobs: BlobStore, key: str, limit: int, spend: Callable[[int], Awaitable[None]]
) -> Upload:
    """Store the document of a submit request under `key`; when this raises, nothing is kept.

    `spend` is told its size in bytes, before it is read where the request declares one; what it raises ends all.

    Raises the errors of `StreamedForm`, `EmptyInput`, `UnsupportedMedia`, `TooLarge` past `limit` bytes, and
    `DependencyDown` from the store.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMedia("send the form without a Content-Encoding")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        if int(declared) > limit + _FORM_BYTES:
            raise TooLarge(f"the file is larger than {limit} bytes")
        await spend(int(declared))
    body = _Body(request.receive, limit + _FORM_BYTES)
    form = StreamedForm(body, request.headers.get("content-type", ""), SubmitFields.model_fields)
    await form.until_file()
    content = form.content()
    head = await beginning(content, HEAD)
    media_type(head)  # refused at the door; the decoder has the last word, much later
    claim = await blobs.write(key, rejoined(head, content), limit=limit)
    try:
        await form.finish()
        if not declared.isdecimal():
            await spend(claim.size)
        return Upload(claim, clean_filename(form.filename), SubmitFields.model_validate(form.fields))
    except BaseException as error:
        await blobs.delete(key)
        if isinstance(error, ValidationError):
            raise InvalidRequest.of(error.errors()) from error
        raise


def clean_filename(name: str) -> str:
    """The last path component without controls, formatting, surrogates and line separators, at most 255 characters.

    It is shown to people and never used as a path.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = last.isascii() and last.isprintable()
    kept = last if plain else "".join(each for each in last if unicodedata.category(each) not in _UNSEEN)
    kept = kept.strip()
    return "" if kept in {".", ".."} else kept[:255]


class _Body(AsyncIterator[bytes]):
    """The chunks of a body of at most `limit` bytes: one without a Content-Length cannot be checked beforehand.

    No generator: nobody reads behind the form's end, and asyncio closes each generator that is let go of in a task.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._ended = False

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        self._ended = not message.get("more_body", False)
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge
        return chunk
