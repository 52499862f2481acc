"""A worker that was silent wakes up with a page in hand that a peer has read meanwhile, in a later run."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.local.samples import letters
from deploy.local.session import Session
from tests.flow.jobs import ended, submit
from tests.flow.late import events, seen, until_caught_up
from tests.flow.stops import stopped
from tests.support import until

pytestmark = [pytest.mark.stack, pytest.mark.alone]
WORKERS = ("ocr-1", "ocr-2")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Session]:
    with Session(tmp_path / "stack", {"HEADRACE_ENGINES": "sleep:2", "HEADRACE_OCR_WORKERS": "2"}) as running:
        yield running


def _at_work(stack: Session) -> str:
    """A worker with a page in hand, empty while there is none."""
    notes = {slot: stack.folder / "run" / f"{slot}.inflight" for slot in WORKERS}
    return next((slot for slot, note in notes.items() if note.exists() and "headrace.ocr" in note.read_text()), "")


def test_a_worker_that_wakes_up_after_a_later_run_changes_nothing_that_anybody_sees(
    stack: Session, tmp_path: Path
) -> None:
    letters(tmp_path / "six.pdf", 6)
    with httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=30) as client:
        job = submit(client, (tmp_path / "six.pdf").read_bytes()).json()["id"]
        until(lambda: _at_work(stack), 60, "a page in work")
        with stopped(stack.pids()[_at_work(stack)]):
            assert client.post(f"/v1/jobs/{job}/cancel").status_code == 202
            assert ended(client, job, 90)["state"] == "cancelled"
            assert client.post(f"/v1/jobs/{job}/retry").status_code == 202
            until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "succeeded", 120, "run 2 to succeed")
            until_caught_up(stack)
            told, found = _read_by(stack, job), seen(stack, job)
        until(lambda: _read_by(stack, job) > told, 60, "the page that the sleeper had in hand")
        until_caught_up(stack)
    assert seen(stack, job) == found
    assert {run for _, _, run, _ in found["parts"]} == {2}


def _read_by(stack: Session, job: str) -> set[int]:
    """The pages that were read in the first run."""
    return {said.place.part for said in events(stack, job, 1) if said.kind == "PageRead"}
