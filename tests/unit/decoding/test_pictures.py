"""Picture files of every kind, opened as the child does it."""

import io
import struct
import zlib
from contextlib import suppress
from dataclasses import replace

import pytest
from PIL import Image, PngImagePlugin

from processors.decoding.limits import Limits
from processors.decoding.picture import open_picture
from schemas.errors import DecodeFailed, TooManyPages, TooManyPixels, TooNarrow, Truncated, UnsupportedMedia
from schemas.media import TEXT, TIFF, media_type
from tests.unit.decoding.documents import (
    HEIC_PAIR,
    HEIC_TURNED,
    RED,
    animation,
    chunk,
    drawing,
    frames,
    huge_png,
    saved,
    small_files,
)  # fmt: skip

LIMITS = Limits(seconds=20, seconds_per_page=5, memory=2 * 1024**3, pixels=50_000_000, pages=20)
FILES = small_files()


def pages(content: bytes, limits: Limits = LIMITS) -> list[Image.Image]:
    count, pictures = open_picture(content, media_type(content), limits)
    found = list(pictures)
    assert len(found) == count
    return found


def near(pixel: object, colour: tuple[int, ...], slack: int = 12) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(found - wanted) <= slack for found, wanted in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_picture_is_read_right(name: str) -> None:
    page = pages(FILES[name])[0]
    assert page.size == (60, 40)
    grey = page.convert("L")
    assert int(str(grey.getpixel((45, 20)))) > 240, "paper is white"
    assert int(str(grey.getpixel((12, 12)))) < 130, "ink is dark"
    if page.mode == "RGB" and "cmyk" not in name:
        assert near(page.getpixel((12, 12)), RED, 40)


@pytest.mark.parametrize("name", FILES)
def test_a_picture_cut_at_any_byte_is_never_sold_as_whole(name: str) -> None:
    content = FILES[name]
    whole = [page.tobytes() for page in pages(content)]
    for length in range(1, len(content)):
        cut = content[:length]
        if length < 32:  # too little to tell its type by: "GIF" is a text of three letters
            with suppress(UnsupportedMedia):
                assert media_type(cut) in {media_type(content), TEXT}
            continue
        try:
            found = pages(cut)
        except Truncated:
            continue
        assert media_type(content) == TIFF, f"{length} of {len(content)} bytes are no file"
        assert [page.tobytes() for page in found] == whole, "only what no directory names is gone"


@pytest.mark.parametrize("name", FILES)
def test_what_follows_the_end_of_a_picture_is_not_looked_at(name: str) -> None:
    tail = b"<script>alert(1)</script>" if name != "heic" else b"\0\0\0\x18free<script></script"
    assert [page.tobytes() for page in pages(FILES[name] + tail)] == [page.tobytes() for page in pages(FILES[name])]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_each_frame_is_a_page_in_order(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    found = pages(animation(kind, 4, **options))
    for page, frame in zip(found, frames(4), strict=True):
        difference = [
            abs(a - b) for a, b in zip(page.convert("L").tobytes(), frame.convert("L").tobytes(), strict=True)
        ]
        assert sum(difference) / len(difference) < 3


def test_pictures_of_one_heic_file_are_pages() -> None:
    first, second = pages(HEIC_PAIR)
    assert near(first.getpixel((12, 12)), RED, 30)
    assert near(second.getpixel((47, 27)), RED, 30), "the second lies upside down"


def test_the_second_picture_behind_a_jpeg_is_no_page() -> None:
    content = saved(drawing(), "MPO", save_all=True, append_images=[drawing("L")])
    assert len(pages(content)) == 1


def test_a_tiffs_thumbnail_is_no_page() -> None:
    thumbnail = drawing(size=(30, 20))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    found = pages(saved(drawing(), "TIFF", save_all=True, append_images=[thumbnail]))
    assert [page.size for page in found] == [(60, 40)]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_more_frames_than_pages_allowed_are_refused(kind: str) -> None:
    with pytest.raises(TooManyPages, match="pages are more than the 20"):
        pages(animation(kind, 21, **({"lossless": True} if kind == "WEBP" else {})))


def test_a_hundred_thousand_frames_are_refused_without_a_look_at_them() -> None:
    gif = animation("GIF", 2)
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    with pytest.raises(TooManyPages, match="21 pages"):
        pages(gif[:-1] + frame * 100_000 + b";")


def test_ten_thousand_tiff_pages_are_refused() -> None:
    directory = struct.pack("<H", 1) + struct.pack("<HHII", 256, 4, 1, 1)
    content = b"II*\0" + struct.pack("<I", 8)
    for number in range(10_000):
        content += directory + struct.pack("<I", 8 + 18 * (number + 1) if number < 9_999 else 0)
    with pytest.raises(TooManyPages):
        pages(content)


def test_a_tiff_that_leads_back_into_itself_has_an_end() -> None:
    content = bytearray(saved(drawing(), "TIFF"))
    first = struct.unpack_from("<I", content, 4)[0]
    after = first + 2 + 12 * struct.unpack_from("<H", content, first)[0]
    content[after : after + 4] = struct.pack("<I", first)
    assert len(pages(bytes(content))) == 1


def test_pages_are_made_one_at_a_time() -> None:
    content = bytearray(animation("TIFF", 2, compression="tiff_adobe_deflate"))
    at = content.rindex(b"\x78\x9c")
    content[at : at + 40] = b"\xff" * 40
    _, pictures = open_picture(bytes(content), media_type(content), LIMITS)
    assert next(pictures).size == (60, 40)
    with pytest.raises(DecodeFailed):
        next(pictures)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "deflate", "second"])
