"""Pictures of PNG and JPEG files, in the child."""

import io
from collections.abc import Iterator

from PIL import Image, ImageOps

from processors.decoding.limits import Limits
from schemas.errors import DecodeFailed, TooManyPixels, Truncated
from schemas.media import ends_early

Image.MAX_IMAGE_PIXELS = None  # `check_size` is stricter, and an error where this would be a warning
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # Pillow opens 16-bit grey PNG as one of these


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise `TooManyPixels` for a picture of more pixels than the cap, before a byte of it is decoded."""
    if width * height > limits.pixels:
        raise TooManyPixels(f"{width} x {height} pixels are more than the {limits.pixels} that this server decodes")


def open_picture(content: bytes, media: str, limits: Limits) -> tuple[int, Iterator[Image.Image]]:
    """The one page of a PNG or JPEG file, upright, in mode L or RGB."""
    try:
        image = Image.open(io.BytesIO(content), formats=(_FORMATS[media],))
        check_size(image.width, image.height, limits)
        image.load()
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
        raise (Truncated() if ends_early(content, media) else DecodeFailed()) from error
    return 1, iter((flatten(ImageOps.exif_transpose(image)),))


def flatten(image: Image.Image) -> Image.Image:
    """The same picture on white paper: L where it has no colour (a third of the bytes), else RGB."""
    if image.mode in _SIXTEEN_BITS:
        image = image.convert("I").point(lambda value: value / 256)
        return image.convert("L")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.new("RGBA", image.size, "white")
        image.alpha_composite(over)
    if image.mode in ("1", "L"):
        return image.convert("L")
    colour = image.convert("RGB")
    red, green, blue = (band.tobytes() for band in colour.split())
    return colour.getchannel(0) if red == green == blue else colour
