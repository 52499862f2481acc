"""What a model can do, whichever technology does it. Engines are called by one thread, blocking."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.documents import EngineStamp


class Found(NamedTuple):
    """One line of text as an engine found it: `points` are (x, y) in pixels of the picture, in any order."""

    text: str
    points: tuple[tuple[float, float], ...]
    score: float


class Engine(Protocol):
    """A model with a name."""

    @property
    def stamp(self) -> EngineStamp:
        """Which engine and weights answer; known after `load()`."""
        ...

    def load(self) -> None:
        """Read the weights (seconds); harmless when done already."""
        ...


class Reader(Engine, Protocol):
    """Picture to lines of text."""

    def read(self, png: bytes, width: int, height: int) -> list[Found]:
        """The lines of one page in any order, unchecked; none for a blank page. Raises `DecodeFailed` for no PNG."""
        ...


class Embedder(Engine, Protocol):
    """Texts to vectors."""

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One L2-normalised vector of float32 values a text, in order; loads the weights if that was not done."""
        ...
