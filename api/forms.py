"""A multipart/form-data body read as it arrives: fields in memory, the one file as a stream.

The reader pulls: whoever consumes `content()` sets the pace of the socket, so at most one network chunk is in memory,
and no queue or second task is needed between parser and writer.
"""

from collections.abc import AsyncIterator, Callable, Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.errors import FieldProblem, InvalidRequest
from schemas.errors import BadRequest, UnsupportedMedia

FILE = "file"
_FIELD_BYTES = 40 * 1024  # metadata is the longest: 16 times 576 characters of at most 4 bytes, and its quotes


class StreamedForm:
    """One form. Call `until_file()`, consume `content()`, then `finish()`; `fields` is whole after that.

    Raises `BadRequest` for a body that is no multipart form or ends early, `InvalidRequest` for unknown, repeated,
    oversized or missing fields, `UnsupportedMedia` for another content type. How long a chunk may take is not asked
    here: the frame around every request does.
    """

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str, known: Collection[str]) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise UnsupportedMedia("send multipart/form-data with the document in its field `file`")
        boundary = options.get(b"boundary", b"")
        if not boundary or len(boundary) > 70:  # RFC 2046 allows 70
            raise BadRequest("the Content-Type has no usable multipart boundary")
        self._chunks = chunks
        self._known = known
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._raw: dict[str, bytearray] = {}
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = ""
        self._name = ""
        self._content: list[bytes] = []
        self._file_seen = self._file_done = self._ended = False
        self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]  # bound methods: its TypedDict wants plain functions

    async def until_file(self) -> None:
        """Read up to the first byte of the file."""
        while not self._file_seen:
            if self._ended:
                raise _wrong(FILE, "missing", "the form has no field `file`")
            await self._read()

    async def content(self) -> AsyncIterator[bytes]:
        """The file's bytes."""
        while True:
            ready, self._content = self._content, []
            for chunk in ready:
                yield chunk
            if self._file_done and not self._content:
                return
            if not self._content:
                await self._read()

    async def finish(self) -> None:
        """Read what follows the file, and check the fields' characters."""
        while not self._ended:
            await self._read()
        for name, raw in self._raw.items():
            try:
                self.fields[name] = raw.decode()
            except UnicodeDecodeError as error:
                raise _wrong(name, "encoding", "is not UTF-8") from error

    async def _read(self) -> None:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            raise BadRequest("the multipart body ends before its closing boundary")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadRequest("the body is not well-formed multipart/form-data") from error

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._close,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition = ""

    def _header_end(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = value.decode("latin-1")
        self._header = (bytearray(), bytearray())

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name == FILE and not self._file_seen:
            self._file_seen = True
            self.filename = options.get(b"filename", b"").decode(errors="replace")
        elif self._name in self._known and self._name not in self._raw:
            self._raw[self._name] = bytearray()
        elif self._name == FILE or self._name in self._known:
            raise _wrong(self._name, "repeated", "is given more than once")
        else:
            raise _wrong(self._name[:64], "unknown", "is no field of this form; the document's field is `file`")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._content.append(data[start:end])
            return
        self._raw[self._name] += data[start:end]
        if len(self._raw[self._name]) > _FIELD_BYTES:
            raise _wrong(self._name, "too_long", f"is longer than {_FIELD_BYTES} bytes")

    def _close(self) -> None:
        self._file_done = self._file_done or self._name == FILE

    def _end(self) -> None:
        self._ended = True


def _wrong(field: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(pointer=f"/{field}", code=code, detail=detail)])
