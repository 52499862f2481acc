"""XLSX to blocks, sheet by sheet, by python-calamine."""

import datetime
import io
import re
import zipfile
from collections.abc import Iterator
from xml.parsers import expat

from python_calamine import CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from processors.decoding.office.text import clean, table_block
from processors.decoding.pages import TextBlock
from schemas.errors import DecodeFailed, Encrypted, TooManyPages

_Cell = int | float | str | bool | datetime.time | datetime.date | datetime.datetime | datetime.timedelta
_CELLS_MOST = 4_000_000  # calamine lays out a sheet as a full rectangle, some 30 bytes a cell
_REFERENCE = re.compile(r"\$?([A-Z]{1,7})\$?([0-9]{1,10})", re.IGNORECASE)


def sheet_groups(archive: bytes) -> Iterator[Iterator[TextBlock]]:
    """The blocks of each sheet that is not hidden: its name, then a table for each run of rows that are not blank.

    Cells are their values, not as a number format dresses them. Raises `TooManyPages` for a sheet whose cells lie too
    far apart, `DecodeFailed` where calamine gives up.
    """
    _check_areas(archive)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(archive))
        shown = [
            index
            for index, sheet in enumerate(workbook.sheets_metadata)
            if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
        ]
        for index in shown:
            yield _sheet(workbook.get_sheet_by_index(index))
    except PasswordError as error:
        raise Encrypted from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what Rust raises; no Exception, it would end the child
            raise
        raise DecodeFailed from error


def _sheet(sheet: CalamineSheet) -> Iterator[TextBlock]:
    rows: list[list[str]] = []
    blocks: list[TextBlock] = []
    for row in sheet.iter_rows():
        cells = [_shown(cell) for cell in row]
        if any(cells):
            rows.append(cells)
        elif rows:
            blocks += table_block(rows)
            rows = []
    blocks += table_block(rows)
    if blocks and (name := clean(sheet.name)):
        yield TextBlock("heading", (name,))
    yield from blocks


def _shown(cell: _Cell) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return f"{cell:.15g}"  # as many digits as the sheet itself keeps
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ").removesuffix(" 00:00:00")
    return str(cell)


def _check_areas(archive: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as parts:
        for name in parts.namelist():
            content = parts.read(name)
            if content and name.casefold().endswith(".xml"):
                _Area().check(content)


class _NoSheet(Exception):
    """The root is no worksheet."""


class _Area:
    """The rectangle around the cells of one worksheet part."""

    def __init__(self) -> None:
        self._root = True
        self._row = self._column = 0
        self._rows: tuple[int, int] | None = None
        self._columns: tuple[int, int] = (0, 0)

    def check(self, xml: bytes) -> None:
        """Raise `TooManyPages` where it is larger than we lay out."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        try:
            parser.Parse(xml, True)
        except _NoSheet:
            return
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise DecodeFailed("a part of the document is not well-formed XML") from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        kind = name.rpartition(":")[2]
        if self._root and kind != "worksheet":
            raise _NoSheet
        self._root = False
        if kind == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() and len(number) < 11 else self._row + 1
            self._column = 0
        elif kind == "c":
            self._column += 1
            if place := _REFERENCE.fullmatch(attributes.get("r", "")):
                self._column, self._row = _column(place[1]), int(place[2])
        elif kind in ("v", "is"):
            self._grow()

    def _grow(self) -> None:
        row, column = self._row, self._column
        (top, bottom), (left, right) = (self._rows, self._columns) if self._rows else ((row, row), (column, column))
        self._rows = min(top, row), max(bottom, row)
        self._columns = min(left, column), max(right, column)
        if (self._rows[1] - self._rows[0] + 1) * (self._columns[1] - self._columns[0] + 1) > _CELLS_MOST:
            raise TooManyPages(f"a sheet spans more than {_CELLS_MOST} cells")


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number
