"""The text that a PDF page itself holds, as lines in pixels of its picture."""

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from processors.decoding.pages import LayerLine
from processors.decoding.pdf_letters import Letter, page_letters

MOST_LINES = 2_000
"""Of one page: a newspaper page has 1,000. All of a page's lines travel in one record of the log."""

# As shares of the letters' height, which is about 1.2 times the type size:
_COLUMN_GAP = 1.0  # between pieces of one line: word gaps of justified print stay below it, gutters do not
_WORD_GAP = 0.2  # a gap from here on is a blank, where the file gives none
_SAME_BASELINE = 0.2
_RAISED = 0.5  # a footnote's mark at its word


def layer_lines(page: Any, width: int, height: int) -> list[LayerLine]:
    """The lines of a pdfium `page` whose picture has `width` x `height` pixels, top to bottom.

    Letters of one baseline make one line, but not across a column's gap. Characters without Unicode are U+FFFD.
    Empty where the page has more than `MOST_LINES` or `MOST_CHARACTERS`: it is read from its picture alone.
    """
    joined = list(_lines(_pieces(page_letters(page, width, height))))
    if len(joined) > MOST_LINES:
        return []
    lines = [_line(line.letters, width, height) for line in joined]
    return sorted(lines, key=lambda line: (line.box[1], line.box[0]))


class _Piece:
    """Letters that follow each other in the file and on the page, or pieces of one line in their order."""

    def __init__(self, letters: list[Letter]) -> None:
        self.letters = letters
        self.style = letters[0].style
        self.begin = min(letter.begin for letter in letters)
        self.end = max(letter.end for letter in letters)
        self.baseline = sorted(letter.baseline for letter in letters)[len(letters) // 2]
        self.height = max(letter.height for letter in letters)
        right_to_left = sum(unicodedata.bidirectional(letter.text[0]) in {"R", "AL"} for letter in letters)
        self.right_to_left = right_to_left > len(letters) / 2

    def near(self, following: "_Piece") -> bool:
        """Whether the piece that begins next on this baseline belongs to the same line."""
        return abs(following.begin - self.end) < _COLUMN_GAP * max(self.height, following.height)

    def join(self, following: "_Piece") -> None:
        """Take the letters of the piece that `near` holds for."""
        if following.right_to_left:
            self.letters[:0] = following.letters
        else:
            self.letters += following.letters
        self.end = max(self.end, following.end)
        self.height = max(self.height, following.height)


def _pieces(letters: Iterable[Letter]) -> Iterator[_Piece]:
    piece: list[Letter] = []
    for letter in letters:
        if piece and not _follows(piece[-1], letter):
            yield _Piece(piece)
            piece = []
        piece.append(letter)
    if piece:
        yield _Piece(piece)


def _follows(last: Letter, letter: Letter) -> bool:
    if letter.style != last.style:
        return False
    height = max(last.height, letter.height)
    gap = max(letter.begin - last.end, last.begin - letter.end)  # right to left as well
    step = abs(letter.baseline - last.baseline)
    return gap < _COLUMN_GAP * height and (
        step < _SAME_BASELINE * height or (step < _RAISED * height and gap < _WORD_GAP * height)
    )


def _lines(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Pieces of one baseline joined, where no column's gap lies between them: files hold them in any order."""
    row: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: (piece.style, piece.baseline)):
        same = (
            row and piece.style == row[0].style and piece.baseline - row[0].baseline <= _SAME_BASELINE * row[0].height
        )
        if row and not same:
            yield from _across(row)
            row = []
        row.append(piece)
    if row:
        yield from _across(row)


def _across(row: list[_Piece]) -> Iterator[_Piece]:
    row.sort(key=lambda piece: piece.begin)
    line = row[0]
    for piece in row[1:]:
        if line.near(piece):
            line.join(piece)
        else:
            yield line
            line = piece
    yield line


def _line(letters: list[Letter], width: int, height: int) -> LayerLine:
    parts = [letters[0].text]
    for last, letter in pairwise(letters):
        gap = max(letter.begin - last.end, last.begin - letter.end)
        blank = letter.spaced or gap > _WORD_GAP * max(last.height, letter.height)
        parts.append(" " + letter.text if blank else letter.text)
    whole = (
        "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    )  # pairs of surrogates are one
    x0, y0, x1, y1 = zip(*(letter.box for letter in letters), strict=True)
    box = (max(0.0, min(x0)), max(0.0, min(y0)), min(float(width), max(x1)), min(float(height), max(y1)))
    return LayerLine(whole, box, letters[0].style[1])
