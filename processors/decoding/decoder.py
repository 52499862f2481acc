"""Documents to page pictures, through a child that is replaced when it dies."""

import io
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from processors.decoding.limits import Limits
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
    Truncated,
)

_DOCUMENTS_PER_CHILD = 200  # decoders leak, and the address space of a child is capped
_ERRORS: dict[object, type[InputError]] = {
    error.code: error for error in (DecodeFailed, Encrypted, TooManyPages, TooManyPixels, Truncated)
}
_CHANNELS = {"L": 1, "RGB": 3}


@dataclass(frozen=True, slots=True)
class Picture:
    """One page, upright: a PNG that we wrote (L or RGB, lossless) and its size in pixels. `number` counts from 1."""

    number: int
    width: int
    height: int
    png: bytes


class Decoder:
    """Decodes one document at a time, in a warm child. Not for several threads.

    Start it from a thread that lives as long as the process: the child ends with the thread that started it.
    `on_death` is called for every child that died by itself, was killed by others, or had to be killed by us.
    """

    def __init__(self, limits: Limits, on_death: Callable[[], None] = lambda: None) -> None:
        self._limits = limits
        self._on_death = on_death
        self._child: Child | None = None

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

    def pages(self, content: bytes, media: str, dpi: int) -> Iterator[Picture]:
        """The pages of a document, one after the other; PDF pages at `dpi`. `media` is `media_type(content)`.

        Raises `Truncated`, `Encrypted`, `TooManyPixels`, `TooManyPages`, `DecodeFailed` or `DecodeTimeout`. A child
        that met any of these, or whose pages were not all taken, is not used again.
        """
        child = self.start()
        child.documents += 1
        try:
            yield from self._converse(child, content, {"media": media, "dpi": dpi})
        except BaseException:
            self.close()
            raise
        if child.documents >= _DOCUMENTS_PER_CHILD:
            self.close()

    def _converse(self, child: Child, content: bytes, request: Header) -> Iterator[Picture]:
        limits = self._limits
        left = limits.seconds
        try:
            begun = time.monotonic()
            child.channel.settimeout(left)
            send(child.channel, request, content)
            count = _count(self._receive(child, begun + left)[0], limits)
            left -= time.monotonic() - begun
            for number in range(1, count + 1):
                left += limits.seconds_per_page
                begun = time.monotonic()  # what the caller does between two pages is not the child's time
                header, pixels = self._receive(child, begun + left)
                left -= time.monotonic() - begun
                yield _picture(number, header, pixels, limits)
        except TimeoutError as error:
            self._on_death()
            raise DecodeTimeout from error
        except (EOFError, OSError, ValueError) as error:
            self._on_death()
            raise _verdict(child.ended(1.0)) from error

    def _receive(self, child: Child, deadline: float) -> tuple[Header, bytes]:
        header, body = receive(child.channel, most=self._limits.pixels * 3, deadline=deadline)
        if "error" in header:
            raise _ERRORS.get(header["error"], DecodeFailed)(str(header.get("detail", ""))[:200])
        return header, body


def _verdict(code: int | None) -> HeadraceError:
    """What the end of a child says of its document: by a SIGKILL, which we did not send, nothing."""
    if code == -signal.SIGKILL:
        return DecoderKilled()
    return DecodeTimeout() if code == -signal.SIGXCPU else DecodeFailed()


def _count(header: Header, limits: Limits) -> int:
    count = header.get("pages")
    if not isinstance(count, int) or not 1 <= count <= limits.pages:
        raise ValueError("no count of pages")
    return count


def _picture(number: int, header: Header, pixels: bytes, limits: Limits) -> Picture:
    width, height, mode = header.get("width"), header.get("height"), header.get("mode")
    if not isinstance(width, int) or not isinstance(height, int) or mode not in _CHANNELS:
        raise ValueError("no shape of a picture")
    if min(width, height) < 1 or width * height > limits.pixels or len(pixels) != width * height * _CHANNELS[mode]:
        raise ValueError("the pixels do not fit the shape")
    file = io.BytesIO()
    Image.frombytes(mode, (width, height), pixels).save(file, "PNG", compress_level=1)
    return Picture(number, width, height, file.getvalue())
