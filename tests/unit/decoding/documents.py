"""Documents of every kind, and documents that ask for trouble."""

import base64
import io
import struct
import zlib

from PIL import Image, ImageChops, ImageDraw

# A blank page that wants the password "u", made with pikepdf (RC4, revision 3), then deflated.
ENCRYPTED = zlib.decompress(base64.b64decode(
    "eNqFkk1u2zAUhPc6xdt4mYqPPyIJCF4kjoGiLWI4bTdBFhT55KpwpUBigKTH6UV6rO6KUkpsq/AikgAJQ8434pCLzWp9ge9ktvj959ffDIFB"
    "V33PyhLyjdvRADwpW8g/Pz8Q5Fcuun23g+UyozaME/nMcNU9thEQ8g9NGOAOxGS9P5hfeCer+M/aRmrjAPIl7hOFxl12T4nC0q35+NyPjD5N"
    "O/zUlobusfeJmhjL5TxoliNnOR+p3cVvScjXzT5Sn957F2lFvguTZ4g9uR/Z6H39fKWoGeXgvY2uDa4PRy5yA/kNlNzxmjm0lqHlvmCIUgtW"
    "BR+ErYU23DglvLFOSBZCGvNGcWuDV1wZQp+WsoELZCNum3rMv0DpKmfI6Yq0tLKmZJNMGCxM0KQLqhnjKGWRMitLMiUyjU4Gi0xaIz0m5tdU"
    "3KmXp57qjEGRseMFhVJCQQ1HDdO6p5H2pBXyTEMuzjTO9blmZ1rsXbNPPY6VbrtuPDrTtt42PwkKyN+v4K7UXqOgusKApGsiHoh7SUYGrOoq"
    "mOXbM9K5uW59//wQQU0J0z67Pk4NKKazxeL6Zp39AxV6z5A="
))  # fmt: skip


# `drawing()` twice, the second upside down; and `drawing()` to be turned by a quarter, said by `irot` and by EXIF, with
# an artist's name in the EXIF. Made with pillow-heif (x265), then deflated.
HEIC_PAIR = zlib.decompress(base64.b64decode(
    "eNpjYGCQSSupLMhIzUxmAILczDRDEDs3MzGNgYFxTW5qSSIDBChmpOQUQdkMBZnJJQxowCQzJx9siIsDAxMDI4jFeAFCA0ERUAwImJzgIhOA2C"
    "IzMy8NzAPJigI5qWBlQDUZZcmGDCiCTAhBvoLMklwGqEpG1syCogIg+25mQXI+kC4DKnNmZC6AWsLAIPeB4c/fHz8YGPiZE4A6JBwYeRj//wcp"
    "YAapYAYhuV1MDolASS0nRkY0mQUKjazTXj1ZtnMHR4aBAlCIGUQwKCYBlbO5MB4sPtAJtEQ4OT+nKC85pwIoysvA1gAUEsksLkiFetcBijWScx"
    "JBLrOBOJ5BA0T/////D8iHQPoFNDAECjIrMkEamTk4OICUQmZBLiwugMHL2sjEzNrCwASlGRi5clMSQXGSp8G4Xrhheq0jcyNX/pyErS0sOWmH"
    "lxZ2caiGd5QwqAQzrdBuz4/8q/Mtcfq8Hypewn9fPklx2MBVeW+xst7jGQ3sa6VerGuY3nT/+N4brUUxF2pjL63RWtfG9iIiXEXd97TXGtPXji"
    "KywernHd/zvmJ1agTa2AO28UfAheVX7EuOSUVafVV1Od/t9fbnraQbFxwmeqVoaHtYcc8rzlb8leRrcOfH9wutF8yVzuq8TK82KrgX8qozSW/z"
    "nw+6E1YlG+wTcJv0foEJ3/7zTHrhEyOc6q98vpDGEMfoHRwj47+1J81cgbWMI9GPq67FS9Z++7mr7Cef732S9PvnWrbqaVK3pSxLGwC7VMZR"
))  # fmt: skip
HEIC_TURNED = zlib.decompress(base64.b64decode(
    "eNpjYGCQSSupLMhIzUxmAILczDRDEDs3MzGNgYHxRG5qSSIDBChmpOQUQdkMBZnJJQxowCQzJx9siIsDAxMDI4jF+AZCA0ERUAwImOLgIlZAbJ"
    "GZmZcG5oFkRYGcVLAyoJqMsmRDBiRBRpAS14pMsHK+gsySXAaoSkb2zIKiAiD7WWZBcj6QLgPqdWZkBglNACuS+8Dw5++PHwwM/MwJQB0SDow8"
    "jP//gxQwg1Qwg5DcLiaHRKCklhMjI5rMAoVG1mmvnizbuYMjw0ABKMQMIhgUk4DK2VwYDxYf6ARaIpycn1OUl5xTARTlZWBrAAqJZBYXpEK96w"
    "DFGsk5iSCX2UAcz6ABov////8HFAhA+gU0MAQKMisyQRqZOTg4gBRnZlF+CdA9DJKZBbmwSGFkYGRrZGJmbWkDcqQyi1LToBJ8ySnFyeBoANmx"
    "JTclERRfeRqM64Ubptc6Mjdy5c9J2NrCkpN2eGlhF4dqeEcJg0ow0wrt9vzIvzrfEqfP+6HiJfz35ZMUhw1clfcWK+s9ntHAvlbqxbqG6U33j+"
    "+90VoUc6E29tIarXVtbC8iwlXUfU97rTF97SgiG6x+3vE97ytWp0agjWyQGPP1ZdAC8jgYmBiFQIEKCjggYQ32KScQq4Ec7ZWYl6rgkg8MMQBd"
    "O46w"
))  # fmt: skip

