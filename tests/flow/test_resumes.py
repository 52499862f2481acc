"""The whole stack on fake engines: a job that failed on a page goes on from a step, with what is stored."""

import asyncio
import contextlib
from pathlib import Path

import asyncpg
import httpx2
import pytest

from deploy.local.samples import letters
from deploy.local.session import Session
from tests.flow.jobs import submit
from tests.flow.stops import stopped
from tests.support import until

pytestmark = pytest.mark.stack


def _ended(client: httpx2.Client, job: str, run: int) -> str:
    """How a run of a job ended."""
    view = {}

    def over() -> bool:
        view.update(client.get(f"/v1/jobs/{job}").json())
        return view["run"] >= run and view["state"] not in ("queued", "running")

    until(over, 60, f"run {run} of {job} to end")
    return str(view["state"])


def _pages(stack: Session, job: str) -> dict[str, int]:
    """The files of a job's pages, and when each was written."""
    found = (stack.folder / "blobs" / "demo" / job).glob("pages/*/*")
    return {str(path): path.stat().st_mtime_ns for path in found if path.suffix in (".png", ".json")}


async def _passages(stack: Session, job: str) -> list[tuple[int, int]]:
    connection = await asyncpg.connect(stack.admin_url)
    try:
        return [tuple(row) for row in await connection.fetch("SELECT page, chunk FROM chunks WHERE job = $1", job)]
    finally:
        await connection.close()


@pytest.mark.parametrize("step", ["ocr", "chunk"])
def test_a_page_whose_reading_failed_is_read_again_and_prepared_no_more(
    stack: Session, client: httpx2.Client, tmp_path: Path, step: str
) -> None:
    letters(tmp_path / "three.pdf", 3)
    with contextlib.ExitStack() as held:
        for slot in [slot for slot in stack.pids() if slot.startswith("ocr-")]:
            held.enter_context(stopped(stack.pids()[slot]))
        job = submit(client, (tmp_path / "three.pdf").read_bytes()).json()["id"]
        until(lambda: len(_pages(stack, job)) == 6, 30, "three pictures, each with its description")
        picture = Path(next(path for path in _pages(stack, job) if path.endswith("00002.png")))
        content = picture.read_bytes()
        picture.write_bytes(content[:100])
    assert _ended(client, job, 1) == "partial"
    picture.write_bytes(content)
    before = _pages(stack, job)
    first, second = (client.post(f"/v1/jobs/{job}/retry", params={"from": step}) for _ in range(2))
    assert (first.status_code, first.json()["run"]) == (202, 2)
    assert second.status_code == 409 or second.json()["run"] == 2, "it runs already, or that is the same run"
    assert _ended(client, job, 2) == "succeeded"
    assert client.get(f"/v1/jobs/{job}").json()["run"] == 2
    assert _pages(stack, job) == before, "prepare ran again"
    result = client.get(f"/v1/jobs/{job}/result").json()
    assert [page["page"] for page in result["pages"]] == [1, 2, 3]
    passages = asyncio.run(_passages(stack, job))
    assert {page for page, _ in passages} == {1, 2, 3}
    assert len(set(passages)) == len(passages), "an index holds a passage twice"
