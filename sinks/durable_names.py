"""Names of files, made durable: a file outlives a loss of power once its folder was synced, and that folder's own."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from weakref import WeakValueDictionary

_REMEMBERED = 1000  # folders whose names are known to be durable


class Names:
    """The names below a root, for any number of threads: all that wait for a folder share one sync."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: OrderedDict[Path, None] = OrderedDict()
        self._turns: WeakValueDictionary[Path, _Turns] = WeakValueDictionary()

    def make(self, folder: Path) -> None:
        """Make a folder that is missing, and those above it; their names are to be made durable, whatever was known."""
        missing = folder
        while not missing.exists():
            self._durable.pop(missing, None)
            missing = missing.parent
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, path: Path) -> None:
        """Return when the name of a file is durable, and those of its folders (blocking)."""
        folder = path.parent
        turns = self._turns.get(folder)
        if turns is None:
            turns = self._turns[folder] = _Turns()
        arrived = turns.begun
        with turns.lock:
            if turns.ended > arrived:  # one that began after we came holds our name as well
                return
            turns.begun = number = turns.begun + 1
            self._sync_up(folder)
            turns.ended = number

    def _sync_up(self, folder: Path) -> None:
        sync(folder)
        while folder != self._root and folder not in self._durable:
            sync(folder.parent)
            self._durable[folder] = None
            folder = folder.parent
        while len(self._durable) > _REMEMBERED:
            self._durable.popitem(last=False)


class _Turns:
    """The syncs of one folder: how many began, and the last of those that ended well."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.begun = self.ended = 0


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable (blocking)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
