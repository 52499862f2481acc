"""Kafka's jars: listed with their sha256 in the tree, fetched by the Maven client jgo, refused when they differ."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_name("kafka-jars.txt")
VERSION = "4.1.0"


class JarRefused(Exception):
    """A jar's sha256 is not the one in the list."""


class Jar(NamedTuple):
    """One line of the list."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """The file name in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def listed(path: Path = LIST) -> list[Jar]:
    """The jars of Kafka's class path."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return [Jar(*line.replace(":", " ").split()) for line in lines]


def default_cache() -> Path:
    """Where jars lie: `$XDG_CACHE_HOME/headrace/kafka/<version>`, or the same below `~/.cache`."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "headrace" / "kafka" / VERSION


def ensure(cache: Path, jars: Sequence[Jar]) -> list[Path]:
    """The jars' paths below `cache`, fetched where missing (46 jars, 44 MB); raises `JarRefused` for a wrong sum."""
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / ".lock"):
        missing = [jar for jar in jars if not (cache / jar.name).exists()]
        if missing:
            with tempfile.TemporaryDirectory(dir=cache) as scratch, ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda jar: _fetch(jar, Path(scratch), cache), missing))
    for jar in jars:
        check(jar, cache / jar.name)
    return [cache / jar.name for jar in jars]


def check(jar: Jar, path: Path) -> None:
    """Raise `JarRefused` unless the file's sha256 is the listed one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise JarRefused(
            f"{jar.group}:{jar.artifact}:{jar.version} has sha256 {found}, expected {jar.sha256}; "
            f"delete {path} and try again, and do not run it"
        )


def _fetch(jar: Jar, scratch: Path, cache: Path) -> None:
    from jgo.maven import MavenContext  # a second to import, and needed once a machine

    context = MavenContext(repo_cache=scratch, timeout=60)
    path: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    check(jar, path)
    path.rename(cache / jar.name)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
