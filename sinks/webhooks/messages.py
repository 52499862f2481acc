"""From an event of `headrace.results` to the message that endpoints are sent, its bytes the same for every attempt."""

from typing import Any

from pydantic import BaseModel

from schemas.documents import Payload
from schemas.envelope import Envelope
from schemas.results import DocumentDeleted, JobEnded, PageEnded
from schemas.webhooks import MOST_BYTES, body, message_id
from schemas.work import Task


class Message(BaseModel):
    """A message as a row; `thin` and `whole` are its two bodies (JSON)."""

    id: str
    tenant: str
    type: str
    job: str
    document_id: str
    revision: int
    at: str
    thin: str
    whole: str


def message_of(task: Task, public_url: str) -> Message | None:
    """The message that an event makes, None for an event that webhooks do not tell of (a newer release's).

    `public_url`, where callers reach the API, stands before each path; without it paths are told alone.
    """
    envelope, payload = task.envelope, task.payload
    kind = _type(payload)
    if kind is None:
        return None
    at = envelope.at.isoformat()
    about, more = _data(envelope, payload, public_url)
    return Message(
        id=message_id(envelope.id),
        tenant=envelope.tenant,
        type=kind,
        job=envelope.job,
        document_id=envelope.document,
        revision=envelope.revision,
        at=at,
        thin=body(kind, at, about),
        whole=_whole(kind, at, {**about, **more}),
    )


def _whole(kind: str, at: str, data: dict[str, Any]) -> str:
    whole = body(kind, at, data)
    if len(whole.encode()) > MOST_BYTES and "text" in data:
        return body(kind, at, {**data, "text": None})
    return whole


def _type(payload: Payload) -> str | None:
    match payload:
        case JobEnded():
            return f"job.{payload.state}"
        case PageEnded():
            return f"page.{payload.state}"
        case DocumentDeleted():
            return "document.deleted"
        case _:
            return None


def _data(envelope: Envelope, payload: Payload, public_url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a thin body says, and what a full one says beside that."""
    document = {"document_id": envelope.document, "revision": envelope.revision}
    if isinstance(payload, DocumentDeleted):
        return document, {}
    told = payload.model_dump(mode="json")
    for name in ("result", "image"):
        told[name] = _absolute(told.get(name), public_url)
    about = {"job": envelope.job, "run": envelope.run, **({"page": envelope.part} if envelope.part else {}), **document}
    thin = {name: told.pop(name) for name in ("state", "result", "metadata", "tags") if name in told}
    return about | thin, {name: value for name, value in told.items() if name != "image" or value is not None}


def _absolute(path: Any, public_url: str) -> Any:
    if isinstance(path, dict):
        return {**path, "url": public_url + path["url"]}
    return None if path is None else public_url + path
