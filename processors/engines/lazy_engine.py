"""What every engine with weights does the same way: it loads once, when asked or when first needed."""

from abc import ABC, abstractmethod

from schemas.documents import EngineStamp


class LazyEngine(ABC):
    """An `Engine` whose weights are read by `_open`, once."""

    _stamp: EngineStamp | None = None

    @property
    def stamp(self) -> EngineStamp:
        """The model, the release of what runs it, and a digest of its weights; raises what `load` raises."""
        self.load()
        assert self._stamp is not None
        return self._stamp

    def load(self) -> None:
        """Read the weights (up to 1 s); raises `ModelMissing` with what to do."""
        if self._stamp is None:
            self._stamp = self._open()

    @abstractmethod
    def _open(self) -> EngineStamp:
        """Read the weights and keep what runs them; its stamp."""
