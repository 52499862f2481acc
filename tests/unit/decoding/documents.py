"""Documents that ask for trouble."""

import base64
import struct
import zlib

# A blank page that wants the password "u", made with pikepdf (RC4, revision 3), then deflated.
ENCRYPTED = zlib.decompress(base64.b64decode(
    "eNqFkk1u2zAUhPc6xdt4mYqPPyIJCF4kjoGiLWI4bTdBFhT55KpwpUBigKTH6UV6rO6KUkpsq/AikgAJQ8434pCLzWp9ge9ktvj959ffDIFB"
    "V33PyhLyjdvRADwpW8g/Pz8Q5Fcuun23g+UyozaME/nMcNU9thEQ8g9NGOAOxGS9P5hfeCer+M/aRmrjAPIl7hOFxl12T4nC0q35+NyPjD5N"
    "O/zUlobusfeJmhjL5TxoliNnOR+p3cVvScjXzT5Sn957F2lFvguTZ4g9uR/Z6H39fKWoGeXgvY2uDa4PRy5yA/kNlNzxmjm0lqHlvmCIUgtW"
    "BR+ErYU23DglvLFOSBZCGvNGcWuDV1wZQp+WsoELZCNum3rMv0DpKmfI6Yq0tLKmZJNMGCxM0KQLqhnjKGWRMitLMiUyjU4Gi0xaIz0m5tdU"
    "3KmXp57qjEGRseMFhVJCQQ1HDdO6p5H2pBXyTEMuzjTO9blmZ1rsXbNPPY6VbrtuPDrTtt42PwkKyN+v4K7UXqOgusKApGsiHoh7SUYGrOoq"
    "mOXbM9K5uW59//wQQU0J0z67Pk4NKKazxeL6Zp39AxV6z5A="
))  # fmt: skip


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(side: int) -> bytes:
    """A valid PNG of `side` x `side` pixels of one bit, all the same: almost no bytes."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + (side + 7) // 8)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
