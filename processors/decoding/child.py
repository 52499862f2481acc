"""The decoding child: `python -m processors.decoding.child FD PARENT LIMITS`; one document after another.

It trusts nothing that it reads and is trusted by nobody: it answers with raw pixels, whose size the parent checks.
"""

import json
import os
import socket
import sys

from processors.decoding.limits import Limits
from processors.decoding.pdf import open_pdf
from processors.decoding.picture import open_picture
from processors.decoding.wire import receive, send
from schemas.errors import DecodeFailed, HeadraceError
from schemas.media import PDF

_DOCUMENT_MOST = 2**32 - 1  # the upload limit is the parent's to hold


def serve(channel: socket.socket, limits: Limits) -> None:
    """Answer documents until the parent closes the channel."""
    send(channel, {"ready": os.getpid()})
    while True:
        try:
            header, content = receive(channel, most=_DOCUMENT_MOST)
        except EOFError:
            return
        try:
            _answer(channel, header["media"], content, header["dpi"], limits)
        except HeadraceError as error:
            send(channel, {"error": error.code, "detail": error.detail})
        except MemoryError:
            send(channel, {"error": DecodeFailed.code, "detail": "decoding the file takes more memory than it may use"})
        except Exception:  # noqa: BLE001 whatever a decoder raises on untrusted bytes, that document is at fault
            send(channel, {"error": DecodeFailed.code, "detail": DecodeFailed.title})


def _answer(channel: socket.socket, media: str, content: bytes, dpi: int, limits: Limits) -> None:
    limits.grant(0)
    count, pictures = open_pdf(content, dpi, limits) if media == PDF else open_picture(content, media, limits)
    limits.grant(count)
    send(channel, {"pages": count})
    for picture in pictures:
        shape = {"width": picture.width, "height": picture.height, "mode": picture.mode}
        send(channel, shape, picture.tobytes())


def main() -> None:
    """Bind this process to its limits, then serve."""
    descriptor, parent, limits = sys.argv[1:]
    bounds = Limits(**json.loads(limits))
    with socket.socket(fileno=int(descriptor)) as channel:
        bounds.confine(int(parent))
        serve(channel, bounds)


if __name__ == "__main__":
    main()
