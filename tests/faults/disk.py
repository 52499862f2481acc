"""A small file system of its own in a file, which can be full without harm to anybody else."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(folder: Path, mebibytes: int) -> Iterator[None]:
    """An ext4 file system at `folder`, for root alone."""
    image = folder.with_name(f"{folder.name}.img")
    with image.open("wb") as file:
        file.truncate(mebibytes * 1024**2)
    folder.mkdir()
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """No byte left on the file system of `folder`, until the block ends."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            for size in (1024**2, 4096):
                _fill(file.write, bytes(size))
        yield
    finally:
        ballast.unlink()


def _fill(write: Callable[[bytes], int | None], block: bytes) -> None:
    try:
        while write(block):
            continue
    except OSError:
        return
