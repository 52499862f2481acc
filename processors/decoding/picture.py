"""Pages of picture files, in the child.

Nothing but pixels is taken over: what else a file holds (where it was taken, by whom, scripts) ends here.
"""

import io
from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

from processors.decoding.limits import Limits
from processors.decoding.pages import EVERY
from processors.decoding.structure import page_frames, too_many
from schemas.errors import DecodeFailed, InputError, TooManyPixels, TooNarrow, Truncated
from schemas.media import BMP, GIF, HEIC, JPEG, PNG, TIFF, WEBP

Image.MAX_IMAGE_PIXELS = None  # `check_size` is stricter, and an error where this would be a warning
_FORMATS = {PNG: "PNG", JPEG: "JPEG", TIFF: "TIFF", WEBP: "WEBP", HEIC: "HEIF", BMP: "BMP", GIF: "GIF"}
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_SCALES = (1, 255, 65535)
"""What white is in pixels wider than a byte, by the highest value: shares, bytes, or 16 bits."""


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise `TooManyPixels` or `TooNarrow` for a page beyond its caps, before a byte of it is decoded."""
    if width * height > limits.pixels:
        raise TooManyPixels(f"{width} x {height} pixels are more than the {limits.pixels} that this server decodes")
    if max(width, height) > limits.ratio * min(width, height):
        raise TooNarrow(f"{width} x {height} pixels: one side is more than {limits.ratio:g} times the other")


def open_picture(
    content: bytes, media: str, limits: Limits, wanted: slice = EVERY
) -> tuple[int, Iterator[Image.Image]]:
    """The number of pages, and each wanted page upright, in mode L or RGB, one after the other.

    A frame of an animation is a page, and so is each picture of a TIFF or HEIC file, but not a TIFF's thumbnails.
    Raises `Truncated`, `DecodeFailed`, `TooManyPages`, `TooManyPixels` or `TooNarrow`, as the iterator does.
    """
    if media == HEIC:
        _register_heic()
    try:
        frames = page_frames(content, media, limits.pages)
        image = Image.open(io.BytesIO(content), formats=(_FORMATS[media],))
        check_size(image.width, image.height, limits)
        if frames is None:
            count = getattr(image, "n_frames", 1)
            if count > limits.pages:
                raise too_many(count, limits.pages)
            frames = list(range(count))
        if not frames:
            raise DecodeFailed("the file has no picture in it")
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises all kinds of errors for damaged files
        raise _verdict(error) from error
    return len(frames), _pages(image, frames[wanted], limits)


def _register_heic() -> None:
    import pi_heif

    pi_heif.options.DECODE_THREADS = 1  # the address space of each more would count against the cap
    pi_heif.register_heif_opener()


def _pages(image: Image.Image, frames: list[int], limits: Limits) -> Iterator[Image.Image]:
    for frame in frames:
        try:
            if frame != image.tell():
                image.seek(frame)
            check_size(image.width, image.height, limits)
            image.load()
            check_size(image.width, image.height, limits)  # a HEIC file's header may say otherwise
            page = flatten(_upright(_positive(image)))
        except (InputError, MemoryError):
            raise
        except Exception as error:
            raise _verdict(error) from error
        yield page


def _verdict(error: Exception) -> InputError:
    """Pillow names the one fault that has a code of its own."""
    return Truncated() if "truncated" in str(error) else DecodeFailed()


def _positive(image: Image.Image) -> Image.Image:
    """A TIFF's 16-bit grey with white where white is meant: Pillow sees to that for fewer bits only."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or not image.mode.startswith("I;16"):
        return image
    wide = image.convert("I")
    if image.tag_v2.get(_BITS) == (12,):
        wide = wide.point(lambda value: value * 16)
    if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        wide = wide.point(lambda value: value * -1 + 65535)
    return wide.convert("I;16")


def _upright(image: Image.Image) -> Image.Image:
    """As EXIF says that it is to be seen. A TIFF or HEIC file's decoder has done so, and says 1 here."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 damaged EXIF is no reason to refuse a picture that is whole
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def flatten(image: Image.Image) -> Image.Image:
    """The same picture on white paper: L where it has no colour (a third of the bytes), else RGB."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _to_bytes(image)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.new("RGBA", image.size, "white")
        image.alpha_composite(over)
    if image.mode in ("1", "L"):
        return image.convert("L")
    colour = image.convert("RGB")
    red, green, blue = (band.tobytes() for band in colour.split())
    return colour.getchannel(0) if red == green == blue else colour


def _to_bytes(image: Image.Image) -> Image.Image:
    """L from pixels wider than a byte. Those of 32 bits have no agreed white: those that fit no scale are stretched."""
    wide = image if image.mode == "F" else image.convert("I")
    low, high = (float(value) for value in wide.getextrema())  # type: ignore[arg-type]  # one band, two numbers
    scales = (65535,) if image.mode.startswith("I;16") else _SCALES
    white = next((scale for scale in scales if low >= 0 and high <= scale), 0)
    low, span = (0.0, white) if white else (low, high - low or 1.0)
    return wide.point(lambda value: value * (255 / span) - low * 255 / span).convert("L")
