"""Deterministic engines for unit tests and fault runs: the same input gives the same answer, and it means nothing."""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from PIL.Image import Image

from processors.engines.ports import Found, Region, Turn
from schemas.documents import EngineStamp
from schemas.errors import DecodeFailed

_DIMENSIONS = 384
_SIDES = 4
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath")


class FakeReader:
    """Takes `seconds` a page and finds two or three lines that follow from the picture's pixels and size.

    A page with a side of more than `_SIDES` times `det_limit_side` is beyond it, so that settings can make a
    difference.
    """

    def __init__(self, seconds: float = 0.0, det_limit_side: int = 960, model: str = "fake-reader") -> None:
        self._seconds = seconds
        self._most = det_limit_side * _SIDES
        self.stamp = EngineStamp(name="fake", model=model, version="1", digest="0" * 16)

    def load(self) -> None:
        """Nothing to load."""

    def tuned(self, settings: Mapping[str, Any]) -> Self:
        """A reader of these settings."""
        return type(self)(self._seconds, settings["det_limit_side"], settings.get("model", "fake-reader"))

    def read(self, image: Image) -> list[Found]:
        """Two or three lines, one below the other; raises `DecodeFailed` for a page that is too large."""
        if max(image.size) > self._most:
            raise DecodeFailed("the page is too large for these settings")
        time.sleep(self._seconds)
        digest = hashlib.sha256(image.tobytes()).digest()
        count = 2 + digest[0] % 2
        return [self._line(digest, number, image.height / count, image.width) for number in range(count)]

    @staticmethod
    def _line(digest: bytes, number: int, pitch: float, width: int) -> Found:
        words = [_WORDS[byte % len(_WORDS)] for byte in digest[number * 4 : number * 4 + 4]]
        left, top, right, bottom = width * 0.1, pitch * (number + 0.2), width * 0.9, pitch * (number + 0.8)
        points = ((left, top), (right, top), (right, bottom), (left, bottom))
        return Found(" ".join((*words, digest[:4].hex())), points, 1.0)


class FakeLayoutFinder:
    """Finds one text region: the whole page."""

    def __init__(self) -> None:
        self.stamp = EngineStamp(name="fake", model="fake-layout-finder", version="1", digest="0" * 16)

    def load(self) -> None:
        """Nothing to load."""

    def regions(self, image: Image) -> list[Region]:
        """The page."""
        return [Region("text", (0.0, 0.0, float(image.width), float(image.height)), 1.0)]


class FakeOrienter:
    """Says that every picture stands upright."""

    def __init__(self) -> None:
        self.stamp = EngineStamp(name="fake", model="fake-orienter", version="1", digest="0" * 16)

    def load(self) -> None:
        """Nothing to load."""

    def turn(self, image: Image) -> Turn:
        """0 degrees."""
        return Turn(0, 0.0, 1.0)


class FakeEmbedder:
    """Unit vectors that follow from the text's hash: equal texts are near, all others unrelated."""

    dimensions = _DIMENSIONS
    max_tokens = 256

    def __init__(self) -> None:
        self.stamp = EngineStamp(name="fake", model="fake-embedder", version="1", digest="0" * 16)

    def load(self) -> None:
        """Nothing to load."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """The words of each text."""
        return [len(text.split()) for text in texts]

    def tuned(self, settings: Mapping[str, Any]) -> Self:
        """The same: it knows no settings."""
        return self

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector a text."""
        return [self._vector(text) for text in texts]

    @staticmethod
    def _vector(text: str) -> tuple[float, ...]:
        raw = [byte - 127.5 for byte in hashlib.shake_256(text.encode()).digest(_DIMENSIONS)]
        length = math.sqrt(sum(value * value for value in raw))
        return tuple(value / length for value in raw)
