"""PPTX to blocks, slide by slide, by python-pptx."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pptx

from processors.decoding.office.text import table_block, text_block
from processors.decoding.pages import TextBlock


def slide_groups(archive: bytes) -> Iterator[Iterator[TextBlock]]:
    """The blocks of each slide, hidden ones too, so that the numbers stay those of the slides."""
    return (_slide(slide) for slide in pptx.Presentation(io.BytesIO(archive)).slides)


def _slide(slide: Any) -> Iterator[TextBlock]:
    """The title, the shapes in the order that a screen reader takes, the notes."""
    title = slide.shapes.title
    if title is not None:
        yield from text_block(_text(title.text_frame), "heading")
    yield from _shapes(slide.shapes, None if title is None else title.shape_id)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        yield from text_block(_text(notes))


def _shapes(shapes: Iterable[Any], title: int | None) -> Iterator[TextBlock]:
    for shape in shapes:
        if shape.shape_id == title:
            continue
        if hasattr(shape, "shapes"):  # a group
            yield from _shapes(shape.shapes, title)
        elif shape.has_text_frame:
            yield from text_block(_text(shape.text_frame))
        elif getattr(shape, "has_table", False):
            yield from table_block([[_text(cell.text_frame) for cell in row.cells] for row in shape.table.rows])


def _text(frame: Any) -> str:
    return "\n".join(paragraph.text for paragraph in frame.paragraphs)
