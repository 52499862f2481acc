"""Callers who submit as long as the platform is changed under them."""

import threading
import time
from pathlib import Path

import httpx2

from deploy.local.samples import letters
from tests.faults.documents import sections
from tests.upgrade.fleet import Fleet

_SCAN, _TEXT = "scan.pdf", "report.txt"
_PAGES = {_SCAN: 10, _TEXT: 20}


class Callers(threading.Thread):
    """Submit scans and, where asked, texts in turn, one every `every` seconds, from now until told to stop.

    They are as patient as a caller is told to be: again after 503 and cut connections.
    """

    def __init__(self, fleet: Fleet, folder: Path, every: float, *, texts: bool = False) -> None:
        super().__init__(daemon=True)
        self.accepted: dict[str, str] = {}
        letters(folder / _SCAN, _PAGES[_SCAN])
        (folder / _TEXT).write_text(sections(_PAGES[_TEXT], 1))
        self._documents = [folder / name for name in (_PAGES if texts else [_SCAN])]
        self._client = httpx2.Client(base_url=fleet.url, headers=fleet.headers(), timeout=20)
        self._every = every
        self._enough = threading.Event()
        self.start()

    def stop(self) -> dict[str, int]:
        """The jobs that were accepted, and how many pages each has."""
        self._enough.set()
        self.join(60)
        assert not self.is_alive(), "a caller was never answered"
        return {job: _PAGES[name] for job, name in self.accepted.items()}

    def run(self) -> None:
        with self._client:
            number = 0
            while not self._enough.is_set():
                document = self._documents[number % len(self._documents)]
                number += 1
                while (job := self._submit(document)) is None:
                    time.sleep(0.3)
                self.accepted[job] = document.name
                self._enough.wait(self._every)

    def _submit(self, document: Path) -> str | None:
        try:
            answer = self._client.post("/v1/jobs", files={"file": (document.name, document.read_bytes())})
        except httpx2.TransportError:
            return None
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
            return None
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])
