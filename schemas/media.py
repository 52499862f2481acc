"""The type of a file by its content: names and declared types are the caller's words, not facts."""

from schemas.errors import EmptyInput, UnsupportedMedia

PDF = "application/pdf"
PNG = "image/png"
JPEG = "image/jpeg"
_PDF_HEADER_WITHIN = 1024  # the specification's reading note: the header may lie this far in


def media_type(content: bytes) -> str:
    """`application/pdf`, `image/png` or `image/jpeg`; raises `EmptyInput` or `UnsupportedMedia`."""
    if not content:
        raise EmptyInput
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if content.startswith(b"\xff\xd8\xff"):
        return JPEG
    if b"%PDF-" in content[:_PDF_HEADER_WITHIN]:
        return PDF
    raise UnsupportedMedia


def ends_early(content: bytes, media: str) -> bool:
    """Whether the mark that ends a file of this type is missing, or followed by more of the file.

    A linearised or updated PDF has an end mark inside as well: cut after it, it opens with pages missing.
    """
    if media == PNG:
        return b"IEND" not in content[-4096:]
    if media == JPEG:
        return b"\xff\xd9" not in content[-4096:]
    end = content.rfind(b"%%EOF")
    return end < 0 or b" obj" in content[end:]
