"""The callers of a fault run: they submit as long as the fault lasts, and keep what they were promised."""

import random
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2

from deploy.local.samples import letters
from tests.faults.documents import sections
from tests.faults.verdict import Expected
from tests.faults.world import World

_SCANNED = 6
"""Every so many documents one is a scan, the others are text."""


class Feeder(threading.Thread):
    """Submits one document every `every` seconds for two tenants in turn, until told to stop; `least` in any case.

    It is as patient as a caller is told to be: again after 503, 429 and cut connections.
    """

    def __init__(self, world: World, chance: random.Random, every: float, least: int) -> None:
        super().__init__(daemon=True)
        self.accepted: dict[str, Expected] = {}
        self.answers: Counter[int] = Counter()
        self.errors: list[str] = []
        self._world = world
        self._chance = chance
        self._every = every
        self._least = least
        self._enough = threading.Event()
        self._scan = _scan(world.folder)

    def stop(self) -> None:
        """Return once the last document was accepted."""
        self._enough.set()
        self.join(180)
        assert not self.is_alive(), "a caller was never answered"
        assert not self.errors, self.errors

    def run(self) -> None:
        with self._world.client("demo") as demo, self._world.client("other") as other:
            number = 0
            while number < self._least or not self._enough.is_set():
                tenant, client = (("demo", demo), ("other", other))[number % 2]
                self._one(number, tenant, client)
                number += 1
                self._enough.wait(self._every)

    def _one(self, number: int, tenant: str, client: httpx2.Client) -> None:
        pages = self._chance.randint(4, 12)
        name, content, mark = f"report-{number}.txt", sections(pages, number).encode(), f"Pump {number} of"
        if number % _SCANNED == _SCANNED - 1:
            name, content, mark, pages = "scan.pdf", self._scan, "", 6
        while (job := self._submit(client, name, content)) is None:
            time.sleep(0.3)
        self.accepted[job] = Expected(tenant, mark=mark, pages=pages)

    def _submit(self, client: httpx2.Client, name: str, content: bytes) -> str | None:
        try:
            answer = client.post("/v1/jobs", files={"file": (name, content)})
        except httpx2.TransportError:
            return None
        self.answers[answer.status_code] += 1
        if answer.status_code in (429, 503):
            if "retry-after" not in answer.headers:
                self.errors.append(f"{answer.status_code} without Retry-After")
            return None
        if answer.status_code != 202:
            self.errors.append(f"{answer.status_code}: {answer.text}")
        return str(answer.json().get("id", f"refused-{name}"))


def _scan(folder: Path) -> bytes:
    path = folder / "scan.pdf"
    if not path.exists():
        letters(path, 6)
    return path.read_bytes()
