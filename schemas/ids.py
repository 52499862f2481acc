"""Job ids that any API process can check without a database.

`job_` + base32 of: milliseconds since 1970 (6 bytes), randomness (8), key number (1), tag (8). The tag is the first 8
bytes of HMAC-SHA256 over the first 15 bytes and the tenant, so an id that was not issued here, or was issued to
another tenant, is known at once.
"""

import base64
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from schemas.errors import NotFound

_FORM = re.compile(r"job_[a-z2-7]{36}[acegikmoqsuwy246]")  # the last character's last bit is none of the 23 bytes'


class JobIds:
    """Issues and checks job ids; `keys` maps key numbers (0 to 255) to secrets, the highest number issues."""

    def __init__(self, keys: Mapping[int, str]) -> None:
        self._keys = {number: secret.encode() for number, secret in keys.items()}
        self._current = max(self._keys)

    def issue(self, tenant: str, *, at: float | None = None) -> str:
        """A new id for `tenant`; `at` in seconds since 1970, now by default."""
        millis = int((time.time() if at is None else at) * 1000)
        body = millis.to_bytes(6, "big") + secrets.token_bytes(8) + bytes([self._current])
        return "job_" + base64.b32encode(body + self._tag(body, tenant)).decode().rstrip("=").lower()

    def check(self, job: str, tenant: str) -> datetime:
        """When the id was issued to `tenant`; raises `NotFound` for a forged or foreign one."""
        if not _FORM.fullmatch(job):
            raise NotFound("there is no such job")
        raw = base64.b32decode(job[4:].upper() + "===")
        body, tag = raw[:15], raw[15:]
        if body[14] not in self._keys or not hmac.compare_digest(tag, self._tag(body, tenant)):
            raise NotFound("there is no such job")
        return datetime.fromtimestamp(int.from_bytes(body[:6], "big") / 1000, UTC)

    def _tag(self, body: bytes, tenant: str) -> bytes:
        return hmac.digest(self._keys[body[14]], body + tenant.encode(), "sha256")[:8]
