"""One page of fifty fails on the real stack and is tried again with other settings: fifty pages, none of them twice.

Both indexes are required, Weaviate answers searches at the door, and what carries the order out is killed on its way.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from deploy.local.session import Session
from schemas.broker import Broker
from schemas.envelope import Envelope
from schemas.plans import INDEXES, OCR_MODELS, document, edited
from schemas.ports import Query
from schemas.topics import CHUNK, EMBED, EVENTS, RESULTS, VECTORS
from sinks.pgvector_search import PgvectorSearch
from sinks.weaviate_client import WeaviateConnection
from tests.flow import late
from tests.flow.jobs import ended
from tests.sinks.databases import rows
from tests.support import read, until

pytestmark = [pytest.mark.stack, pytest.mark.alone, pytest.mark.long, pytest.mark.needs("weaviate")]
PAGES, POSTER = 50, 17
SETTINGS: dict[str, dict[str, Any]] = {"ocr": {"det_limit_side": 1280, "model": OCR_MODELS[1]}}
PLAN = document(INDEXES)
Hits = list[tuple[str, int]]
"""Words asked for that no other page has, and the page of a passage found by them."""


@pytest.fixture
def stack(tmp_path: Path, weaviate: dict[str, str]) -> Iterator[Session]:
    (tmp_path / "stack" / "run" / "failpoints").mkdir(parents=True)
    settings = {"HEADRACE_ENGINES": "fake", "HEADRACE_INDEXES": "weaviate,pgvector"}
    settings |= {f"HEADRACE_{name.upper()}": value for name, value in weaviate.items()}
    with Session(tmp_path / "stack", settings) as running:
        yield running


@pytest.fixture
def client(stack: Session) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=30) as made:
        yield made


def fifty(path: Path) -> None:
    """Small pages, each of its own grey, and among them a poster that is too large for the settings of a plan."""
    drawn = [Image.new("L", (4500, 300) if page == POSTER else (300, 400), page * 4) for page in range(1, PAGES + 1)]
    drawn[0].save(path, "PDF", save_all=True, append_images=drawn[1:], resolution=150)


def headrace(stack: Session, *words: object) -> str:
    argv = [sys.executable, "-P", "-m", "cli.main", *map(str, words), "--data-dir", str(stack.folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(stack: Session, job: str) -> list[tuple[Envelope, dict[str, Any]]]:
    """What lies on the results topic of a job."""
    found = [
        (Envelope.from_headers(message.headers()), json.loads(message.value()))
        for message in read(Broker(stack.kafka), RESULTS.name)
    ]
    return [(envelope, value) for envelope, value in found if envelope.job == job]


def indexed(stack: Session, job: str) -> dict[str, tuple[int, int, str]]:
    """Page, chunk and text of each passage in pgvector, by its id."""
    query = "SELECT id, page, chunk, text FROM chunks WHERE job = $1"
    return {str(row["id"]): (row["page"], row["chunk"], row["text"]) for row in _rows(stack, query, job)}


def _rows(stack: Session, query: str, *values: object) -> list[Any]:
    return asyncio.run(rows(stack.admin_url, query, *values))


async def words_in_weaviate(weaviate: dict[str, str], job: str) -> dict[str, str]:
    """The texts of a job's passages in Weaviate, by id."""
    connection = WeaviateConnection(weaviate["weaviate"], weaviate["weaviate_grpc"])
    try:
        passages = (await connection.passages()).with_tenant("demo")
        found = {str(item.uuid): item.properties async for item in passages.iterator()}
        return {name: str(held["text"]) for name, held in found.items() if held["job"] == job}
    finally:
        await connection.close()


def told_apart(passages: dict[str, tuple[int, int, str]]) -> dict[str, int]:
    """A word that a page alone has, and the page."""
    return {text.split()[-1]: page for page, _, text in passages.values()}


async def found_in_pgvector(stack: Session, words: dict[str, int]) -> Hits:
    search = PgvectorSearch(stack.admin_url)
    try:
        return [(word, hit.page) for word in words for hit in await search.search("demo", Query(word, mode="keyword"))]
    finally:
        await search.close()


def found_at_the_door(client: httpx2.Client, words: dict[str, int]) -> Hits:
    """What Weaviate answers through the API."""
    answers = {word: client.post("/v1/search", json={"query": word, "mode": "keyword"}).json() for word in words}
    return [(word, hit["page"]) for word, answer in answers.items() for hit in answer["hits"]]


def assert_searchable(
    stack: Session, client: httpx2.Client, weaviate: dict[str, str], job: str, pages: set[int]
) -> None:
    """Each of the pages, and no other, stands in both indexes once, and is found in both by its caller."""
    passages = indexed(stack, job)
    places = Counter((page, chunk) for page, chunk, _ in passages.values())
    assert {page for page, _ in places} == pages
    assert set(places.values()) == {1}, "pgvector holds a passage twice"
    assert asyncio.run(words_in_weaviate(weaviate, job)).keys() == passages.keys(), "Weaviate holds other passages"
    words = told_apart(passages)
    expected = Counter((word, page) for word, page in words.items())
    assert Counter(asyncio.run(found_in_pgvector(stack, words))) == expected
    assert Counter(found_at_the_door(client, words)) == expected


