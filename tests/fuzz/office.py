"""Office files, HTML, e-mail and text to begin with, and a mutation that reaches into an archive's members."""

import random

from tests.unit.decoding.office_documents import MAIL, PAGE, archive, members, prices_xlsx, report_docx, talk_pptx

_ZIP = b"PK\x03\x04"
_DICTIONARY = (
    b"<", b">", b"/>", b"&", b"&#0;", b"<!DOCTYPE x>", b"<![CDATA[", b"w:p", b"w:tbl", b"w:tc", b"w:gridSpan", b"a:t",
    b'<c r="XFD9">', b"99999999999", b"-1", b"<table><tr><td>", b"<div>", b"</td>", b"\r\n\r\n", b"--A\n",
    b"Content-Type: multipart/mixed; boundary=A\n", b"=?utf-8?b?", b"\xff\xfe", b"\xed\xa0\x80", b"\x00",
)  # fmt: skip


def inputs() -> list[bytes]:
    """Small valid files, one of each kind."""
    return [report_docx(), talk_pptx(), prices_xlsx(), PAGE, MAIL, "Two lines\nof text\n\nünd more".encode("utf-8-sig")]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One of `inputs` with some bytes changed; of a zip, mostly those of members before they are packed."""
    if not content.startswith(_ZIP) or rng.random() < 0.1:
        return _changed(content, rng)
    parts = members(content)
    for name in rng.sample(list(parts), rng.randint(1, 3)):
        if rng.random() < 0.05:
            del parts[name]
        else:
            parts[name] = _changed(parts[name], rng)
    return archive(parts)


def _changed(content: bytes, rng: random.Random) -> bytes:
    made = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(5):
            case 0:
                made[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                made[at:at] = rng.choice(_DICTIONARY) * rng.choice((1, 1, 1, 3, 300))
            case 2:
                del made[at : at + rng.randint(1, 60)]
            case 3:
                begin = rng.randrange(len(made) + 1)
                made[at:at] = made[begin : begin + rng.randint(1, 400)]
            case _:
                made[at : at + 1] = rng.choice(b"<>&\"'=/ 09;-\n").to_bytes()
    return bytes(made)