RED = (200, 40, 10)


def drawing(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    """White paper with a red bar left of its middle."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((5, 5, 20, 30), fill=RED)
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def frames(count: int) -> list[Image.Image]:
    """Drawings that differ, so that no writer drops one."""
    return [ImageChops.offset(drawing(), number, 0) for number in range(count)]


def animation(kind: str, count: int, **options: object) -> bytes:
    first, *others = frames(count)
    return saved(first, kind, save_all=True, append_images=others, **options)


def small_files() -> dict[str, bytes]:
    """One small valid picture or more of every way of packing."""
    grey = drawing("L")
    return {
        "png": saved(drawing(), "PNG"),
        "apng": animation("PNG", 3),
        "palette png": saved(drawing("P"), "PNG", transparency=0),
        "jpeg": saved(drawing(), "JPEG", quality=60),
        "progressive jpeg": saved(drawing(), "JPEG", quality=60, progressive=True),
        "cmyk jpeg": saved(drawing("CMYK"), "JPEG", quality=60),
        "gif": saved(drawing("P"), "GIF"),
        "animated gif": animation("GIF", 3),
        "webp": saved(drawing(), "WEBP", quality=60),
        "lossless webp": saved(drawing("RGBA"), "WEBP", lossless=True),
        "animated webp": animation("WEBP", 3),
        "tiff": saved(drawing(), "TIFF"),
        "lzw tiff": animation("TIFF", 2, compression="tiff_lzw"),
        "deflate tiff": saved(grey, "TIFF", compression="tiff_adobe_deflate"),
        "fax tiff": saved(drawing("1"), "TIFF", compression="group4"),
        "jpeg tiff": saved(drawing(), "TIFF", compression="jpeg"),
        "big tiff": saved(grey, "TIFF", big_tiff=True),
        "bmp": saved(drawing(), "BMP"),
        "palette bmp": saved(drawing("P"), "BMP"),
        "heic": HEIC_PAIR,
    }


def pdf_file(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalogue."""
    content, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, size = len(content), len(objects) + 1
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    content += b"xref\n0 %d\n0000000000 65535 f \n%strailer\n" % (size, table)
    return content + b"<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)


def stream(body: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(body), entries, body)


def pdf_page(drawn: bytes, page: bytes = b"/MediaBox [0 0 300 200]", catalogue: bytes = b"", *more: bytes) -> bytes:
    """A PDF of one page with the content stream `drawn` and Helvetica as /F; `more` are objects from number 6."""
    return pdf_file(
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalogue,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> %s >>" % page,
        stream(drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *more,
    )


def pdf_bomb(unit: bytes, times: int, filters: int) -> bytes:
    """A PDF of one page that draws `unit` so many times, deflated so many times over."""
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(unit) for _ in range(times)) + packer.flush()
    for _ in range(filters - 1):
        body = zlib.compress(body, 9)
    packed = stream(body, b"/Filter [%s]" % (b"/FlateDecode " * filters))
    return pdf_page(b"", b"/MediaBox [0 0 99 99]").replace(stream(b""), packed)


def words(text: str, x: float, y: float, size: float = 12, mode: int = 0) -> bytes:
    """Operators that write `text` with its baseline's begin at a point from the lower left."""
    return b"BT %d Tr /F %g Tf %g %g Td (%s) Tj ET\n" % (mode, size, x, y, text.encode("latin-1"))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(side: int) -> bytes:
    """A valid PNG of `side` x `side` pixels of one bit, all the same: almost no bytes."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + (side + 7) // 8)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
