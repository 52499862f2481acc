"""Files and folders that were named, as documents to submit and files that are not."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import HeadraceError
from schemas.media import HEAD, media_type

Told = tuple[Path, str]
"""A path, and why it is not submitted."""


@dataclass(frozen=True, slots=True)
class Member:
    """A document: `name` is its path below the folder that was named, with that folder's own name first.

    `media` and `size` (bytes) are known of what lay in a folder; a file that was named is the server's to judge.
    """

    path: Path
    name: str
    media: str = ""
    size: int = 0


def members(paths: Iterable[Path]) -> Iterator[Member | Told]:
    """The files, and what lies below the folders, by name; links to folders and what is hidden are left out."""
    for path in paths:
        if path.is_dir():
            yield from _below(path, path.absolute().name or "root")
        else:
            yield Member(path, path.name)


def _below(folder: Path, name: str) -> Iterator[Member | Told]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield folder, _why(error)
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            yield path, "hidden"
        elif entry.is_dir(follow_symlinks=False):
            yield from _below(path, f"{name}/{entry.name}")
        elif not entry.is_file():
            yield path, "no regular file"  # a link to a folder, a broken link, a pipe
        else:
            yield _looked_at(path, f"{name}/{entry.name}")


def _looked_at(path: Path, name: str) -> Member | Told:
    try:
        with path.open("rb") as file:
            media = media_type(file.read(HEAD))
        return Member(path, name, media, path.stat().st_size)
    except HeadraceError as error:
        return path, {"empty_input": "empty", "unsupported_media_type": "of no type that is read"}[error.code]
    except OSError as error:
        return path, _why(error)


def _why(error: OSError) -> str:
    return f"cannot be read: {error.strerror}"
