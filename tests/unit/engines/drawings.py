"""Pages whose text, places and slope are known, in mode L at 150 dpi."""

import random
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw, ImageFont

from deploy.local import samples

WIDTH, HEIGHT = 1240, 1754
TEXT = (
    "the pump at lower weir was taken out of service on Tuesday morning because our engineer had measured less flow "
    "than before and found twelve percent below what contract asks for"
)


def rendered(path: Path) -> Image.Image:
    """The first page of a PDF."""
    document = pypdfium2.PdfDocument(path)
    image: Image.Image = document[0].render(scale=150 / 72).to_pil().convert("L")
    document.close()
    return image


def blank(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    return Image.new("L", (width, height), 255)


def letter(folder: Path) -> Image.Image:
    samples.letters(folder / "letter.pdf", 1)
    return rendered(folder / "letter.pdf")


def invoice(folder: Path, seed: int = 3) -> Image.Image:
    """Scanned: soft, grey, grainy and a little askew."""
    samples.invoice(folder / "invoice.pdf", 1, seed)
    return rendered(folder / "invoice.pdf")


def lines(texts: list[str], left: int = 110, top: int = 140, pitch: int = 46, size: int = 24) -> Image.Image:
    """A page of these lines, one below the other."""
    page = blank()
    write(page, texts, left, top, pitch, size)
    return page


def write(page: Image.Image, texts: list[str], left: int, top: int, pitch: int, size: int) -> None:
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for row, text in enumerate(texts):
        draw.text((left, top + row * pitch), text, font=font, fill=20)


def sentences(count: int, words: int, seed: int = 0) -> list[str]:
    rng, vocabulary = random.Random(seed), TEXT.split()
    return [" ".join(rng.choice(vocabulary) for _ in range(words)) for _ in range(count)]


def two_columns() -> Image.Image:
    """Columns from x 120 to about 560 and from 650 to about 1090, y 160 to 1520."""
    page = blank()
    for column, left in enumerate((120, 650)):
        write(page, sentences(50, 7, column), left, 160, 27, 19)
    return page


def numbers() -> Image.Image:
    """Thirty rows of five amounts and nothing else."""
    rng, page = random.Random(0), blank()
    for column in range(5):
        write(page, [f"{rng.randrange(10**6) / 100:.2f}" for _ in range(30)], 110 + column * 210, 140, 46, 22)
    return page


def scene() -> Image.Image:
    """A picture without text: a light sky over dark ground, with blots."""
    rng = np.random.default_rng(0)
    sky = np.repeat(np.linspace(230, 180, 600)[:, None], 900, axis=1)
    picture = Image.fromarray(np.vstack([sky, rng.normal(80, 25, (600, 900))]).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for x, y, radius in rng.integers((0, 0, 5), (900, 1200, 120), (40, 3)).tolist():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(rng.integers(0, 255)))
    return picture


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """Turned anticlockwise on white paper: clockwise by `degrees` makes it stand upright again."""
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
