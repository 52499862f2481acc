"""HTML to blocks, by lxml. Nothing is fetched, no script runs, no style sheet is read."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import html
from lxml.etree import iterwalk

from processors.decoding.office.text import bom, decoded, lines_of, table_block
from processors.decoding.pages import TextBlock
from schemas.errors import DecodeFailed

_DROPPED = {
    "head", "script", "style", "template", "noscript", "svg", "iframe", "object", "embed", "applet", "audio", "video",
    "canvas", "datalist", "map", "title", "meta", "link",
}  # fmt: skip
_INLINE = {
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "ins", "kbd", "label", "mark", "nobr", "q", "rb", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub",
    "sup", "time", "tt", "u", "var", "wbr",
}  # fmt: skip
_OWN_LINE = {"li", "dt", "dd", "option", "tr"}
_HEADING = re.compile("h[1-6]")
_UNSEEN = re.compile(r"(^|;)\s*(display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_CHARSET_WITHIN = 1024  # where the HTML standard looks for it
_SPACE = re.compile("[ \t\n\r\f]+")


def markup_blocks(content: bytes, charset: str = "") -> Iterator[TextBlock]:
    """What the page shows without style sheets: headings, paragraphs, lists, tables, and pictures' alternative text.

    A table around other tables is layout: its cells are read one after the other. `charset` is what a mail says of it.
    Raises `DecodeFailed`.
    """
    text = _decoded(content, charset)
    if not text.strip():
        return
    # `huge_tree`: forgotten end tags nest honest pages past 256; HTML has no entities that could grow.
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    root = html.document_fromstring(text.encode(errors="replace"), parser=parser, ensure_head_body=True)
    if any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log):  # it drops the rest without a word
        raise DecodeFailed("the HTML is nested too deep")
    yield from _Writer().blocks(root)


def _decoded(content: bytes, charset: str) -> str:
    if mark := bom(content):
        return content[len(mark[0]) :].decode(mark[1], errors="replace")
    declared = _CHARSET.search(content[:_CHARSET_WITHIN])
    return decoded(content, charset, declared[1].decode() if declared else "")


class _Writer:
    """Walks the tree without recursion: untrusted HTML nests as deep as it likes."""

    def __init__(self) -> None:
        self._done: list[TextBlock] = []
        self._pieces: list[str] = []
        self._rows: list[list[str]] | None = None
        self._kind = "text"
        self._verbatim = 0

    def blocks(self, root: Any) -> Iterator[TextBlock]:
        walk = iterwalk(root, events=("start", "end"))
        for event, element in walk:
            tag = element.tag if isinstance(element.tag, str) else ""
            if event == "start":
                if tag in _DROPPED or _hidden(element):
                    walk.skip_subtree()  # its end is told all the same, with the text behind it
                    continue
                self._open(element, tag)
                self._write(element.text)
            else:
                if tag not in _DROPPED and not _hidden(element):
                    self._close(element, tag)
                self._write(element.tail)
            if self._done:
                yield from self._done
                self._done = []
        self._flush()
        yield from self._done

    def _open(self, element: Any, tag: str) -> None:
        if self._rows is not None:
            self._open_in_table(tag)
        elif tag == "table" and _is_grid(element):
            self._flush()
            self._rows = []
        elif tag in ("br", "hr") or tag in _OWN_LINE:
            self._pieces.append("\n")
        elif tag not in _INLINE:
            self._flush()
            self._kind = "heading" if _HEADING.fullmatch(tag) else "text"
        if tag == "img":
            self._pieces.append(f" {element.get('alt', '')} ")
        self._verbatim += tag in ("pre", "textarea")

    def _open_in_table(self, tag: str) -> None:
        assert self._rows is not None
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th", "caption"):
            self._pieces = []
        elif tag not in _INLINE:
            self._pieces.append(" ")

    def _close(self, element: Any, tag: str) -> None:
        self._verbatim -= tag in ("pre", "textarea")
        if self._rows is not None:
            if tag in ("td", "th", "caption"):
                if not self._rows or tag == "caption":
                    self._rows.append([])
                self._rows[-1].append(_SPACE.sub(" ", "".join(self._pieces)))
                self._pieces = []
            elif tag == "table":
                self._done += table_block(self._rows)
                self._rows = None
                self._pieces = []
            elif tag not in _INLINE:
                self._pieces.append(" ")
        elif tag in _OWN_LINE:
            self._pieces.append("\n")
        elif tag in ("td", "th") or tag not in _INLINE | {"br", "hr"}:
            self._flush()

    def _write(self, text: str | None) -> None:
        if text:
            self._pieces.append(text if self._verbatim else _SPACE.sub(" ", text))

    def _flush(self) -> None:
        if lines := tuple(_SPACE.sub(" ", line) for line in lines_of("".join(self._pieces))):
            self._done.append(TextBlock(self._kind, lines))
        self._pieces = []
        self._kind = "text"


def _hidden(element: Any) -> bool:
    if not isinstance(element.tag, str):
        return True
    return element.get("hidden") is not None or bool(_UNSEEN.search(element.get("style", "")))


def _is_grid(table: Any) -> bool:
    """Whether a table is one to the reader: no table inside it, and a row of more than one cell."""
    if next(table.iterdescendants("table"), None) is not None:
        return False
    cells: dict[Any, int] = {}
    for cell in table.iterdescendants("td", "th"):
        row = cell.getparent()
        cells[row] = cells.get(row, 0) + 1
        if cells[row] > 1:
            return True
    return False
