"""The engines that the settings ask for: `real`, `fake`, or `sleep:SECONDS` (a fake that takes its time)."""

from processors.engines.fakes import FakeEmbedder, FakeLayoutFinder, FakeOrienter, FakeReader
from processors.engines.minilm_embedder import MiniLmEmbedder
from processors.engines.picodet_layout_finder import PicoDetLayoutFinder
from processors.engines.ports import Embedder, LayoutFinder, Orienter, Reader
from processors.engines.rapid_orienter import RapidOrienter
from processors.engines.rapidocr_reader import RapidOcrReader
from schemas.plans import DOCUMENT
from schemas.settings import Settings


def reader(settings: Settings) -> Reader:
    """The reader, not loaded yet; raises `ValueError` for an engine setting that is none."""
    kind, seconds = _kind(settings)
    if kind == "real":
        return RapidOcrReader(settings.models / "ocr-v4", **DOCUMENT.options("ocr"))
    return FakeReader(seconds)


def layout_finder(settings: Settings) -> LayoutFinder:
    """The layout finder, not loaded yet; raises `ValueError` for an engine setting that is none."""
    kind, _ = _kind(settings)
    return PicoDetLayoutFinder(settings.models / "layout") if kind == "real" else FakeLayoutFinder()


def orienter(settings: Settings) -> Orienter:
    """The orienter, not loaded yet; raises `ValueError` for an engine setting that is none."""
    kind, _ = _kind(settings)
    return RapidOrienter(settings.models / "orientation") if kind == "real" else FakeOrienter()


def embedder(settings: Settings) -> Embedder:
    """The embedder, not loaded yet; raises `ValueError` for an engine setting that is none."""
    kind, _ = _kind(settings)
    if kind == "real":
        return MiniLmEmbedder(settings.models / "minilm", **DOCUMENT.options("embed"))
    return FakeEmbedder()


def _kind(settings: Settings) -> tuple[str, float]:
    kind, _, seconds = settings.engines.partition(":")
    if kind == "sleep":
        return kind, float(seconds)
    if seconds or kind not in ("real", "fake"):
        raise ValueError(f"engines must be real, fake or sleep:SECONDS, not {settings.engines!r}")
    return kind, 0.0
