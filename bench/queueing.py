"""What waiting jobs were told of their start and end, against what came: several tenants, weights, a real stack."""

import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image

from bench.machine import Span, cpu_of, tree
from deploy.local import layout, secret_store
from deploy.local.layout import Layout
from deploy.local.session import Session

TITLE = "Times told to jobs that wait"
LIMIT = 0.25
SECONDS_A_PAGE = 0.1
WORKERS = 2
LEAST_SECONDS = 2.0  # nearer than this nobody asks
ROUND_SECONDS = 1.5
ASKED = 3  # jobs of each tenant in a round


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant's weight, and the pages of the documents that it submits, at random between two numbers."""

    weight: float
    documents: int
    pages: tuple[int, int]


CUSTOMERS = {"letters": Customer(1, 60, (1, 4)), "books": Customer(1, 12, (10, 50)), "mixed": Customer(2, 30, (1, 20))}


@dataclass(frozen=True, slots=True)
class Told:
    """What a job was told at a time (seconds since 1970) of its start, where it had not begun, and of its end."""

    tenant: str
    job: str
    at: float
    starts: float | None
    ends: float | None


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Let all tenants submit at once, and ask some of their jobs again and again until nobody waits."""
    with tempfile.TemporaryDirectory() as folder, backlogged(Path(folder), CUSTOMERS, SECONDS_A_PAGE) as (stack, jobs):
        before, span = cpu_of(tree(stack.pid)), Span()
        told, came = followed(stack, jobs)
        after = cpu_of(tree(stack.pid))
        quiet = span.end(sum(after[pid] - before.get(pid, 0.0) for pid in after))
    errors = judged(told, came)
    found = {name: summary(values) for name, values in errors.items()}
    began = min(one.at for one in told)
    asked = [{"at": one.at - began, "tenant": one.tenant, "starts": one.starts, "ends": one.ends,
        "started": came[one.job][0] - one.at, "ended": came[one.job][1] - one.at} for one in told]  # fmt: skip
    for name, figures in found.items():
        say(f"{name}: median relative error {figures['median']:.2f} of {figures['asked']} asked")
    held = all(figures["median"] <= LIMIT for figures in found.values())
    verdict = ("held" if held else "missed") if quiet["conclusive"] else "inconclusive"
    customers = {name: asdict(customer) for name, customer in CUSTOMERS.items()}
    return {"errors": found, "limit": LIMIT, "customers": customers, "span": quiet, "asked": asked, "verdict": verdict}


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    tenants = ", ".join(
        f"{one['documents']} documents of {one['pages'][0]} to {one['pages'][1]} pages with weight {one['weight']:g}"
        for one in result["customers"].values()
    )
    rows = [
        f"| {name} | {figures['asked']} | {figures['median']:.0%} | {figures['ninetieth']:.0%}"
        f" | {figures['early']:.0%} | {figures['seconds']:.1f} |"
        for name, figures in result["errors"].items()
    ]
    return [
        f"Three tenants submit at once: {tenants}. {WORKERS} OCR workers, {SECONDS_A_PAGE:g} s a page; some jobs of",
        f"each are asked every {ROUND_SECONDS:g} s while they wait. Relative error: what `queue` told against the time",
        f"that it took from then on, where that was {LEAST_SECONDS:g} s or more.",
        "",
        "| told | asked | median error | 90th percentile | told too early | median error in seconds |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Limit of the medians {result['limit']:.0%}: {result['verdict']}.",
    ]


@contextmanager
def backlogged(
    folder: Path, customers: Mapping[str, Customer], seconds_a_page: float
) -> Iterator[tuple[Session, dict[str, list[str]]]]:
    """A stack that has just accepted all documents of `customers`, and the jobs of each."""
    place = Layout(folder / "stack")
    place.make()
    secrets = asdict(secret_store.load(place))
    keys = {name: f"hr_{name}_bench" for name in customers}
    layout.write(place.secrets, secrets | {"api_keys": secrets["api_keys"] | keys})
    settings = {
        "HEADRACE_ENGINES": f"sleep:{seconds_a_page}",
        "HEADRACE_OCR_WORKERS": str(WORKERS),
        "HEADRACE_WEIGHTS": json.dumps({name: customer.weight for name, customer in customers.items()}),
    }
    with Session(place.data, settings) as stack:
        drawn = random.Random(7)
        sizes = {name: [drawn.randint(*one.pages) for _ in range(one.documents)] for name, one in customers.items()}
        files = {count: _document(folder / "document.pdf", count) for count in {n for of in sizes.values() for n in of}}
        jobs: dict[str, list[str]] = {name: [] for name in customers}
        with ExitStack() as held:
            clients = {name: held.enter_context(_client(stack, name)) for name in customers}
            for row in itertools.zip_longest(*sizes.values()):
                for name, count in zip(sizes, row, strict=True):
                    if count is not None:
                        jobs[name].append(_submitted(clients[name], files[count]))
        yield stack, jobs


def followed(stack: Session, jobs: Mapping[str, Sequence[str]]) -> tuple[list[Told], dict[str, tuple[float, float]]]:
    """What some of the waiting jobs were told in each round; when each job began and ended (seconds since 1970)."""
    told: list[Told] = []
    waiting = {name: list(own) for name, own in jobs.items()}
    with ExitStack() as held:
        clients = {name: held.enter_context(_client(stack, name)) for name in jobs}
        while any(waiting.values()):
            for name, own in waiting.items():
                for job in _spread(own):
                    view = clients[name].get(f"/v1/jobs/{job}").json()
                    if view["state"] not in ("queued", "running"):
                        own.remove(job)
                    elif (place := view["queue"]) is not None:
                        starts = None if view["started_at"] else place["starts_in_seconds"]
                        told.append(Told(name, job, time.time(), starts, place["ends_in_seconds"]))
            time.sleep(ROUND_SECONDS)
        came = {job: _times(clients[name], job) for name, own in jobs.items() for job in own}
    return told, came


def judged(told: Sequence[Told], came: Mapping[str, tuple[float, float]]) -> dict[str, list[tuple[float, float]]]:
    """Seconds told and seconds that it took, of starts and of ends."""
    starts = [(one.starts, came[one.job][0] - one.at) for one in told if one.starts is not None]
    ends = [(one.ends, came[one.job][1] - one.at) for one in told if one.ends is not None]
    pairs = {"start": starts, "end": ends}
    return {name: [(said, took) for said, took in of if took >= LEAST_SECONDS] for name, of in pairs.items()}


def summary(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Errors relative to what it took; `early`: the share of those who were told a time that was too short."""
    errors = sorted(abs(said - took) / took for said, took in pairs)
    return {
        "asked": len(errors),
        "median": statistics.median(errors),
        "ninetieth": errors[len(errors) * 9 // 10],
        "early": sum(said < took for said, took in pairs) / len(pairs),
        "seconds": statistics.median(abs(said - took) for said, took in pairs),
    }


def _document(path: Path, pages: int) -> bytes:
    """A PDF of small grey pages, quickly made and prepared."""
    drawn = [Image.new("L", (120, 160), page * 4 % 256) for page in range(pages)]
    drawn[0].save(path, "PDF", save_all=True, append_images=drawn[1:], resolution=150)
    return path.read_bytes()


def _client(stack: Session, tenant: str) -> httpx2.Client:
    return httpx2.Client(base_url=stack.url, headers=stack.headers(tenant), timeout=30)


def _submitted(client: httpx2.Client, content: bytes) -> str:
    answer = client.post("/v1/jobs", files={"file": ("document.pdf", content)}, data={"lane": "bulk"})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _spread(jobs: Sequence[str]) -> list[str]:
    """The first, the last, and what lies evenly between."""
    last = len(jobs) - 1
    return (
        [jobs[place] for place in sorted({round(last * part / (ASKED - 1)) for part in range(ASKED)})] if jobs else []
    )


def _times(client: httpx2.Client, job: str) -> tuple[float, float]:
    view = client.get(f"/v1/jobs/{job}").json()
    begun, ended = (datetime.fromisoformat(view[name]).timestamp() for name in ("started_at", "finished_at"))
    return begun, ended
