"""The API over in-memory ports in a process of its own: `python -m tests.api.serve FD UPLOAD_LIMIT`.

Tenant `other` has too much waiting.
"""

import hashlib
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import uvicorn

from api.app import create_app
from api.slow_heads import HTTP
from schemas.control import LaneLoad, LoadReport
from schemas.documents import Claim
from schemas.errors import TooLarge
from tests.fakes import FakeBlobs, FakeLoad, World


@dataclass
class CountedBlobs(FakeBlobs):
    """Counts and hashes as the real store does, and keeps nothing: what the process holds is the API's own."""

    async def write(self, key: str, content: AsyncIterator[bytes], *, limit: int) -> Claim:
        size, digest = 0, hashlib.sha256()
        async for chunk in content:
            size += len(chunk)
            digest.update(chunk)
            if size > limit:
                raise TooLarge
        return Claim(key=key, sha256=digest.hexdigest(), size=size)


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    full = LoadReport(at=datetime(9999, 1, 1, tzinfo=UTC), bulk=LaneLoad(waiting={"other": 10**6 - 1}))
    world = World(blobs=CountedBlobs(), upload_limit=int(sys.argv[2]), load=FakeLoad(full))
    app = create_app(world.parts())
    uvicorn.Server(uvicorn.Config(app, **HTTP, log_config=None, timeout_graceful_shutdown=1)).run([listener])


if __name__ == "__main__":
    main()