def test_every_exif_orientation_comes_upright(kind: str, orientation: int) -> None:
    upright = drawing()
    stored = {
        1: (), 2: ("FLIP_LEFT_RIGHT",), 3: ("ROTATE_180",), 4: ("FLIP_TOP_BOTTOM",), 5: ("TRANSPOSE",),
        6: ("ROTATE_90",), 7: ("TRANSVERSE",), 8: ("ROTATE_270",),
    }[orientation]  # fmt: skip
    turned = upright
    for name in stored:
        turned = turned.transpose(Image.Transpose[name])
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "second":
        turned.encoderinfo = {"tiffinfo": {0x0112: orientation}}
        content = saved(drawing("L"), "TIFF", save_all=True, append_images=[turned])
    else:
        options = {"compression": "tiff_adobe_deflate"} if kind == "deflate" else {}
        options |= {"quality": 95} if kind in {"JPEG", "WEBP"} else {}
        content = saved(turned, "TIFF" if kind == "deflate" else kind, exif=exif, **options)
    page = pages(content)[-1]
    assert page.size == (60, 40)
    assert near(page.getpixel((12, 12)), RED, 30)
    assert near(page.getpixel((47, 27)), (255, 255, 255))


def test_a_heic_file_that_says_its_turn_twice_is_turned_once() -> None:
    (page,) = pages(HEIC_TURNED)
    assert page.size == (40, 60)
    assert near(page.getpixel((20, 10)), RED, 30)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # the child says nothing
def test_damaged_exif_does_not_damage_the_picture() -> None:
    broken = b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\x01" * 40
    assert pages(saved(drawing(), "JPEG", exif=broken))[0].size == (60, 40)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")]
    + [("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16", "I", "F", "CMYK")],
)
def test_every_mode_keeps_dark_dark_and_paper_white(kind: str, mode: str) -> None:
    if mode in {"I;16", "I"}:
        wide = drawing("L").convert("I").point(lambda value: value * 257)
        image = wide.convert("I;16") if mode == "I;16" else wide
    else:
        image = drawing(mode)
    (page,) = pages(saved(image, kind))
    assert page.mode in {"L", "RGB"}
    assert int(str(page.convert("L").getpixel((45, 20)))) >= 254
    assert int(str(page.convert("L").getpixel((12, 12)))) < 130


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 255.0), (0.0, 65535.0), (-3.0, 7.5)])
def test_pixels_of_32_bits_are_brought_to_the_range_they_use(low: float, high: float) -> None:
    image = Image.new("F", (10, 10), low)
    image.paste(high, (5, 0, 10, 10))
    (page,) = pages(saved(image, "TIFF"))
    assert page.getextrema() == (0, 255)


