"""The worst pages as pictures, with what was read drawn over them."""

import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image, ImageDraw

from processors.evaluation.product import Product
from processors.evaluation.run import Scored
from processors.evaluation.truth import PageTruth
from schemas.documents import PageRead

_LINE, _BLOCK, _REGION = (200, 30, 30), (30, 90, 200), (20, 140, 60)
_MOST = 8


def draw_worst(
    pages: Iterable[Scored], badness: Callable[[Scored], float], product: Product, folder: Path
) -> list[str]:
    """Write the worst pages that are not right as PNG into `folder`, the worst first; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("[0-9][0-9]-*.png"):
        left.unlink()
    paths: list[str] = []
    for page in sorted((page for page in pages if badness(page) > 0), key=badness, reverse=True)[:_MOST]:
        png = product.png(page.prepared) if page.prepared else None
        if png is None or page.read is None:
            continue
        name = re.sub(r"[^A-Za-z0-9._-]", "_", page.file)[:100]
        path = folder / f"{len(paths) + 1:02d}-{name}-p{page.page}.png"
        drawn(png, page.read, page.truth).save(path, compress_level=1)
        paths.append(str(path))
    return paths


def drawn(png: bytes, read: PageRead, truth: PageTruth) -> Image.Image:
    """Lines in red, numbered in reading order, blocks in blue with their kind, the truth's region in green."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for block in read.blocks:
        if block.box:
            draw.rectangle(block.box, outline=_BLOCK, width=3)
            draw.text((block.box[2], block.box[1]), f"{block.kind} {block.score:.2f}", fill=_BLOCK, anchor="rb")
    for number, line in enumerate(read.lines, 1):
        if line.box:
            left, top, _, bottom = line.box
            draw.rectangle(line.box, outline=_LINE)
            draw.text((left - 2, (top + bottom) / 2), f"{number} ({line.score:.2f})", fill=_LINE, anchor="rm")
    if truth.region:
        left, top, right, bottom = truth.region
        corners = (left * image.width, top * image.height, right * image.width, bottom * image.height)
        draw.rectangle(corners, outline=_REGION, width=3)
    return image
