"""What the decoding child may use, and how it binds itself to that."""

import ctypes
import math
import os
import resource
import signal
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from schemas.settings import Settings  # the child starts in half the time without pydantic

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NEW_USER, _NEW_NET = 0x1000_0000, 0x4000_0000
_CAPABILITIES_V3 = 0x2008_0522
_OPEN_FILES = 32  # pdfium opens a font now and then


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one document: the settings of these names in `schemas.settings` say what each is for.

    Wall and CPU seconds, bytes of address space; pixels of one page, its longer side over its shorter, pages (frames,
    slides, sections), pixels in all; characters of text in all; members of an archive, its unpacked bytes, and those
    over its packed.
    """

    seconds: float
    seconds_per_page: float
    memory: int
    pixels: int
    pages: int
    ratio: float = 200.0
    pixels_in_all: int = 20_000_000_000
    characters: int = 20_000_000
    entries: int = 1000
    unpacked: int = 512 * 1024**2
    unpack_ratio: float = 100.0

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """The limits that the settings ask for."""
        return cls(
            seconds=settings.decode_seconds,
            seconds_per_page=settings.decode_seconds_per_page,
            memory=settings.decode_memory,
            pixels=settings.max_pixels,
            pages=settings.max_pages,
            ratio=settings.max_ratio,
            pixels_in_all=settings.max_pixels_in_all,
            characters=settings.max_characters,
            entries=settings.max_entries,
            unpacked=settings.max_unpacked,
            unpack_ratio=settings.max_unpack_ratio,
        )

    def confine(self, parent: int) -> bool:
        """Bind this process: memory, files, core dumps, privileges, and an end with its parent (process id `parent`).

        The answer is whether it has no network either: some kernels and containers refuse that. Sockets that are
        files stay within reach of this user.
        """
        library = ctypes.CDLL(None)
        offline = any(library.unshare(flags) == 0 for flags in (_NEW_USER | _NEW_NET, _NEW_NET))
        for what, most in (
            (resource.RLIMIT_AS, self.memory),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, _OPEN_FILES),
        ):
            resource.setrlimit(what, (most, most))
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        library.capset(struct.pack("Ii", _CAPABILITIES_V3, 0), bytes(24))  # a new user namespace had given it all
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            raise SystemExit(1)
        return offline

    def grant(self, pages: int) -> None:
        """Allow this process the CPU seconds of a document of `pages` pages, from now on; SIGXCPU ends it after."""
        seconds = math.ceil(time.process_time() + self.seconds + self.seconds_per_page * pages)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
