"""The decoding child: `python -m processors.decoding.child FD PARENT LIMITS`; one document after another.

It trusts nothing that it reads and is trusted by nobody: it answers with raw pixels and with text, and the parent
checks every word.
"""

import json
import os
import socket
import sys
from itertools import islice

from PIL import Image

from processors.decoding.limits import Limits
from processors.decoding.page_words import blocks_bytes, layer_bytes
from processors.decoding.pages import LayerLine
from processors.decoding.pdf import open_pdf
from processors.decoding.picture import open_picture
from processors.decoding.wire import Header, receive, send
from schemas.errors import DecodeFailed, HeadraceError
from schemas.media import DOCUMENTS, PDF

_DOCUMENT_MOST = 2**32 - 1  # the upload limit is the parent's to hold


def serve(channel: socket.socket, limits: Limits, *, offline: bool) -> None:
    """Answer documents until the parent closes the channel."""
    send(channel, {"ready": os.getpid(), "offline": offline})
    while True:
        try:
            header, content = receive(channel, most=_DOCUMENT_MOST)
        except EOFError:
            return
        try:
            _answer(channel, header, content, limits)
        except HeadraceError as error:
            send(channel, {"error": error.code, "detail": error.detail, "idle": True})
        except MemoryError:  # from here on, nobody knows what state the decoders are in: the parent takes another child
            send(channel, {"error": DecodeFailed.code, "detail": "decoding the file takes more memory than it may use"})
        except Exception:  # noqa: BLE001 whatever a decoder raises on untrusted bytes, that document is at fault
            send(channel, {"error": DecodeFailed.code, "detail": DecodeFailed.title})


def _answer(channel: socket.socket, asked: Header, content: bytes, limits: Limits) -> None:
    media, wanted = asked["media"], slice(asked["first"] - 1, asked["last"])
    limits.grant(0)
    if media in DOCUMENTS:
        from processors.decoding.office.parse import open_office  # half the children never need its parsers

        found, count, sections = open_office(content, media, limits)
        _begin(channel, found, count, limits)
        for section in islice(sections, wanted.start, wanted.stop):
            send(channel, {"section": section.number}, blocks_bytes(section.blocks))
    elif media == PDF:
        count, pages = open_pdf(content, asked["dpi"], limits, wanted)
        _begin(channel, media, count, limits)
        for picture, lines in pages:
            _send_picture(channel, picture, lines)
    else:
        count, pictures = open_picture(content, media, limits, wanted)
        _begin(channel, media, count, limits)
        for picture in pictures:
            _send_picture(channel, picture, [])


def _begin(channel: socket.socket, media: str, count: int, limits: Limits) -> None:
    limits.grant(count)
    send(channel, {"pages": count, "media": media})


def _send_picture(channel: socket.socket, picture: Image.Image, lines: list[LayerLine]) -> None:
    layer = layer_bytes(lines)
    shape = {"width": picture.width, "height": picture.height, "mode": picture.mode, "layer": bool(layer)}
    send(channel, shape, picture.tobytes())
    if layer:  # a message of its own: cutting it off the pixels would copy them
        send(channel, {}, layer)


def main() -> None:
    """Bind this process to its limits, then serve."""
    descriptor, parent, limits = sys.argv[1:]
    bounds = Limits(**json.loads(limits))
    with socket.socket(fileno=int(descriptor)) as channel:
        offline = bounds.confine(int(parent))
        os.dup2(0, 2)  # /dev/null: libraries quote documents in their warnings, and stderr is the worker's log
        serve(channel, bounds, offline=offline)


if __name__ == "__main__":
    main()
