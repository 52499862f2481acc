"""A dead letter as a caller is shown it: its bytes as words where they are ours."""

import json
from typing import Any

from producers.claims import redeem
from schemas.codec import KINDS
from schemas.dead_letters import LetterView
from schemas.envelope import Envelope
from schemas.errors import DependencyDown, HeadraceError, RecordError
from schemas.ports import BlobStore, StoredLetter
from schemas.records import Record


async def shown(letter: StoredLetter, blobs: BlobStore) -> LetterView:
    """The whole letter; raises `DependencyDown` where its payload was put aside and the store does not answer."""
    try:
        envelope = Envelope.from_headers(letter.record.headers)
    except RecordError:
        return _view(letter, {}, None)
    payload = await _payload(letter.record, blobs) if envelope.name in KINDS else None
    return _view(letter, envelope.model_dump(mode="json"), payload)


def _view(letter: StoredLetter, envelope: dict[str, Any], payload: dict[str, Any] | None) -> LetterView:
    told = {"envelope": envelope, "payload": payload, "story": list(letter.story), "audit": list(letter.audit)}
    return LetterView(**letter.summary.model_dump(), **told)


async def _payload(record: Record, blobs: BlobStore) -> dict[str, Any] | None:
    try:
        found = json.loads((await redeem(record, blobs)).value or b"")
    except DependencyDown:
        raise
    except (HeadraceError, ValueError):  # put aside and gone, or never JSON
        return None
    return found if isinstance(found, dict) else None
