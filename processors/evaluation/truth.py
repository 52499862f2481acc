"""Truth made by hand for real documents, kept as text by the sha256 of the file: the files themselves are not ours."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.documents import PageRead

_FOLDER = Path(__file__).parent / "truth"


@dataclass(frozen=True, slots=True)
class PageTruth:
    """A page's lines in reading order; `region`: the part of the page that they cover, as fractions of its sides."""

    lines: tuple[str, ...]
    region: tuple[float, float, float, float] | None

    def covered(self, read: PageRead) -> Sequence[str]:
        """The lines read whose middle lies in the region."""
        if self.region is None or not read.width or not read.height:
            return [line.text for line in read.lines]
        left, top, right, bottom = self.region
        kept = []
        for line in read.lines:
            if line.box is None:
                continue
            x = (line.box[0] + line.box[2]) / 2 / read.width
            y = (line.box[1] + line.box[3]) / 2 / read.height
            if left <= x <= right and top <= y <= bottom:
                kept.append(line.text)
        return kept


def truth_of(content: bytes) -> dict[int, PageTruth]:
    """The pages of this file for which there is truth, by number; none for a file that nobody looked at."""
    file = _FOLDER / f"{hashlib.sha256(content).hexdigest()}.json"
    if not file.exists():
        return {}
    pages = json.loads(file.read_text("utf-8"))["pages"]
    return {int(number): _page(page) for number, page in pages.items()}


def _page(page: dict[str, list[str] | list[float]]) -> PageTruth:
    region = page.get("region")
    corners = tuple(map(float, region)) if region else None
    assert corners is None or len(corners) == 4
    return PageTruth(tuple(map(str, page["lines"])), corners)
