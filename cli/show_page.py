"""A job's result as one HTML page: what the template is told, and the rules that let the page ask for nothing."""

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cli.show_tables import cells
from schemas.documents import Block, Box, Line
from schemas.jobs import JobResult, JobView, PageResult

LOW = 0.8
"""Below this score a line is marked: most of those on real pages were misread, and on bad scans some above it."""

_HERE = Path(__file__).parent
_ORIGINS = {
    "ocr": "read off the picture",
    "text_layer": "the PDF's own text",
    "document": "the document's own text",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A box on the picture, and what is said of it."""

    id: str
    kind: str
    box: Box
    score: float
    text: str

    @property
    def label(self) -> str:
        """Its text, and its score where something had to be guessed."""
        return f"{self.text} {percent(self.score)}" if self.score < 1 else self.text

    @property
    def low(self) -> bool:
        """Whether it is to be looked at again."""
        return self.score < LOW

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, never negative."""
        return max(0.0, self.box[2] - self.box[0]), max(0.0, self.box[3] - self.box[1])


@dataclass(frozen=True, slots=True)
class Passage:
    """A block as it stands in the text: its lines' indices, or a table's cells by row."""

    kind: str
    score: float | None
    lines: tuple[int, ...]
    table: list[list[list[int]]]


def render(view: JobView, result: JobResult, pictures: Iterable[bytes | None]) -> Iterator[str]:
    """The page piece by piece; `pictures` are the PNGs of `result.pages`, each asked for when its page is written."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"clean": clean, "percent": percent, "short": short}
    style, script = ((_HERE / f"show.{kind}").read_text() for kind in ("css", "js"))
    listed = _listed(view, result)
    made = (_page(page, picture) for page, picture in zip(result.pages, pictures, strict=True))
    return environment.get_template("show.html.j2").generate(
        view=view,
        result=result,
        policy=_policy(style, script),
        style=style,
        script=script,
        low=LOW,
        engines=sorted({(page.engine.name, page.engine.model, page.engine.digest) for page in result.pages}),
        origins=_ORIGINS,
        listed=listed,
        document_errors=[error for error in result.errors if error.page == 0],
        pages=(item | next(made) if item["read"] else item for item in listed),
    )  # fmt: skip


def clean(text: str) -> str:
    """`text` without control characters; those that shape scripts and emoji stay."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)


def percent(score: float) -> str:
    """A score as whole percents, 100 only where nothing is missing."""
    return f"{int(score * 100)}%"


def short(digest: str) -> str:
    """Enough of a digest to know it by; what is no digest, whole."""
    return digest if " " in digest else digest[:12]


def confidence(lines: Sequence[Line]) -> float | None:
    """The mean score of lines, by their length; None where there is nothing to be sure of."""
    characters = sum(len(line.text) for line in lines)
    return sum(line.score * len(line.text) for line in lines) / characters if characters else None


def _policy(style: str, script: str) -> str:
    """Nothing is loaded, and nothing runs but our own: a script from a document is text even if it got in."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(it.encode()).digest()).decode() for it in (style, script)
    )
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'"
    )


def _listed(view: JobView, result: JobResult) -> list[dict[str, Any]]:
    """Every page that anything is known of, read or not."""
    states = {progress.page: progress.state for progress in view.pages}
    pages = {page.page: page for page in result.pages}
    errors = {error.page: error for error in result.errors}
    return [
        {
            "number": number,
            "state": "failed" if number in errors else states.get(number, "read" if number in pages else "queued"),
            "error": errors.get(number),
            "read": number in pages,
            "confidence": _page_confidence(pages[number]) if number in pages else None,
        }
        for number in sorted({*states, *pages, *errors} - {0})
    ]


def _page_confidence(page: PageResult) -> float | None:
    """Of a page that was read off its picture; nothing of the others was guessed."""
    return confidence(page.lines) if page.origin == "ocr" else None


def _page(page: PageResult, picture: bytes | None) -> dict[str, Any]:
    lines = [
        Mark(f"p{page.page}l{index}", "line", line.box, line.score, line.text)
        for index, line in enumerate(page.lines)
        if line.box is not None
    ]
    blocks = [
        Mark(f"p{page.page}b{index}", block.kind, block.box, block.score, block.kind)
        for index, block in enumerate(page.blocks)
        if block.box is not None
    ]
    return {
        "it": page,
        "picture": None if picture is None or page.width is None else base64.b64encode(picture).decode(),
        "lines": lines,
        "blocks": blocks,
        "label": (page.width or 0) / 78,  # of the picture's width: as large as its small print
        "passages": _passages(page),
        "low": sum(line.score < LOW for line in page.lines),
    }


def _passages(page: PageResult) -> list[Passage]:
    """The blocks in reading order, then the lines that are in none."""
    made = [_passage(block, page.lines) for block in page.blocks]
    held = {index for passage in made for index in passage.lines}
    rest = tuple(index for index in range(len(page.lines)) if index not in held)
    if rest:
        made.append(Passage("text" if not made else "outside", None, rest, []))
    return made


def _passage(block: Block, lines: Sequence[Line]) -> Passage:
    known = range(len(lines))
    table = cells([[index for index in row if index in known] for row in block.rows], lines)
    # A line of a table that is in none of its rows stands outside with the others that no block shows.
    held = [index for row in table for cell in row for index in cell] if table else block.lines
    shown = tuple(index for index in held if index in known)
    return Passage(block.kind, block.score if block.score < 1 else None, shown, table)
