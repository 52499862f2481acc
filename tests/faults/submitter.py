"""A caller with a list of documents."""

import threading
import time
from pathlib import Path

import httpx2

from deploy.local.session import Session


class Submitter(threading.Thread):
    """Submits documents one after the other, as a patient caller does: again after 503 and cut connections."""

    def __init__(self, stack: Session, documents: list[Path], every: float) -> None:
        super().__init__(daemon=True)
        self.accepted: dict[str, Path] = {}
        self._client = httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=20)
        self._documents = documents
        self._every = every

    def run(self) -> None:
        with self._client:
            for document in self._documents:
                while (job := self._submit(document)) is None:
                    time.sleep(0.3)
                self.accepted[job] = document
                time.sleep(self._every)

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
