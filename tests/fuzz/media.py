"""Heads of files of every type, cut, mixed and damaged."""

import random

from tests.fuzz import pdf, picture
from tests.fuzz.mutation import damaged

_TEXTS = (
    b"<!DOCTYPE html><html><p>text", b"<?xml version='1.0'?><svg/>", b"From: a@b\r\nTo: c@d\r\nSubject: e\r\n\r\nbody",
    b"plain text\n" * 400, "\ufeffÖl".encode("utf-16"), b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", b"{\\rtf1}",
    b"%!PS-Adobe", b"BM" + bytes(12) + b"\x28\0\0\0", b"\0\0\0\x18ftypmif1\0\0\0\0avifheic",
)  # fmt: skip


def inputs() -> list[bytes]:
    """Files of every type and of some that are refused."""
    return [*picture.inputs(), *pdf.inputs(), *_TEXTS]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A damaged head, at times before or behind another."""
    made = damaged(content, rng, _TEXTS, spare=rng.choice((0, 4)))
    other = rng.choice(_TEXTS)
    return rng.choice((made, made, made + other, other + made, made[: rng.randint(0, 40)]))
