"""What the decoding child may use, and how it binds itself to that."""

import ctypes
import math
import os
import resource
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from schemas.settings import Settings  # the child starts in half the time without pydantic

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 32  # pdfium opens a font now and then; sockets to anywhere are not part of the plan


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one document: wall and CPU seconds, bytes of address space, pixels of a picture, pages."""

    seconds: float
    seconds_per_page: float
    memory: int
    pixels: int
    pages: int

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """The limits that the settings ask for."""
        return cls(
            seconds=settings.decode_seconds,
            seconds_per_page=settings.decode_seconds_per_page,
            memory=settings.decode_memory,
            pixels=settings.max_pixels,
            pages=settings.max_pages,
        )

    def confine(self, parent: int) -> None:
        """Bind this process: memory, files, core dumps, and an end with its parent (process id `parent`)."""
        for what, most in (
            (resource.RLIMIT_AS, self.memory),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, _OPEN_FILES),
        ):
            resource.setrlimit(what, (most, most))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            raise SystemExit(1)

    def grant(self, pages: int) -> None:
        """Allow this process the CPU seconds of a document of `pages` pages, from now on; SIGXCPU ends it after."""
        seconds = math.ceil(time.process_time() + self.seconds + self.seconds_per_page * pages)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
