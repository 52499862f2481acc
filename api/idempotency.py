"""`Idempotency-Key`: a submission that is sent again is one job (draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel

from api.uploads import Upload
from schemas.errors import BadRequest, DependencyDown
from schemas.failpoints import Failpoints
from schemas.ports import Submissions

_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-+\--:<-\[\]-~]+")
_MOST = 255
_Answer = TypeVar("_Answer", bound=BaseModel)


def parsed(given: str | None) -> str | None:
    """The key in a header, None where there is none; raises `BadRequest` for one that is empty, too long or no key.

    A quoted one is a string of structured fields (RFC 9651); a bare one is what deployed clients send.
    """
    if given is None:
        return None
    text = given.strip()
    quoted, bare = _QUOTED.fullmatch(text), _BARE.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text if bare else ""
    if not 0 < len(key) <= _MOST:
        raise BadRequest(f"Idempotency-Key must be a string of 1 to {_MOST} visible ASCII characters")
    return key


def fingerprint(upload: Upload, span: float | None) -> str:
    """What makes two submissions the same: the bytes, their name, the fields beside them, and the time given."""
    said = [upload.claim.sha256, upload.filename, upload.fields.model_dump(mode="json"), span]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


async def carried(
    book: Submissions,
    failpoints: Failpoints,
    tenant: str,
    name: str,
    job: str,
    publish: Callable[[str], Awaitable[_Answer]],
) -> _Answer:
    """The answer to a submission whose key was taken for `job`, which `publish` puts on the log.

    Of who is killed before it is noted, the next repeat publishes under the same id, and all that follows from it is
    the same.
    """
    failpoints.reach("decided", job)
    try:
        answer = await publish(job)
    except BaseException:
        await _quietly(book.give_up(tenant, name, job))
        raise
    failpoints.reach("released", job)
    await _quietly(book.done(tenant, name, job, answer.model_dump_json()))
    return answer


async def _quietly(noted: Awaitable[None]) -> None:
    """A job that is on the log is accepted, whatever can be noted of it: a repeat publishes the same once more."""
    try:
        await noted
    except DependencyDown:
        return
