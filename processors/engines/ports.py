"""What a model can do, whichever technology does it. Engines are called by one thread, blocking.

A picture is a decoded `PIL.Image.Image` in mode L or RGB, upright where nothing else is said; engines do not change it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, Self

from PIL.Image import Image

from schemas.documents import BlockKind, Box, EngineStamp

Degrees = Literal[0, 90, 180, 270]


class Found(NamedTuple):
    """One line of text as an engine found it: `points` are (x, y) in pixels of the picture, in any order."""

    text: str
    points: tuple[tuple[float, float], ...]
    score: float


class Region(NamedTuple):
    """One region of a page: `box` is `[x0, y0, x1, y1]` in pixels, inside the picture; `score` from 0 to 1."""

    kind: BlockKind
    box: Box
    score: float


class Turn(NamedTuple):
    """How a picture must be turned to stand upright, in degrees clockwise: quarters, then `skew`, within ±12.

    `score`, from 0 (nothing tells) to 1, is that of the quarters; a skew of 0 may mean that no lines tell.
    """

    degrees: Degrees
    skew: float
    score: float


class Engine(Protocol):
    """A model with a name."""

    @property
    def stamp(self) -> EngineStamp:
        """Which engine and weights answer; known after `load()`. Raises what `load()` raises."""
        ...

    def load(self) -> None:
        """Read the weights (seconds); harmless when done already. Raises `ModelMissing` where they are not there."""
        ...


class Reader(Engine, Protocol):
    """Picture to lines of text."""

    def tuned(self, settings: Mapping[str, Any]) -> Self:
        """The reader at a plan's settings of the step: this one, or another that the first call for it makes."""
        ...

    def read(self, image: Image) -> list[Found]:
        """The lines of one page in any order, unchecked; none for a blank page.

        Raises `DecodeFailed` for a picture that is too narrow to be read.
        """
        ...


class LayoutFinder(Engine, Protocol):
    """Picture to the regions that a page is made of."""

    def regions(self, image: Image) -> list[Region]:
        """Regions by falling score, none for a blank page.

        Two may overlap, lines may lie in none, and dense print may be called a figure.
        """
        ...


class Orienter(Engine, Protocol):
    """How a page stands."""

    def turn(self, image: Image) -> Turn:
        """What would make the picture stand upright; a finding, not an order: what is clear enough, the step says."""
        ...


class Embedder(Engine, Protocol):
    """Texts to vectors."""

    def tuned(self, settings: Mapping[str, Any]) -> Self:
        """The embedder at a plan's settings of the step: this one, or another that the first call for it makes."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that count; the rest is cut off."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before anything is cut off, those that the model adds included."""
        ...

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One L2-normalised vector of float32 values a text, in order; loads the weights if that was not done."""
        ...
