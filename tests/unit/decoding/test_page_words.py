"""What the parent believes of its child: nothing that cannot be true."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from processors.decoding.decoder import Decoder
from processors.decoding.limits import Limits
from processors.decoding.page_words import blocks_bytes, layer_bytes, picture_page, text_page
from processors.decoding.pages import LayerLine, Page, PicturePage, TextBlock, TextPage
from processors.decoding.wire import send
from schemas.errors import DecodeFailed
from schemas.media import DOCX, OOXML, PNG, TEXT

LIMITS = Limits(seconds=5, seconds_per_page=5, memory=2 * 1024**3, pixels=100, pages=3, characters=50)
SHAPE: dict[str, Any] = {"width": 4, "height": 2, "mode": "L", "layer": False}
PIXELS = bytes(8)


def test_a_page_with_its_layer_comes_back_as_it_was() -> None:
    lines = [
        LayerLine("Öl für die Wehre ✓", (0.0, 0.5, 4.0, 1.25), drawn=True),
        LayerLine("x", (1.0, 0.0, 2.0, 2.0), False),
    ]
    page = picture_page(7, SHAPE, PIXELS, layer_bytes(lines), LIMITS)
    assert page == PicturePage(7, 4, 2, "L", PIXELS, tuple(lines))


def test_a_section_comes_back_as_it_was() -> None:
    blocks = (
        TextBlock("heading", ("Title",)),
        TextBlock("table", rows=(("a", ""), ("b", "c"))),
        TextBlock("text", ("x",)),
    )
    assert text_page(2, blocks_bytes(blocks)) == TextPage(2, blocks)


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 5}, {"height": 0}, {"width": -4, "height": -2}, {"width": True}, {"width": 4.0}, {"width": None},
        {"width": 10**9, "height": 10**9}, {"mode": "RGB"}, {"mode": "P"}, {"mode": ["L"]}, {"mode": None},
    ],
)  # fmt: skip
def test_a_shape_that_does_not_fit_its_pixels_is_not_believed(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"shape"):
        picture_page(1, SHAPE | changed, PIXELS, b"", LIMITS)


def test_more_pixels_than_the_cap_are_not_believed() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        picture_page(1, SHAPE, PIXELS, b"", replace(LIMITS, pixels=7))


@pytest.mark.parametrize(
    "layer",
    [
        b"{}", b"nothing", b"\xff", b"[1]", b"[[]]", b'[["x", [0, 0, 1, 1]]]', b'[["x", [0, 0, 1], true]]',
        b'[["x", [0, 0, 5, 1], true]]', b'[["x", [-1, 0, 1, 1], true]]', b'[["x", [2, 0, 1, 1], true]]',
        b'[["x", [0, 0, NaN, 1], true]]', b'[["x", [0, 0, 1, Infinity], true]]', b'[["x", [0, 0, true, 1], true]]',
        b'[["x", [0, 0, 1, 1], 1]]', b'[[3, [0, 0, 1, 1], true]]', b'[["\\u0000", [0, 0, 1, 1], true]]',
        b'[["\\ud800", [0, 0, 1, 1], true]]', b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be_is_not_believed(layer: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 any of them ends the child
        picture_page(1, SHAPE, PIXELS, layer, LIMITS)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b'[["figure", [], []]]', b'[["text", "abc", []]]', b'[["table", [], ["abc"]]]', b'[["text", []]]',
        b'[["text", ["\\u0000"], []]]', b'[["text", [1], []]]', b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_section_that_cannot_be_is_not_believed(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 any of them ends the child
        text_page(1, body)


class Liar:
    """A child that has said all its words beforehand."""

    def __init__(self, *messages: tuple[dict[str, Any], bytes]) -> None:
        self.channel, self._theirs = socket.socketpair()
        self.documents, self.idle, self.alive, self.offline = 0, True, True, True
        for header, body in messages:
            send(self._theirs, header, body)

    def ended(self, _seconds: float) -> None:
        return None

    def end(self) -> int:
        self.channel.close()
        self._theirs.close()
        self.alive = False
        return 0


@contextmanager
def told(media: str, *messages: tuple[dict[str, Any], bytes]) -> Iterator[Iterator[Page]]:
    decoder = Decoder(LIMITS)
    decoder._child = Liar(*messages)  # type: ignore[assignment]
    yield decoder.pages(b"content", media, 150)
    decoder.close()


def section(*lines: str) -> bytes:
    return json.dumps([["text", lines, []]]).encode()


@pytest.mark.parametrize(
    ("media", "beginning"),
    [
        (PNG, {"pages": 0, "media": PNG}), (PNG, {"pages": 4, "media": PNG}), (PNG, {"pages": True, "media": PNG}),
        (PNG, {"pages": "1", "media": PNG}), (PNG, {"media": PNG}), (PNG, {"pages": 1, "media": TEXT}),
        (PNG, {"pages": 1}),
        (OOXML, {"pages": 1, "media": OOXML}), (OOXML, {"pages": 1, "media": [DOCX]}), (PNG, {}),
    ],
)  # fmt: skip
def test_a_beginning_that_cannot_be_fails_the_document(media: str, beginning: dict[str, Any]) -> None:
    with told(media, (beginning, b""), (SHAPE, PIXELS)) as pages, pytest.raises(DecodeFailed):
        list(pages)


def test_more_characters_than_the_cap_fail_the_document() -> None:
    with told(TEXT, ({"pages": 2, "media": TEXT}, b""), ({}, section("x" * 50)), ({}, section("y"))) as pages:
        assert next(pages).number == 1
        with pytest.raises(DecodeFailed):
            next(pages)


def test_a_child_that_tells_what_can_be_is_believed() -> None:
    with told(OOXML, ({"pages": 2, "media": DOCX}, b""), ({}, section("one")), ({}, section("two"))) as pages:
        found = list(pages)
    assert found == [TextPage(1, (TextBlock("text", ("one",)),)), TextPage(2, (TextBlock("text", ("two",)),))]
