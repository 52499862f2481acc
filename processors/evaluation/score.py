"""Figures over what was read and what should have been: character errors, words found, order, regions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from processors.evaluation.samples import Known
from schemas.documents import Block, Box

_SAME_LINE = 0.8  # similarity at which a line read is taken for one that was drawn
_SAME_REGION = 0.5  # overlap (intersection over union) at which a region counts as found, as detection is scored


@dataclass(frozen=True, slots=True)
class TextScore:
    """`errors` of `characters` (edits, without blanks, in reading order), `found` of `words` (as a multiset)."""

    pages: int
    errors: int
    characters: int
    found: int
    words: int

    def __add__(self, other: "TextScore") -> "TextScore":
        return TextScore(
            self.pages + other.pages,
            self.errors + other.errors,
            self.characters + other.characters,
            self.found + other.found,
            self.words + other.words,
        )

    @property
    def cer(self) -> float:
        """Character error rate; above 1 where more was read than there is."""
        return self.errors / max(1, self.characters)

    @property
    def word_recall(self) -> float:
        """Share of the words that were read without an error, wherever they came out."""
        return self.found / self.words if self.words else 1.0


def score_text(truth: Sequence[str], read: Sequence[str]) -> TextScore:
    """Lines are joined first: engines cut them differently."""
    expected, got = " ".join(truth).split(), " ".join(read).split()
    found = sum((Counter(expected) & Counter(got)).values())
    characters = "".join(expected)
    return TextScore(1, Levenshtein.distance(characters, "".join(got)), len(characters), found, len(expected))


@dataclass(frozen=True, slots=True)
class OrderScore:
    """`tau`: Kendall's, 1 for the right order and -1 for its reverse, over the `matched` share of the lines."""

    tau: float
    matched: float

    @property
    def right(self) -> bool:
        """Whether (nearly) all lines were found, each after the one before it."""
        return self.tau == 1.0 and self.matched >= 0.9


def score_order(truth: Sequence[str], read: Sequence[str]) -> OrderScore:
    """Lines are matched by their text without blanks; those that the page shows twice are left out."""
    wanted = [_joined(line) for line in truth]
    counted = Counter(wanted)
    unique = [line for line in wanted if counted[line] == 1]
    got = [_joined(line) for line in read]
    places = [found[2] for line in unique if (found := _match(line, got))]
    pairs = [(a, b) for number, a in enumerate(places) for b in places[number + 1 :] if a != b]
    agree = sum(a < b for a, b in pairs)
    tau = (2 * agree - len(pairs)) / len(pairs) if pairs else 1.0
    return OrderScore(tau, len(places) / len(unique) if unique else 1.0)


def _joined(line: str) -> str:
    return "".join(line.split())


def _match(line: str, got: list[str]) -> tuple[str, float, int] | None:
    return process.extractOne(line, got, scorer=Levenshtein.normalized_similarity, score_cutoff=_SAME_LINE)


@dataclass(frozen=True, slots=True)
class RegionScore:
    """`overlaps`: for each known block the best intersection over union; `named`: those found as what they are."""

    overlaps: tuple[float, ...]
    named: tuple[bool, ...]


def score_regions(known: Sequence[Known], blocks: Sequence[Block]) -> RegionScore:
    """Each known block against the block read that covers it best."""
    overlaps, named = [], []
    for block in known:
        best = max(((_iou(block.box, read.box), read.kind) for read in blocks if read.box), default=(0.0, "text"))
        overlaps.append(best[0])
        named.append(best[0] >= _SAME_REGION and best[1] == block.kind)
    return RegionScore(tuple(overlaps), tuple(named))


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (_area(one) + _area(other) - width * height)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
