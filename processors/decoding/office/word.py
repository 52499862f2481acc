"""DOCX to blocks: python-docx opens the package, the body is walked here.

Its own paragraph lists leave out content controls, tracked insertions, text boxes and notes, which the reader sees.
"""

import io
from collections.abc import Iterator
from typing import Any

import docx
from docx.oxml.parser import parse_xml
from lxml.etree import iterwalk

from processors.decoding.office.text import lines_of, table_block, text_block
from processors.decoding.pages import TextBlock

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_VALUE = f"{_W}val"
_WRAPPERS = {
    f"{_W}sdt", f"{_W}sdtContent", f"{_W}customXml", f"{_W}ins", f"{_W}moveTo", f"{_W}smartTag",
    f"{_MC}AlternateContent", f"{_MC}Choice",
}  # fmt: skip
_UNSEEN = {f"{_W}del", f"{_W}moveFrom", f"{_MC}Fallback", f"{_W}txbxContent"}  # a text box comes after its paragraph
_BREAKS = {f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}tab": " ", f"{_W}noBreakHyphen": "-"}
_OFF = {"0", "false", "off"}
_COLUMNS_MOST = 63  # Word's own cap on the columns of a table


def word_blocks(archive: bytes) -> Iterator[TextBlock]:
    """Page headers, the body in document order, footnotes and endnotes, page footers; what is hidden is left out."""
    document = docx.Document(io.BytesIO(archive))
    styles = _Styles(document.styles.element)
    yield from _running(document.part, "header", styles)
    yield from _blocks(document.element.body, styles)
    for kind in ("footnote", "endnote"):
        for root in _related(document.part, f"{kind}s"):
            for note in root.iter(f"{_W}{kind}"):
                if note.get(f"{_W}type") is None:  # the others are the rules that part notes from text
                    yield from _blocks(note, styles)
    yield from _running(document.part, "footer", styles)


class _Styles:
    """Which paragraph styles make a heading or a list item, by their id or by what they are based on."""

    def __init__(self, root: Any) -> None:
        self._styles = {style.get(f"{_W}styleId"): style for style in root.iter(f"{_W}style")}

    def heading(self, paragraph: Any) -> bool:
        """Whether `paragraph` is one; style names are the same in every language of Word."""
        holders = [paragraph, *self._chain(paragraph)]
        level = next((found for holder in holders if (found := _property(holder, "outlineLvl")) is not None), None)
        if level is not None:
            return str(level.get(_VALUE)) != "9"
        return any(name.startswith("heading ") or name == "title" for name in self._names(paragraph))

    def item(self, paragraph: Any) -> bool:
        """Whether `paragraph` is an item of a list."""
        if _property(paragraph, "numPr") is not None:
            return True
        return any(name.startswith("list ") for name in self._names(paragraph))

    def _names(self, paragraph: Any) -> Iterator[str]:
        for style in self._chain(paragraph):
            name = style.find(f"{_W}name")
            yield "" if name is None else name.get(_VALUE, "").casefold()

    def _chain(self, paragraph: Any) -> Iterator[Any]:
        reference, seen = _property(paragraph, "pStyle"), set()
        while reference is not None:
            key = reference.get(_VALUE)
            if key in seen or key not in self._styles:
                return
            seen.add(key)
            yield self._styles[key]
            reference = self._styles[key].find(f"{_W}basedOn")


def _property(holder: Any, name: str) -> Any:
    return holder.find(f"{_W}pPr/{_W}{name}")


def _related(part: Any, kind: str) -> Iterator[Any]:
    for relation in part.rels.values():
        if relation.reltype == _RELATIONS + kind and not relation.is_external:
            yield parse_xml(relation.target_part.blob)


def _running(part: Any, kind: str, styles: _Styles) -> Iterator[TextBlock]:
    """Page headers or footers, each text once however many sections have it."""
    seen = set()
    for root in _related(part, kind):
        lines = tuple(line for block in _blocks(root, styles) for line in _flat(block))
        if lines and lines not in seen:
            seen.add(lines)
            yield TextBlock("text", lines)


def _flat(block: TextBlock) -> tuple[str, ...]:
    return block.lines or tuple(" ".join(filter(None, row)) for row in block.rows)


def _children(element: Any) -> Iterator[Any]:
    """The children of `element`, those of wrappers in their place."""
    for child in element:
        if child.tag in _WRAPPERS:
            yield from _children(child)
        else:
            yield child


def _blocks(container: Any, styles: _Styles) -> Iterator[TextBlock]:
    items: list[str] = []
    for child in _children(container):
        paragraph = child.tag == f"{_W}p"
        if paragraph and styles.item(child) and not styles.heading(child):
            items += lines_of(_text(child))
            continue
        if items and (paragraph or child.tag == f"{_W}tbl"):
            yield TextBlock("text", tuple(items))
            items = []
        if paragraph:
            yield from text_block(_text(child), "heading" if styles.heading(child) else "text")
            for box in _boxes(child):
                yield from _blocks(box, styles)
        elif child.tag == f"{_W}tbl":
            yield from table_block([_row(row, styles) for row in _children(child) if row.tag == f"{_W}tr"])
    if items:
        yield TextBlock("text", tuple(items))


def _row(row: Any, styles: _Styles) -> list[str]:
    cells: list[str] = []
    for cell in _children(row):
        if cell.tag != f"{_W}tc":
            continue
        merged = cell.find(f"{_W}tcPr/{_W}vMerge")
        goes_on = merged is not None and merged.get(_VALUE, "continue") == "continue"
        lines = () if goes_on else (line for block in _blocks(cell, styles) for line in _flat(block))
        span = cell.find(f"{_W}tcPr/{_W}gridSpan")
        width = int(span.get(_VALUE, "1")) if span is not None else 1
        cells += [" ".join(lines), *[""] * (min(width, _COLUMNS_MOST) - 1)]
    return cells


def _boxes(paragraph: Any) -> Iterator[Any]:
    walk = iterwalk(paragraph, events=("start",))
    for _, element in walk:
        if element.tag == f"{_W}txbxContent":
            yield element
        if element.tag in _UNSEEN:
            walk.skip_subtree()


def _text(paragraph: Any) -> str:
    pieces: list[str] = []
    walk = iterwalk(paragraph, events=("start",))
    for _, element in walk:
        if element.tag in _UNSEEN or (element.tag == f"{_W}r" and _hidden(element)):
            walk.skip_subtree()
        elif element.tag in (f"{_W}t", _MATH_TEXT):
            pieces.append(element.text or "")
        elif element.tag in _BREAKS and element.getparent().tag == f"{_W}r":
            pieces.append(_BREAKS[element.tag])
    return "".join(pieces)


def _hidden(run: Any) -> bool:
    vanish = run.find(f"{_W}rPr/{_W}vanish")
    return vanish is not None and vanish.get(_VALUE, "1") not in _OFF
