"""Documents to try things on, with the text that they show.

Drawn with Pillow's own font: a slim machine has none.
"""

import ctypes
import random
import string
from dataclasses import dataclass, field
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

_DPI = 150
_A4 = (1240, 1754)  # pixels at 150 dpi
_LEFT, _RIGHT = 110, 1130
_GOODS = (
    "Steel bracket M8", "Bearing housing 6204", "Hydraulic hose 12 mm", "Gasket set, viton", "Relay 24 V DC",
    "Cable gland PG16", "Control unit CU-7", "Filter cartridge 5 um", "Ball valve DN25", "Pressure gauge 10 bar",
)  # fmt: skip
_SENTENCES = (
    "Thank you for your letter of last week about the delivery of the spare parts.",
    "The pump at the lower weir was taken out of service on Tuesday morning.",
    "Our engineer measured the flow again and found it twelve percent below the contract.",
    "We ask you to confirm the date on which the new turbine runner will leave your works.",
    "The water board wants a written report before the end of the month.",
    "Please send the drawings of the intake screen together with the invoice.",
    "All bolts were tightened to the values of the manual and marked with paint.",
    "The night shift heard a noise from the gearbox, and stopped the machine at once.",
    "A second inspection of the concrete wall showed no cracks wider than a hair.",
    "If the weather holds, the divers can clear the trash rack on Friday.",
)


@dataclass
class _Page:
    """A white A4 page and the lines of text drawn on it, in reading order."""

    image: Image.Image = field(default_factory=lambda: Image.new("L", _A4, 255))
    lines: list[str] = field(default_factory=list)

    def write(self, y: int, *cells: tuple[int, str], size: int = 24, right: bool = False) -> None:
        """One row: cells at their x; with `right`, all cells but the first end there instead."""
        draw = ImageDraw.Draw(self.image)
        font = ImageFont.load_default(size)
        for number, (x, text) in enumerate(cells):
            draw.text((x, y), text, font=font, fill=25, anchor="ra" if right and number > 1 else "la")
        self.lines.append(" ".join(text for _, text in cells))

    def rule(self, y: int, width: int = 2) -> None:
        """A line across the page."""
        ImageDraw.Draw(self.image).line((_LEFT, y, _RIGHT, y), fill=90, width=width)


def invoice(path: Path, pages: int = 2, seed: int = 0) -> list[list[str]]:
    """Write a PDF of `pages` scanned-looking invoice pages (A4, 150 dpi, JPEG inside); returns the lines of each page.

    The same seed gives the same invoice. Cells of a table row are one line, joined by blanks.
    """
    rng = random.Random(seed)  # noqa: S311 a drawing, not a secret
    drawn = [_invoice_page(number, pages, seed, rng) for number in range(1, pages + 1)]
    _save(path, [_scan(page.image, rng) for page in drawn], quality=72)
    return [page.lines for page in drawn]


def letters(path: Path, pages: int) -> list[list[str]]:
    """Write a PDF of `pages` clean A4 text pages at 150 dpi; returns the lines of each page."""
    drawn = [_letter_page(number) for number in range(1, pages + 1)]
    _save(path, [page.image for page in drawn], quality=95)
    return [page.lines for page in drawn]


def photograph(path: Path, seed: int = 0) -> list[str]:
    """Write a JPEG of a letter on a dark table, photographed sideways under a lamp; returns its lines."""
    rng = random.Random(seed)  # noqa: S311 a drawing, not a secret
    page = _letter_page(1 + seed)
    table = Image.new("L", (_A4[0] + 160, _A4[1] + 160), 70)
    table.paste(page.image, (80, 80))
    turned = table.rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC, fillcolor=70)
    lamp = Image.radial_gradient("L").resize(table.size).point(lambda value: 255 - value * 0.3)
    lit = ImageChops.multiply(turned.filter(ImageFilter.GaussianBlur(0.6)), lamp)
    lit.transpose(Image.Transpose.ROTATE_90).save(path, "JPEG", quality=80)
    return page.lines


def fax(path: Path, pages: int = 3) -> list[list[str]]:
    """Write a black-and-white TIFF of `pages` letters (CCITT group 4, 150 dpi); returns the lines of each page."""
    drawn = [_letter_page(number) for number in range(1, pages + 1)]
    first, *others = (page.image.convert("1", dither=Image.Dither.NONE) for page in drawn)
    first.save(path, "TIFF", save_all=True, append_images=others, compression="group4", dpi=(_DPI, _DPI))
    return [page.lines for page in drawn]


