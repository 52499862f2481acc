"""The API over in-memory ports in a process of its own: `python -m tests.api.serve FD UPLOAD_LIMIT`."""

import hashlib
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import uvicorn

from api.app import create_app
from schemas.documents import Claim
from schemas.errors import TooLarge
from tests.fakes import FakeBlobs, World


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
    app = create_app(World(blobs=CountedBlobs(), upload_limit=int(sys.argv[2])).parts())
    uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)).run([listener])


if __name__ == "__main__":
    main()
