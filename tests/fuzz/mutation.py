"""Damage to files of bytes."""

import random
import struct
from collections.abc import Sequence

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def damaged(content: bytes, rng: random.Random, words: Sequence[bytes] = (b"\0",), spare: int = 0) -> bytes:
    """`content` after one to six of: bytes and numbers changed, put in, cut out, moved; `words` of its format put in.

    The first `spare` bytes mostly stay as they are, so that the type does.
    """
    made = bytearray(content)
    first = spare if rng.random() < 0.95 else 0
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(min(first, len(made)), len(made))
        match rng.randrange(8):
            case 0:
                made[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                at = min(at, max(0, len(made) - 1))
                made[at : at + 1] = bytes([made[at] ^ 1 << rng.randrange(8)]) if made else b""
            case 2:
                number = rng.choice(_NUMBERS)
                width = rng.choice([code for code, most in (("B", 8), ("H", 16), ("I", 32)) if number < 1 << most])
                packed = struct.pack(rng.choice("<>") + width, number)
                made[at : at + len(packed)] = packed
            case 3:
                made[at:at] = rng.choice(words) * rng.choice((1, 1, 1, 2, 100))
            case 4:
                made[at : at + len(words[0])] = rng.choice(words)
            case 5:
                del made[at : at + rng.choice((1, 2, 4, 30, 200))]
            case 6:
                begin = rng.randint(0, len(made))
                made[at:at] = made[begin : begin + rng.randint(1, 200)]
            case _:
                del made[at : len(made) if rng.random() < 0.2 else at + 1]
    return bytes(made)
