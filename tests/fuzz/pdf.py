"""PDF files: pictures, text, forms, annotations, streams packed and plain."""

import random
import re
import zlib

from tests.fuzz.mutation import damaged
from tests.unit.decoding.documents import drawing, pdf_page, saved, stream, words

_WORDS = (
    b"1 0 R", b"2 0 R", b"3 0 R", b"99 0 R", b" obj", b"endobj", b"stream\n", b"endstream", b"/Kids [2 0 R]",
    b"/Count -1", b"/Filter [/FlateDecode /LZWDecode]", b"/Filter /DCTDecode",
    b"/DecodeParms << /Predictor 15 /Columns 99999 >>",
    b"/Length 999999999", b"<<", b">>", b"[", b"]", b"(", b")", b"/Rotate 91", b"/MediaBox [0 0 1e9 -1]", b"-1",
    b"1e38", b" Do ", b" Tj ", b" Tf ", b" re f ", b" q ", b" Q ", b" cm ", b"BI /W 9 /H 9 ID ", b" EI ",
    b"/Type /ObjStm", b"/Prev 9", b"/UserUnit 1e9", b"/Encrypt 5 0 R", b"%%EOF", b"trailer", b"xref\n",
)  # fmt: skip
_STREAM = re.compile(rb"stream\n(.*?)\nendstream", re.DOTALL)


def inputs() -> list[bytes]:
    """Small PDF files."""
    text = words("Weir report", 40, 150, 20) + words("Hidden", 40, 100, mode=3) + b"0.5 0 0 rg 9 9 40 40 re f "
    field = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (n) /V (v) /Rect [40 90 200 110] /AP << /N 7 0 R >> >>"
    look = stream(words("Filled in", 2, 5), b"/Type /XObject /Subtype /Form /BBox [0 0 160 20] /Resources 8 0 R")
    fonts = b"<< /Font << /F 5 0 R >> /ExtGState << /G << /ca 0.5 /SMask /None >> >> >>"
    packed = stream(zlib.compress(text), b"/Filter /FlateDecode")
    page = b"/MediaBox [0 0 300 200] /Annots [6 0 R]"
    return [
        pdf_page(
            text, page + b" /Rotate 90 /CropBox [9 9 250 190]", b"/AcroForm << /Fields [6 0 R] >>", field, look, fonts
        ),
        pdf_page(b"").replace(stream(b""), packed),
        saved(drawing(), "PDF"),
        saved(drawing("1"), "PDF"),
        saved(drawing("L"), "PDF", save_all=True, append_images=[drawing("P")]),
        pdf_page(b"/G gs /X Do", page, b"", look, look, fonts),
    ]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A damaged PDF; half of the time only within one of its streams, before that is packed."""
    streams = list(_STREAM.finditer(content))
    if not streams or rng.random() < 0.5:
        return damaged(content, rng, _WORDS, spare=9)
    chosen = rng.choice(streams)
    body = chosen[1]
    try:
        changed = zlib.compress(damaged(zlib.decompress(body), rng, _WORDS))
    except zlib.error:
        changed = damaged(body, rng, _WORDS)
    return content[: chosen.start(1)] + changed + content[chosen.end(1) :]
