"""The rendered set: pages drawn here, so that every character on them is known. Drawn with Pillow's own font."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from schemas.documents import BlockKind, Box

Group = Literal["upright", "turned", "skewed"]
_POINTS = 72
_A4 = (595, 842)  # points
_MARGIN = 62
_WORDS = """
the water board asks for a written report before the end of this month because pump number three at the lower
weir was stopped twice and nobody found out why its bearing ran hot our engineer measured flow again with new
gauges and wrote down what he saw please send drawings of your intake screen together with an invoice we will
check each bolt against values from that manual then mark them in paint night shift heard some noise near
gearbox so they called divers who cleared trash rack on Friday morning under clean sky Inspection showed no
cracks wider than one hair Turbine runner leaves works next spring if weather holds all spare parts should
arrive by lorry within five days
""".split()  # noqa: SIM905 a list of a hundred quoted words is no text to read
_GOODS = (
    "Steel bracket M8", "Bearing housing 6204", "Hydraulic hose 12 mm", "Gasket set, viton", "Relay 24 V DC",
    "Cable gland PG16", "Control unit CU-7", "Filter cartridge 5 um", "Ball valve DN25", "Pressure gauge 10 bar",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A block that was drawn: `box` in pixels."""

    kind: BlockKind
    box: Box


@dataclass(frozen=True, slots=True)
class Sample:
    """One page as a file, and what it shows: `lines` in reading order, a table's cell by cell.

    `blocks` are told only where the file is upright and straight to the pixel.
    """

    name: str
    group: Group
    content: bytes
    lines: tuple[str, ...]
    blocks: tuple[Known, ...]