def test_a_poisoned_page_is_edited_and_redriven_while_its_carriers_are_killed(
    stack: Session, client: httpx2.Client, weaviate: dict[str, str], tmp_path: Path
) -> None:
    fifty(document := tmp_path / "fifty.pdf")
    job = client.post("/v1/jobs", files={"file": ("fifty.pdf", document.read_bytes())}).json()["id"]
    view = ended(client, job, 180)
    assert (view["state"], view["pages_done"], view["pages_total"]) == ("partial", PAGES - 1, PAGES)
    assert_searchable(stack, client, weaviate, job, set(range(1, PAGES + 1)) - {POSTER})

    until(lambda: client.get("/v1/dead-letters", params={"job": job}).json()["data"], 30, "the letter")
    [line] = headrace(stack, "dlq", "list", "--job", job).splitlines()
    letter, state, step, code, *_ = line.split("\t")
    assert (state, step, code) == ("open", "ocr", "decode_failed")
    assert '"media_type": "image/png"' in headrace(stack, "dlq", "show", letter)
    assert [cause["letters"] for cause in client.get("/v1/dead-letters/causes").json()["data"]] == [1]

    run = stack.folder / "run"
    (run / "failpoints" / "dispatcher-1.sink").touch()
    os.kill(stack.pids()["dead-letters-1"], signal.SIGKILL)
    words = [word for name, value in SETTINGS["ocr"].items() for word in ("--set", f"ocr.{name}={value}")]
    answer = json.loads(headrace(stack, "dlq", "edit", letter, *words, "--yes", "--json"))
    plan = edited(PLAN, SETTINGS).hash
    assert answer == {"taken": 1, "plans": {PLAN.hash: plan}}
    until(lambda: (run / "kills.ndjson").exists(), 60, "the dispatcher's death with the order in hand")
    os.kill(stack.pids()["projector-1"], signal.SIGKILL)

    def well() -> bool:
        return str(client.get(f"/v1/jobs/{job}").json()["state"]) == "succeeded"

    until(well, 120, "the job to succeed")
    view = client.get(f"/v1/jobs/{job}").json()
    assert (view["run"], view["pages_done"], view["errors"]) == (2, PAGES, [])
    result = client.get(f"/v1/jobs/{job}/result").json()
    assert {page["page"]: (page["plan"], page["engine"]["model"]) for page in result["pages"]} == {
        number: (plan, OCR_MODELS[1]) if number == POSTER else (PLAN.hash, "fake-reader")
        for number in range(1, PAGES + 1)
    }

    assert_searchable(stack, client, weaviate, job, set(range(1, PAGES + 1)))
    until(lambda: sum(e.name == "JobEnded" for e, _ in told(stack, job)) == 2, 30, "both ends on the results topic")
    ends = Counter((e.name, e.part, e.run, value["state"]) for e, value in told(stack, job))
    assert set(ends.values()) == {1}
    assert {end for end in ends if end[0] == "JobEnded"} == {
        ("JobEnded", 0, 1, "partial"), ("JobEnded", 0, 2, "succeeded"),
    }  # fmt: skip
    assert Counter(end[1:] for end in ends if end[1] == POSTER) == {
        (POSTER, 1, "failed"): 1, (POSTER, 2, "succeeded"): 1,
    }  # fmt: skip
    assert sum(end[1] != POSTER and end[1] > 0 for end in ends) == PAGES - 1

    assert_both_runs_are_told(client, job)
    shown = client.get(f"/v1/dead-letters/{letter}").json()
    assert (shown["state"], [event["event"] for event in shown["story"]]) == (
        "redriven", ["page.failed", "page.read", "page.succeeded"],
    )  # fmt: skip
    assert [(a["action"], a["run"], a["edits"]) for a in shown["audit"]] == [("redriven", 2, {"settings": SETTINGS})]
    assert shown["audit"][0]["by"]
    assert client.post(f"/v1/dead-letters/{letter}/redrive").status_code == 409
    assert_late_work_is_refused(stack, weaviate, job)


def assert_both_runs_are_told(client: httpx2.Client, job: str) -> None:
    """What the page went through in the run that failed, and in the one that did not."""
    told = client.get(f"/v1/jobs/{job}/timeline", params={"page": POSTER}).json()["data"]
    steps = {part["run"]: {(each["step"], each["state"], each["code"]) for each in part["attempts"]} for part in told}
    begun, indexes = ("prepare", "succeeded", None), (f"index-{name}" for name in INDEXES)
    assert steps == {
        1: {begun, ("ocr", "failed", "decode_failed")},
        2: {(step, "succeeded", None) for step in ("ocr", "chunk", "embed", *indexes)},
    }


def assert_late_work_is_refused(stack: Session, weaviate: dict[str, str], job: str) -> None:
    """What the redriven page's first run brings now, from each step on, changes neither rows nor objects."""
    late.until_caught_up(stack)
    before, objects = late.seen(stack, job), asyncio.run(words_in_weaviate(weaviate, job))
    put = late.come_late(stack, job, POSTER, (CHUNK, EMBED, VECTORS, EVENTS))
    assert put == {CHUNK.name: 1, EMBED.name: 1, VECTORS.name: 1, EVENTS.name: 1 + len(INDEXES)}

    def confirmed() -> int:
        told = [said for said in late.events(stack, job, 1) if said.place.part == POSTER]
        return len({said.id for said in told if said.kind == "ChunksIndexed"})

    until(lambda: confirmed() == (3 + 1) * len(INDEXES), 60, "three late ways to the indexes, and what was told again")
    late.until_caught_up(stack)
    assert late.seen(stack, job) == before
    assert asyncio.run(words_in_weaviate(weaviate, job)) == objects
