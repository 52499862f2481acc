"""Pictures of every kind, with checksums that fit again for half of the PNGs."""

import random
import struct
import zlib
from contextlib import suppress

from tests.fuzz.mutation import damaged
from tests.unit.decoding.documents import HEIC_TURNED, chunk, small_files

_WORDS = (
    b"IHDR", b"IDAT", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"zTXt", b"tRNS", b"PLTE", b"\xff\xda", b"\xff\xc4",
    b"\xff\xc0", b"\xff\xd9", b"\xff\xe1\0\x10Exif\0\0", b"\x21\xf9\x04", b"\x2c\0\0\0\0", b"\0;", b"VP8X", b"ANMF",
    b"ALPH", b"ftyp", b"meta", b"iloc", b"ispe", b"irot", b"grid", b"\x11\x01\x04\0\x01\0\0\0",
    b"\x03\x01\x03\0\x01\0\0\0\x05\0\0\0", b"\0" * 16, b"\xff" * 8,
)  # fmt: skip


def inputs() -> list[bytes]:
    """One small file or more of every format."""
    return [*small_files().values(), HEIC_TURNED]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A damaged picture."""
    made = damaged(content, rng, _WORDS, spare=12)
    return _summed(made) if made.startswith(b"\x89PNG") and rng.random() < 0.5 else made


def _summed(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them now, and whose pixels may be repacked."""
    made, at = content[:8], 8
    while at + 12 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + size]
        if kind == b"IDAT":
            with suppress(zlib.error):
                body = zlib.compress(zlib.decompress(body))
        made += chunk(kind, body)
        at += 12 + size
    return made
