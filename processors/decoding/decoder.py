"""Documents to pages, through a child that is replaced when it dies."""

import signal
import time
from collections.abc import Callable, Iterator

from processors.decoding.limits import Limits
from processors.decoding.page_words import MOST_TEXT, characters, picture_page, text_page
from processors.decoding.pages import Page, PicturePage
from processors.decoding.process import Child
from processors.decoding.wire import Header, receive, send
from schemas.errors import (
    DecodeFailed,
    DecoderKilled,
    DecodeTimeout,
    Encrypted,
    HeadraceError,
    InputError,
    TooManyPages,
    TooManyPixels,
    TooNarrow,
    Truncated,
    UnsupportedMedia,
)
from schemas.media import DOCUMENTS, DOCX, OOXML, PPTX, XLSX

_DOCUMENTS_PER_CHILD = 200  # decoders leak, and the address space of a child is capped
_ERRORS: dict[object, type[InputError]] = {
    error.code: error
    for error in (DecodeFailed, Encrypted, TooManyPages, TooManyPixels, TooNarrow, Truncated, UnsupportedMedia)
}
_FOUND = {OOXML: {DOCX, PPTX, XLSX}}


class Decoder:
    """Decodes one document at a time, in a warm child. Not for several threads.

    Start it from a thread that lives as long as the process: the child ends with the thread that started it.
    `on_death` is called for every child that died by itself, was killed by others, or had to be killed by us.
    """

    def __init__(self, limits: Limits, on_death: Callable[[], None] = lambda: None) -> None:
        self._limits = limits
        self._on_death = on_death
        self._child: Child | None = None
        self.media_type = ""
        """What the latest document was found to be, once its first page has come: DOCX, say, where OOXML was asked."""
        self.count = 0
        """How many pages the latest document has in all, once its first page has come."""

    def start(self) -> Child:
        """The warm child, started where there is none; raises `DependencyDown` when it does not come up."""
        if self._child is not None and not self._child.alive:  # it died while idle: no document's fault
            self.close()
            self._on_death()
        if self._child is None:
            self._child = Child(self._limits)
        return self._child

    def close(self) -> None:
        """End the child; the next document starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def pages(self, content: bytes, media: str, dpi: int, first: int = 1, last: int | None = None) -> Iterator[Page]:
        """Pages `first` to `last` of a document, where it has them; those of a PDF at `dpi`.

        `media` is `media_type(content)`.

        Pages of `DOCUMENTS` are `TextPage`, all others `PicturePage`. Raises `Truncated`, `Encrypted`,
        `UnsupportedMedia` (a zip of another kind), `TooManyPixels`, `TooNarrow`, `TooManyPages`, `DecodeFailed` or
        `DecodeTimeout`. A child that has not said that it is done with a document gets no other.
        """
        child = self.start()
        child.documents += 1
        child.idle = False
        try:
            yield from self._converse(child, content, {"media": media, "dpi": dpi, "first": first, "last": last})
            child.idle = True
        finally:
            if not child.idle or child.documents >= _DOCUMENTS_PER_CHILD:
                self.close()

    def _converse(self, child: Child, content: bytes, request: Header) -> Iterator[Page]:
        limits, media = self._limits, request["media"]
        left = limits.seconds
        sums = _Sums(limits)
        try:
            begun = time.monotonic()
            child.channel.settimeout(left)
            send(child.channel, request, content)
            self.count, self.media_type = _beginning(self._receive(child, 0, begun + left)[0], media, limits)
            left -= time.monotonic() - begun
            for number in _range(request, self.count):
                left += limits.seconds_per_page
                begun = time.monotonic()  # what the caller does between two pages is not the child's time
                page = self._page(child, number, media, begun + left)
                left -= time.monotonic() - begun
                sums.add(page)
                yield page
        except TimeoutError as error:
            self._on_death()
            raise DecodeTimeout from error
        except (EOFError, OSError, ValueError) as error:
            self._on_death()
            raise _verdict(child.ended(1.0)) from error

    def _page(self, child: Child, number: int, media: str, deadline: float) -> Page:
        if media in DOCUMENTS:
            return text_page(number, self._receive(child, MOST_TEXT, deadline)[1])
        header, pixels = self._receive(child, self._limits.pixels * 3, deadline)
        layer = self._receive(child, MOST_TEXT, deadline)[1] if header.get("layer") is True else b""
        return picture_page(number, header, pixels, layer, self._limits)

    def _receive(self, child: Child, most: int, deadline: float) -> tuple[Header, bytes]:
        header, body = receive(child.channel, most=most, deadline=deadline)
        if "error" in header:
            child.idle = header.get("idle") is True
            raise _ERRORS.get(header["error"], DecodeFailed)(str(header.get("detail", ""))[:200])
        return header, body


class _Sums:
    """What a document's pages come to together."""

    def __init__(self, limits: Limits) -> None:
        self._pixels, self._characters = limits.pixels_in_all, limits.characters

    def add(self, page: Page) -> None:
        """Count a page; raises `TooManyPixels`, and ValueError for text that the child should have refused."""
        self._characters -= characters(page)
        if isinstance(page, PicturePage):
            self._pixels -= page.width * page.height
        if self._pixels < 0:
            raise TooManyPixels("the pages together have more pixels than this server decodes")
        if self._characters < 0:
            raise ValueError("more characters than there may be")


def _range(request: Header, count: int) -> range:
    """The numbers of the pages that a document with `count` pages has of those that were asked for."""
    return range(request["first"], min(count, request["last"] or count) + 1)


def _verdict(code: int | None) -> HeadraceError:
    """What the end of a child says of its document: by a SIGKILL, which we did not send, nothing."""
    if code == -signal.SIGKILL:
        return DecoderKilled()
    return DecodeTimeout() if code == -signal.SIGXCPU else DecodeFailed()


def _beginning(header: Header, media: str, limits: Limits) -> tuple[int, str]:
    """The number of pages and the type found; raises ValueError for what cannot be."""
    count, found = header.get("pages"), header.get("media")
    if type(count) is not int or not 1 <= count <= limits.pages:
        raise ValueError("no count of pages")
    if not isinstance(found, str) or found not in _FOUND.get(media, {media}):
        raise ValueError("no type of a document")
    return count, found
