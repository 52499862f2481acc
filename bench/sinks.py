"""What the sinks write a second, over the quickest way into the same server: COPY, and the bare client's batches."""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bench import batches
from bench.machine import Span, own_cpu
from bench.stores import CopyFloor, WeaviateFloor
from deploy.local import children, ports
from deploy.local.postgres import Postgres
from deploy.local.weaviate import PORTS, Weaviate
from schemas.failpoints import Failpoints
from schemas.settings import Settings
from schemas.work import Sink
from sinks.pgvector_index import PgvectorIndex
from sinks.postgres.migrate import migrate
from sinks.weaviate_index import WeaviateIndex

TITLE = "Sinks over the quickest way into the same server"
ROUNDS, BATCHES = 5, 3
LIMITS = {"pgvector": 0.6, "weaviate": 0.8}
_PASSWORDS = {"headrace_api": "bench", "headrace_sink": "bench"}
_NO_FAILPOINTS = Failpoints("bench", None)


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Passages a second of each index and of its floor, in interleaved rounds: every round, both write as many."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        (port,) = ports.free(1)
        postgres = Postgres(folder / "postgres", port)
        weaviate = Weaviate(folder / "weaviate", ports.free(len(PORTS)))
        held.enter_context(children.running(postgres))
        held.enter_context(children.running(weaviate))
        migrate(postgres.url, _PASSWORDS)
        sink_url = f"postgresql://headrace_sink:bench@127.0.0.1:{port}/postgres"
        settings = Settings(postgres=SecretStr(sink_url), weaviate=weaviate.url, weaviate_grpc=weaviate.grpc)
        found = {
            "pgvector": asyncio.run(_compared(PgvectorIndex(sink_url, _NO_FAILPOINTS), CopyFloor(postgres.url), say)),
            "weaviate": asyncio.run(_compared(WeaviateIndex(settings, _NO_FAILPOINTS), WeaviateFloor(weaviate), say)),
        }
    missed = any(found[name]["ratio"] < limit for name, limit in LIMITS.items())
    quiet = all(side["conclusive"] for side in found.values())
    verdict = ("missed" if missed else "held") if quiet else "inconclusive"
    return {"indexes": found, "limits": LIMITS, "verdict": verdict}


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    rows = [
        f"| {name} | {found['floor_name']} | {found['floor']:.0f} | {found['ours']:.0f} | {found['ratio']:.2f}"
        f" ({found['least']:.2f} to {found['most']:.2f}) | {result['limits'][name]:.1f} |"
        for name, found in result["indexes"].items()
    ]
    return [
        f"Batches of {batches.PAGES} pages with {batches.PASSAGES} passages each (384 dimensions) as a sink gets them,",
        "with fence, checks and replacement, over the same rows put into an equal table or collection with equal",
        f"indexes. {ROUNDS} interleaved rounds of {BATCHES} batches; passages a second, median of the rounds' ratios.",
        "",
        "| index | floor | floor/s | sink/s | ratio (rounds) | limit |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Held or missed: {result['verdict']}.",
    ]


async def _compared(sink: Sink, floor: Any, say: Callable[[str], None]) -> dict[str, Any]:
    """Rates of both, and the ratios of the rounds; who begins changes from round to round."""
    await sink.open()
    await floor.open()
    numbers = itertools.count()

    async def ours() -> float:
        return await _timed([batches.tasks(next(numbers)) for _ in range(BATCHES)], sink.write)

    async def bare() -> float:
        return await _timed([floor.made(batches.tasks(next(numbers))) for _ in range(BATCHES)], floor.write)

    await ours()
    await bare()
    before, span = own_cpu(), Span()
    rounds = []
    for number in range(ROUNDS):
        if number % 2:
            rounds.append((await bare(), await ours()))
        else:
            own = await ours()
            rounds.append((await bare(), own))
    quiet = span.end(own_cpu() - before)["conclusive"]
    await floor.close()
    await sink.close()
    passages = BATCHES * batches.PAGES * batches.PASSAGES
    ratios = [floor_seconds / own_seconds for floor_seconds, own_seconds in rounds]
    result = {
        "floor_name": floor.name,
        "floor": statistics.median(passages / seconds for seconds, _ in rounds),
        "ours": statistics.median(passages / seconds for _, seconds in rounds),
        "ratio": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "conclusive": quiet,
    }
    say(f"{sink.name}: {result['ours']:.0f}/s, {floor.name} {result['floor']:.0f}/s, ratio {result['ratio']:.2f}")
    return result


async def _timed(made: Sequence[Any], write: Callable[[Any], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    for batch in made:
        await write(batch)
    return time.perf_counter() - begun
