"""The release before, as it is kept beside this file: what it wrote, and how its code is run."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from schemas.records import Partition, Record

ROOT = Path(__file__).resolve().parents[2]
LAST = Path(__file__).with_name("last_release")
CODE, LOCK = "code.tar.xz", "requirements.lock"


@dataclass(frozen=True, slots=True)
class Release:
    """A release whose processes can be started: where its code lies and which Python has what it needs."""

    code: Path
    python: Path

    def argv(self, *module: str) -> tuple[str, ...]:
        """The argument list that runs one of its modules."""
        return (str(self.python), "-P", "-m", *module)

    def environment(self) -> dict[str, str]:
        """What makes Python import this release's folders and no other's."""
        return {"PYTHONPATH": str(self.code)}


THIS = Release(ROOT, Path(sys.executable))


@cache
def last() -> Release:
    """The release before, unpacked once into the cache, and a Python with all that its lock names."""
    packed = (LAST / CODE).read_bytes()
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "headrace" / "releases"
    folder = home / hashlib.sha256(packed).hexdigest()[:16]
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        with tarfile.open(LAST / CODE) as archive:
            archive.extractall(draft, filter="data")
        with suppress(OSError):  # another test process was first
            draft.rename(folder)
    return Release(folder, _python(folder))


def _python(folder: Path) -> Path:
    """This Python where it has what the lock names, version by version; else one made for it, which takes minutes."""
    if not _differing(folder / LOCK):
        return Path(sys.executable)
    made = folder / ".venv" / "bin" / "python"
    if not (ready := folder / ".venv" / ".ready").exists():
        venv.create(folder / ".venv", with_pip=True)
        pip = [str(made), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "--requirement", str(folder / LOCK)], check=True)
        ready.touch()
    return made


def _differing(lock: Path) -> set[str]:
    """The names in a lock that are installed here in another version. One that is not here is not for this Python."""
    lines = [line.removesuffix(" \\") for line in lock.read_text().splitlines() if re.match(r"[A-Za-z0-9]", line)]
    pinned = [item for item in map(Requirement, lines) if item.marker is None or item.marker.evaluate()]
    here = {canonicalize_name(item.name): item.version for item in metadata.distributions()}
    found = {item: here[name] for item in pinned if (name := canonicalize_name(item.name)) in here}
    return {item.name for item, version in found.items() if version not in item.specifier}


def kept(name: str) -> Any:
    """One of the release's JSON files."""
    return json.loads((LAST / name).read_text())


def groups() -> set[str]:
    """Its consumer groups that every installation runs."""
    found = {reader for topic in kept("topics.json").values() for reader in topic["readers"]}
    return found - {"*", "headrace.index-weaviate"}


def samples(path: Path = LAST / "records.ndjson") -> list[Record]:
    """The records that the release published, bytes as they lay on its log."""
    found = []
    for number, line in enumerate(path.read_text().splitlines()):
        item = json.loads(line)
        headers = tuple((name, value.encode()) for name, value in item["headers"])
        value = None if item["value"] is None else item["value"].encode()
        found.append(Record(Partition(item["topic"], 0), number, 1, item["key"].encode(), value, headers, item["at"]))
    return found
