"""What it costs prepare to store each page's description, from which a job may be taken up again."""

import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import Span, cpu_of, tree
from deploy.local.samples import letters
from processors.engines.factory import orienter
from processors.steps.prepare import Prepare
from schemas.documents import Claim, SliceReleased
from schemas.envelope import Envelope, new_trace
from schemas.errors import HeadraceError
from schemas.plans import DOCUMENT
from schemas.records import Partition, Record
from schemas.settings import Settings
from schemas.topics import PREPARE
from schemas.work import Task
from sinks.blobs import FolderBlobs

TITLE = "What a page's stored description costs prepare"
PAGES, ROUNDS = 12, 7
LIMIT = 0.02


class _Timed(FolderBlobs):
    """Adds up the seconds that descriptions take: they are the only JSON that prepare stores."""

    spent = 0.0

    def put(self, key: str, content: bytes) -> Claim:
        began = time.perf_counter()
        claim = super().put(key, content)
        self.spent += time.perf_counter() - began if key.endswith(".json") else 0.0
        return claim


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Prepare a document of scanned-looking pages again and again; what part of the time goes to descriptions."""
    with tempfile.TemporaryDirectory() as folder:
        blobs, file = _Timed(Path(folder) / "blobs"), Path(folder) / "letters.pdf"
        letters(file, PAGES)
        step = Prepare(orienter(Settings()), blobs, Settings())
        step.load()
        try:
            before, span = cpu_of(tree(os.getpid())), Span()
            rounds = [_round(step, blobs, file.read_bytes()) for _ in range(ROUNDS)]
            after = cpu_of(tree(os.getpid()))
        finally:
            step.close()
    quiet = span.end(sum(after[pid] - before.get(pid, 0.0) for pid in after))
    share = statistics.median(one["descriptions"] / one["wall"] for one in rounds)
    say(f"median share {share:.2%} of {statistics.median(one['wall'] for one in rounds) / PAGES * 1000:.0f} ms a page")
    verdict = ("held" if share <= LIMIT else "missed") if quiet["conclusive"] else "inconclusive"
    return {"rounds": rounds, "share": share, "limit": LIMIT, "span": quiet, "verdict": verdict}


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    wall = statistics.median(one["wall"] for one in result["rounds"]) / PAGES * 1000
    return [
        f"A document of {PAGES} drawn A4 pages is prepared {ROUNDS} times: {wall:.0f} ms a page, of which storing what",
        f"a resumed job begins from takes {result['share']:.2%} (median of rounds; synced, as every blob is).",
        "",
        f"Limit {result['limit']:.0%}: {result['verdict']}.",
    ]


def _round(step: Prepare, blobs: _Timed, content: bytes) -> dict[str, float]:
    blobs.spent = 0.0
    job = f"job_{uuid.uuid4().hex}"
    payload = SliceReleased(source=blobs.put(f"demo/{job}/source", content), last=PAGES)
    envelope = Envelope(
        id=uuid.uuid4(), kind=payload.kind(), at=datetime.now(UTC), job=job, run=1, part=0, tenant="demo",
        plan=DOCUMENT.hash, document="letters", traceparent=new_trace(),
    )  # fmt: skip
    record = Record(Partition(PREPARE.name, 0), 0, 0, b"", b"", (), 0.0)
    began = time.perf_counter()
    (answer,) = step.run([Task(envelope, payload, record)])
    if isinstance(answer, HeadraceError):
        raise answer
    return {"wall": time.perf_counter() - began, "descriptions": blobs.spent}