def test_16_bit_grey_with_white_as_zero_is_turned_round() -> None:
    image = Image.new("I;16", (10, 10), 0)
    (page,) = pages(saved(image, "TIFF", tiffinfo={262: 0}))
    assert page.getextrema() == (255, 255)


def test_transparent_paper_becomes_white() -> None:
    (page,) = pages(saved(Image.new("RGBA", (30, 30), (0, 0, 0, 0)), "PNG"))
    assert (page.mode, page.getextrema()) == ("L", (255, 255))


def test_a_picture_without_colour_is_stored_without_colour() -> None:
    assert [page.mode for page in pages(saved(drawing("L").convert("RGB"), "PNG"))] == ["L"]


@pytest.mark.parametrize("side", [(1, 100_000), (100_000, 1), (10, 2_001)])
def test_a_picture_too_narrow_to_read_is_refused(side: tuple[int, int]) -> None:
    with pytest.raises(TooNarrow, match=f"{side[0]} x {side[1]}"):
        pages(saved(Image.new("1", side), "PNG"))


def test_a_long_till_receipt_is_read() -> None:
    assert pages(saved(Image.new("1", (40, 3_000), 1), "PNG"))[0].size == (40, 3_000)


def test_every_frame_is_held_to_the_pixel_cap() -> None:
    content = saved(drawing(), "TIFF", save_all=True, append_images=[drawing(size=(600, 400))])
    with pytest.raises(TooManyPixels, match="600 x 400"):
        pages(content, replace(LIMITS, pixels=60 * 40))


def test_a_huge_png_is_refused_by_its_header() -> None:
    content = huge_png(50_000)
    assert len(content) < 400_000
    with pytest.raises(TooManyPixels, match="50000 x 50000"):
        pages(content)


def compressed(size: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1024**2)) for _ in range(size // 1024**2)) + packer.flush()


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + compressed(200 * 1024**2)),
        chunk(b"iTXt", b"Comment\0\x01\0\0\0" + compressed(200 * 1024**2)),
        chunk(b"iCCP", b"profile\0\0" + compressed(200 * 1024**2)),
        chunk(b"zTXt", b"Comment\0\0" + compressed(1024**2)) * 100,
    ],
    ids=["zTXt", "iTXt", "iCCP", "many"],
)
def test_a_bomb_in_a_pngs_text_or_profile_is_refused(extra: bytes) -> None:
    content = FILES["png"]
    with pytest.raises(DecodeFailed):
        pages(content[:33] + extra + content[33:])


def test_only_pixels_are_taken_over() -> None:
    exif = Image.Exif()
    exif[0x013B] = "Jane Doe"
    exif.get_ifd(0x8825)[1] = "N"
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Jane Doe")
    options = {"JPEG": {"comment": b"Jane Doe"}, "PNG": {"pnginfo": text}, "WEBP": {"xmp": b"<x:xmpmeta/>"}, "TIFF": {}}
    for kind, more in options.items():
        content = saved(drawing(), kind, exif=exif, icc_profile=b"profile of Jane Doe", **more)
        assert b"Jane Doe" in content
        (page,) = pages(content)
        file = io.BytesIO()
        Image.frombytes(page.mode, page.size, page.tobytes()).save(file, "PNG")
        assert b"Jane" not in file.getvalue()
        assert not Image.open(io.BytesIO(file.getvalue())).info


def test_damage_within_a_whole_file_is_a_failed_decode() -> None:
    content = bytearray(FILES["png"])
    at = content.index(b"IDAT") + 10
    content[at : at + 8] = b"\xff" * 8
    with pytest.raises(DecodeFailed):
        pages(bytes(content))


def test_a_gif_without_a_picture_is_no_document() -> None:
    with pytest.raises(DecodeFailed):
        pages(b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0, 0, 0) + b";")
