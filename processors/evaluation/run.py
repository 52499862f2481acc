"""Every page with truth through the product, scored."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from processors.evaluation.product import Prepared, Product
from processors.evaluation.samples import Known, samples
from processors.evaluation.score import OrderScore, RegionScore, TextScore, score_order, score_regions, score_text
from processors.evaluation.truth import PageTruth, truth_of
from schemas.documents import PageRead
from schemas.errors import HeadraceError

_EXPECTED = Path(__file__).parent / "outcomes.json"


class Case(NamedTuple):
    """A file, the truth of some of its pages by number, and, of a drawn page, its blocks."""

    name: str
    group: str
    content: bytes
    truth: dict[int, PageTruth]
    blocks: tuple[Known, ...] = ()


class Outcome(NamedTuple):
    """What a file came to: `succeeded`, `partial`, or the code that it failed with; `expected` where that is known."""

    file: str
    sha256: str
    outcome: str
    pages: int
    expected: str | None


@dataclass(frozen=True, slots=True)
class Scored:
    """One page with truth. `error` is the code where the page, or its file, failed: then nothing was read."""

    file: str
    group: str
    page: int
    text: TextScore
    order: OrderScore
    regions: RegionScore | None
    prepared: Prepared | None
    read: PageRead | None
    truth: PageTruth
    error: str | None


def rendered(*, quick: bool) -> Iterator[Case]:
    """The drawn pages, one a file."""
    for sample in samples(quick=quick):
        yield Case(sample.name, sample.group, sample.content, {1: PageTruth(sample.lines, None)}, sample.blocks)


def documents(folder: Path) -> Iterator[Case]:
    """The files of a folder, by name; those without truth come to an outcome alone."""
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        content = file.read_bytes()
        yield Case(file.name, "data", content, truth_of(content))


class Evaluation:
    """Takes cases through the product; `outcomes` grows by one a file, and `tell` gets a line for it."""

    def __init__(self, product: Product, tell: Callable[[str], None] = lambda _line: None) -> None:
        self.product = product
        self.outcomes: list[Outcome] = []
        self._tell = tell
        self._expected: dict[str, Any] = json.loads(_EXPECTED.read_text("utf-8"))

    def scored(self, cases: Iterable[Case]) -> Iterator[Scored]:
        """The pages with truth; raises `DependencyDown` and whatever else is no document's fault."""
        for case in cases:
            yield from self._case(case)

    def _case(self, case: Case) -> Iterator[Scored]:
        error, pages = "", []
        try:
            pages = self.product.pages(case.content, case.name)
        except HeadraceError as failure:
            error = _code(failure)
        reads = [self._read(page) for page in pages]
        failed = [read for read in reads if isinstance(read, str)]
        outcome = error or ("succeeded" if not failed else "partial" if len(failed) < len(reads) else failed[0])
        self._keep(case, outcome, len(pages))
        by_number = {page.number: (page, read) for page, read in zip(pages, reads, strict=True)}
        for number, truth in case.truth.items():
            yield _scored(case, number, truth, *by_number.get(number, (None, error or "not_found")))

    def _read(self, page: Prepared) -> PageRead | str:
        try:
            return self.product.read(page)
        except HeadraceError as failure:
            return _code(failure)

    def _keep(self, case: Case, outcome: str, pages: int) -> None:
        sha256 = hashlib.sha256(case.content).hexdigest()
        expected = self._expected.get(sha256, {}).get("outcome")
        self.outcomes.append(Outcome(case.name, sha256, outcome, pages, expected))
        self._tell(f"{case.name}: {outcome}, {pages} pages, {len(case.truth)} with truth")


def _code(error: HeadraceError) -> str:
    if error.fate == "hold":
        raise error
    return error.code


def _scored(case: Case, number: int, truth: PageTruth, page: Prepared | None, read: PageRead | str) -> Scored:
    done = read if isinstance(read, PageRead) else None
    lines = truth.covered(done) if done else ()
    return Scored(
        file=case.name,
        group=case.group,
        page=number,
        text=score_text(truth.lines, lines),
        order=score_order(truth.lines, lines),
        regions=score_regions(case.blocks, done.blocks if done else ()) if case.blocks else None,
        prepared=page,
        read=done,
        truth=truth,
        error=None if isinstance(read, PageRead) else read,
    )