def typed(path: Path) -> list[str]:
    """Write a PDF of one A4 page whose text is text, as a word processor leaves it; returns its lines."""
    lines = ["Millbrook Hydraulics Ltd, typed letter", *_SENTENCES]
    document = pypdfium2.PdfDocument.new()
    page = document.new_page(595, 842)
    for number, line in enumerate(lines):
        words = pdfium.FPDFPageObj_NewTextObj(document.raw, b"Helvetica", 16 if number == 0 else 11)
        wide = ctypes.create_string_buffer(line.encode("utf-16-le") + b"\0\0")
        pdfium.FPDFText_SetText(words, ctypes.cast(wide, ctypes.POINTER(ctypes.c_ushort)))
        pdfium.FPDFPageObj_Transform(words, 1, 0, 0, 1, 72, 760 - 26 * number)
        pdfium.FPDFPage_InsertObject(page.raw, words)
    page.gen_content()
    document.save(path)
    document.close()
    return lines


def _save(path: Path, images: list[Image.Image], quality: int) -> None:
    images[0].save(path, "PDF", save_all=True, append_images=images[1:], resolution=_DPI, quality=quality)


def _invoice_page(number: int, pages: int, seed: int, rng: random.Random) -> _Page:
    page = _Page()
    page.write(110, (_LEFT, "Millbrook Hydraulics Ltd"), (860, "INVOICE"), size=44)
    page.write(180, (_LEFT, "17 Weir Lane, Millbrook MB4 2TR"), (860, f"Number MH-{2000 + seed:05d}"))
    page.write(215, (_LEFT, "accounts@millbrook.example"), (860, f"Page {number} of {pages}"))
    page.rule(270, 4)
    page.write(300, (_LEFT, "Bill to: Headrace Power Station"), (860, "Date 2026-03-14"))
    page.write(335, (_LEFT, "Lower Sluice Road 3, Eastwater EW1 9QX"), (860, "Due in 30 days"))
    _table(page, rng)
    return page


def _table(page: _Page, rng: random.Random) -> None:
    y, total = 420, 0
    page.write(
        y, (_LEFT, "Item"), (260, "Description"), (800, "Quantity"), (960, "Price"), (_RIGHT, "Amount"), right=True
    )
    page.rule(y + 36)
    for _ in range(22):
        y += 46
        item = f"{rng.choice(string.ascii_uppercase)}{rng.randrange(1000, 9999)}"
        quantity, price = rng.randrange(2, 60), rng.randrange(150, 40_000)
        total += quantity * price
        page.write(
            y, (_LEFT, item), (260, rng.choice(_GOODS)), (800, str(quantity)), (960, _money(price)),
            (_RIGHT, _money(quantity * price)), right=True,
        )  # fmt: skip
        page.rule(y + 36, 1)
    page.write(y + 70, (_LEFT, "Page total"), (800, "EUR"), (_RIGHT, _money(total)), size=30, right=True)
    page.write(y + 130, (_LEFT, "Goods stay our property until they are paid for in full."))


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _letter_page(number: int) -> _Page:
    page = _Page()
    page.write(130, (_LEFT, f"Millbrook Hydraulics Ltd, letter {number}"), size=34)
    for row in range(30):
        page.write(230 + row * 46, (_LEFT, _SENTENCES[(row * 3 + number) % len(_SENTENCES)]))
    return page


def _scan(image: Image.Image, rng: random.Random) -> Image.Image:
    """The page as an office scanner gives it back: a little askew, soft, grey and grainy."""
    turned = image.rotate(rng.uniform(-0.6, 0.6), Image.Resampling.BICUBIC, fillcolor=255)
    soft = turned.filter(ImageFilter.GaussianBlur(0.7)).point(lambda value: 28 + value * 0.84)
    grain = Image.frombytes("L", _A4, rng.randbytes(_A4[0] * _A4[1])).filter(ImageFilter.GaussianBlur(0.6))
    return ImageChops.add(soft, grain.point(lambda value: value * 0.25), offset=-32)
