"""One office document to sections of text."""

from collections.abc import Iterable, Iterator

from processors.decoding.limits import Limits
from processors.decoding.office.sections import sections
from processors.decoding.pages import TextBlock, TextPage
from schemas.errors import DecodeFailed, HeadraceError, UnsupportedMedia
from schemas.media import DOCX, EMAIL, HTML, OOXML, PPTX, TEXT


def open_office(content: bytes, media: str, limits: Limits) -> tuple[str, int, Iterator[TextPage]]:
    """The media type found, the number of sections (at least 1), and the sections.

    `media` is OOXML, HTML, EMAIL or TEXT of `schemas.media`; of OOXML the type found is DOCX, PPTX or XLSX. Raises
    `Truncated`, `Encrypted`, `UnsupportedMedia`, `TooManyPages` or `DecodeFailed`, all before it returns.
    """
    try:
        found, groups = _groups(content, media, limits)
        pages = sections(groups, limits)
    except (HeadraceError, MemoryError):
        raise
    except Exception as error:  # whatever a parser raises on untrusted bytes, the document is at fault
        raise DecodeFailed from error
    return found, len(pages), iter(pages)


def _groups(content: bytes, media: str, limits: Limits) -> tuple[str, Iterable[Iterable[TextBlock]]]:
    if media == OOXML:
        return _office(content, limits)
    if media == HTML:
        from processors.decoding.office.markup import markup_blocks

        return media, [markup_blocks(content)]
    if media == EMAIL:
        from processors.decoding.office.mail import mail_blocks

        return media, [mail_blocks(content)]
    if media == TEXT:
        from processors.decoding.office.text import plain_blocks

        return media, [plain_blocks(content)]
    raise UnsupportedMedia


def _office(content: bytes, limits: Limits) -> tuple[str, Iterable[Iterable[TextBlock]]]:
    from processors.decoding.office.archive import rewrite

    media, archive = rewrite(content, limits)
    if media == DOCX:
        from processors.decoding.office.word import word_blocks

        return media, [word_blocks(archive)]
    if media == PPTX:
        from processors.decoding.office.slides import slide_groups

        return media, slide_groups(archive)
    from processors.decoding.office.sheets import sheet_groups

    return media, sheet_groups(archive)