@cache
def _font(pixels: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(pixels)


@dataclass
class _Page:
    dpi: int
    image: Image.Image = field(init=False)
    lines: list[str] = field(default_factory=list)
    blocks: list[Known] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = Image.new("L", (self.px(_A4[0]), self.px(_A4[1])), 255)

    def px(self, points: float) -> int:
        return round(points * self.dpi / _POINTS)

    def font(self, points: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return _font(points * self.dpi / _POINTS)

    def write(self, x: float, y: float, text: str, points: float) -> Box:
        """Draw one line with its top left at (x, y) points; its box in pixels."""
        draw, font, place = ImageDraw.Draw(self.image), self.font(points), (self.px(x), self.px(y))
        draw.text(place, text, font=font, fill=20)
        self.lines.append(text)
        return draw.textbbox(place, text, font=font)

    def block(self, kind: BlockKind, boxes: list[Box]) -> None:
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        self.blocks.append(Known(kind, (min(lefts), min(tops), max(rights), max(bottoms))))

    def paragraph(self, x: float, y: float, width: float, words: list[str], points: float) -> float:
        """Draw `words` in lines of `width` points; where the next line would stand."""
        boxes = []
        for line in self._fitted(words, width, points):
            boxes.append(self.write(x, y, line, points))
            y += points * 1.4
        self.block("text", boxes)
        return y

    def _fitted(self, words: list[str], width: float, points: float) -> Iterator[str]:
        font, line = self.font(points), ""
        for word in words:
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > self.px(width):
                yield line
                longer = word
            line = longer
        yield line


def samples(*, quick: bool = False) -> Iterator[Sample]:
    """24 pages (3 kinds, 4 qualities, 2 texts), then 9 turned by quarters and 15 skewed by 1 to 5 degrees.

    `quick`: 3 of each group. The same call gives the same bytes.
    """
    kinds = tuple(_DRAWN)
    for seed in range(1 if quick else 2):
        for kind in kinds:
            for dpi, scanned in ((150, False),) if quick else ((150, False), (200, False), (150, True), (100, False)):
                yield _upright(kind, dpi, scanned, seed)
    turns = (90, 180, 270)
    for number, kind in enumerate(kinds):
        for degrees in turns[number : number + 1] if quick else turns:
            yield _rotated(kind, "turned", degrees, number + 10)
    for number, kind in enumerate(kinds):
        for degrees in ((2, -3, 5)[number],) if quick else (1, -2, 3, -4, 5):
            yield _rotated(kind, "skewed", degrees, number + 20)


def _upright(kind: str, dpi: int, scanned: bool, seed: int) -> Sample:
    page = _drawn(kind, dpi, seed)
    name = f"{kind}-{dpi}-{'scan' if scanned else 'clean'}-{seed}"
    if scanned:
        content = _scan(page.image, random.Random(seed))  # noqa: S311 a drawing, not a secret
        return Sample(f"{name}.jpg", "upright", content, tuple(page.lines), ())
    return Sample(f"{name}.png", "upright", _png(page.image), tuple(page.lines), tuple(page.blocks))


def _rotated(kind: str, group: Group, degrees: int, seed: int) -> Sample:
    page = _drawn(kind, 150, seed)
    turned = page.image.rotate(-degrees, Image.Resampling.BICUBIC, expand=group == "turned", fillcolor=255)
    side = "right" if degrees > 0 else "left"
    return Sample(f"{kind}-{group}-{side}-{abs(degrees)}.png", group, _png(turned), tuple(page.lines), ())


def _drawn(kind: str, dpi: int, seed: int) -> _Page:
    page = _Page(dpi)
    _DRAWN[kind](page, random.Random(f"{kind} {seed}"))  # noqa: S311
    return page


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _scan(image: Image.Image, rng: random.Random) -> bytes:
    """The page as a poor office scanner gives it back: askew, soft, grey, grainy, JPEG of quality 40."""
    turned = image.rotate(rng.choice((-1.2, 1.2)), Image.Resampling.BICUBIC, fillcolor=250)
    soft = turned.filter(ImageFilter.GaussianBlur(0.8)).point(lambda value: 20 + value * 0.82)
    grain = Image.frombytes("L", image.size, rng.randbytes(image.width * image.height))
    grey = ImageChops.add(soft, grain.point(lambda value: value * 0.19), offset=-24)
    file = io.BytesIO()
    grey.save(file, "JPEG", quality=40)
    return file.getvalue()


def _letter(page: _Page, rng: random.Random) -> None:
    page.block("heading", [page.write(_MARGIN, 60, "Millbrook Hydraulics Ltd", 20)])
    address = (
        "17 Weir Lane, Millbrook MB4 2TR",
        f"Reference MH-{rng.randrange(99999):05d}",
        f"office{rng.randrange(99)}@millbrook.example",
    )
    page.block("text", [page.write(_MARGIN, 98 + 15 * row, line, 11) for row, line in enumerate(address)])
    y = 170.0
    for _ in range(5):
        y = page.paragraph(_MARGIN, y, _A4[0] - 2 * _MARGIN, rng.choices(_WORDS, k=95), 11) + 16


def _invoice(page: _Page, rng: random.Random) -> None:
    page.block("heading", [page.write(_MARGIN, 60, "INVOICE", 20)])
    facts = (
        f"Invoice No. INV-{rng.randrange(10**6):06d}",
        f"Date 2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
    )
    page.block("text", [page.write(_MARGIN, 98 + 15 * row, line, 10) for row, line in enumerate(facts)])
    rows = [("Item", "Description", "Qty", "Unit", "Total")]
    for _ in range(26):
        count, cents = rng.randrange(2, 60), rng.randrange(100, 99_999)
        code = f"{rng.choice('ABCDEFGH')}{rng.randrange(1000, 9999)}"
        rows.append((code, rng.choice(_GOODS), str(count), f"{cents / 100:.2f}", f"{count * cents / 100:.2f}"))
    draw, boxes = ImageDraw.Draw(page.image), []
    for number, row in enumerate(rows):
        y = 160 + 21 * number
        boxes += [page.write(x, y, text, 10) for x, text in zip((_MARGIN, 130, 330, 390, 460), row, strict=True)]
        rule = (page.px(_MARGIN), page.px(y + 16), page.px(_A4[0] - _MARGIN), page.px(y + 16))
        draw.line(rule, fill=120)
        boxes.append(rule)
    page.block("table", boxes)


def _columns(page: _Page, rng: random.Random) -> None:
    page.block("heading", [page.write(_MARGIN, 56, "On the care of weirs and water wheels", 18)])
    width = (_A4[0] - 2 * _MARGIN - 24) / 2
    for column in range(2):
        x, y = _MARGIN + column * (width + 24), 100.0
        for _ in range(4):
            y = page.paragraph(x, y, width, rng.choices(_WORDS, k=80), 9) + 13


_DRAWN = {"letter": _letter, "invoice": _invoice, "columns": _columns}
