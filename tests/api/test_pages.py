"""A page's picture: who gets it, under which headers, and what is never sent in its place."""

import asyncio
from datetime import UTC, datetime

import httpx2
import pytest

from schemas.documents import Claim
from schemas.errors import BlobMissing, DecodeFailed
from schemas.jobs import JobState, JobView, PageProgress, picture_path
from tests.fakes import World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
OTHER = {"authorization": "Bearer other-key"}


@pytest.fixture
def job(world: World) -> str:
    return world.ids.issue("demo")


def paint(world: World, job: str, content: bytes = PNG, key: str = "pages/1/00001.png") -> Claim:
    """Page 1 was read and has this picture."""
    claim = world.blobs.put(f"demo/{job}/{key}", content)
    world.jobs.pictures["demo", job, 1] = claim
    return claim


async def test_a_picture_is_sent_whole_as_an_attachment_that_no_browser_sniffs(
    world: World, client: httpx2.AsyncClient, job: str
) -> None:
    claim = paint(world, job)
    response = await client.get(picture_path(job, 1))
    assert (response.status_code, response.content) == (200, PNG)
    headers = response.headers
    assert headers["content-type"] == "image/png"
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers["content-disposition"] == 'attachment; filename="page-1.png"'
    assert headers["etag"] == f'"{claim.sha256}"'
    assert "private" in headers["cache-control"]


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
async def test_a_caller_who_has_the_picture_is_told_so_without_it(
    world: World, client: httpx2.AsyncClient, job: str, tag: str
) -> None:
    claim = paint(world, job)
    world.blobs.kept.clear()
    given = {"if-none-match": tag.format(claim.sha256)}
    response = await client.get(picture_path(job, 1), headers=given)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == f'"{claim.sha256}"'
    stale = await client.get(picture_path(job, 1), headers={"if-none-match": f'"{"0" * 64}"'})
    assert stale.status_code != 304


async def test_another_tenant_and_a_forged_id_get_404_whatever_is_there(
    world: World, client: httpx2.AsyncClient, job: str
) -> None:
    paint(world, job)
    forged = job[:-1] + ("a" if job[-1] != "a" else "b")
    for path, headers in ((picture_path(job, 1), OTHER), (picture_path(forged, 1), {})):
        response = await client.get(path, headers=headers)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    nobody = await client.get(picture_path(job, 1), headers={"authorization": ""})
    assert nobody.status_code == 401


@pytest.mark.parametrize(
    ("state", "pages", "total", "status"),
    [
        (JobState.QUEUED, {}, None, 409),
        (JobState.RUNNING, {2: "read"}, None, 409),
        (JobState.RUNNING, {1: "queued", 2: "read"}, 2, 409),
        (JobState.RUNNING, {1: "read"}, 1, 404),
        (JobState.RUNNING, {1: "failed", 2: "queued"}, 2, 404),
        (JobState.RUNNING, {2: "queued"}, 2, 404),
        (JobState.CANCELLED, {1: "queued"}, 1, 404),
        (JobState.FAILED, {}, None, 404),
    ],
)
async def test_a_page_without_a_picture_is_404_and_one_not_read_yet_409(
    world: World, client: httpx2.AsyncClient, job: str, state: JobState, pages: dict[int, str], total: int, status: int
) -> None:
    progress = [PageProgress(page=number, state=name) for number, name in pages.items()]
    world.jobs.views["demo", job] = JobView(id=job, state=state, pages_total=total, pages=progress)
    response = await client.get(picture_path(job, 1))
    code = {404: "not_found", 409: "not_ready"}[status]
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert ("retry-after" in response.headers) == (status == 409)


async def test_a_job_that_is_not_projected_yet_is_409_and_one_no_longer_kept_410(
    world: World, client: httpx2.AsyncClient, job: str
) -> None:
    assert (await client.get(picture_path(job, 1))).status_code == 409
    world.jobs.through = datetime.now(UTC)
    old = world.ids.issue("demo", at=datetime.now(UTC).timestamp() - 60)
    assert (await client.get(picture_path(old, 1))).json()["code"] == "gone"


async def test_a_picture_that_comes_between_the_two_reads_is_sent(
    world: World, client: httpx2.AsyncClient, job: str
) -> None:
    claim = paint(world, job)
    world.jobs.pictures.clear()
    world.jobs.views["demo", job] = JobView(
        id=job, state=JobState.RUNNING, pages_total=1, pages=[PageProgress(page=1, state="read")]
    )
    real = world.jobs.job

    async def meanwhile(tenant: str, job: str) -> JobView | None:
        world.jobs.pictures["demo", job, 1] = claim
        return await real(tenant, job)

    world.jobs.job = meanwhile  # type: ignore[method-assign]  # the projector is faster than the route
    assert (await client.get(picture_path(job, 1))).content == PNG


@pytest.mark.parametrize("key", ["source", "records/1.png", "pages/../source"])
async def test_bytes_that_lie_elsewhere_or_are_no_png_are_never_sent(
    world: World, client: httpx2.AsyncClient, job: str, key: str
) -> None:
    secret = b"%PDF-1.7 what the caller sent"
    paint(world, job, secret, key)
    response = await client.get(picture_path(job, 1))
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert secret not in response.content
    paint(world, job, b"GIF89a<script>")
    response = await client.get(picture_path(job, 1))
    assert (response.status_code, b"script" in response.content) == (500, False)


@pytest.mark.parametrize(
    ("error", "status", "code"), [(BlobMissing(), 410, "gone"), (DecodeFailed("it differs"), 500, "internal")]
)
async def test_a_lost_picture_is_gone_and_a_damaged_one_our_fault(
    world: World, client: httpx2.AsyncClient, job: str, error: Exception, status: int, code: str
) -> None:
    paint(world, job)

    def broken(claim: Claim) -> bytes:
        raise error

    world.blobs.read = broken  # type: ignore[method-assign]  # a store that lost or changed its bytes
    response = await client.get(picture_path(job, 1))
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("page", ["0", "-1", "x", "1e3", "99999999999999999999"])
async def test_a_page_that_no_document_has_is_refused_without_a_database(
    world: World, client: httpx2.AsyncClient, job: str, page: str
) -> None:
    world.jobs.down = True
    response = await client.get(f"/v1/jobs/{job}/pages/{page}/image")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_pictures_are_read_off_the_event_loop(world: World, client: httpx2.AsyncClient, job: str) -> None:
    paint(world, job)
    real = world.blobs.read

    def read(claim: Claim) -> bytes:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return real(claim)

    world.blobs.read = read  # type: ignore[method-assign]  # looks where it is called
    assert (await client.get(picture_path(job, 1))).status_code == 200
