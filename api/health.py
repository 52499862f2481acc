"""Is it alive, is it ready, how is it doing: public, and saying nothing about anybody's documents."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api.admission import Admission
from api.metrics import ApiMetrics
from api.parts import PartsOf
from api.queries import QueryEmbedder
from schemas.errors import DependencyDown
from schemas.ports import Pingable

router = APIRouter(tags=["health"])
_PATIENCE = 4.0  # seconds; longer than any port takes to say that it is down


class PartHealth(BaseModel):
    """One part: `ok`, `loading` or `failed` with the reason's code."""

    state: Literal["ok", "loading", "failed"]
    code: str | None = None


class Readiness(BaseModel):
    """`ready` when jobs are accepted; `degraded` names what is down although they are."""

    status: Literal["ready", "unavailable"]
    parts: dict[str, PartHealth]
    degraded: list[str]


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "alive"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response, parts: PartsOf) -> Readiness:
    """Whether jobs are accepted: 503 without Kafka or the blob store; without PostgreSQL, the model, Redis or word
    of the dispatcher, degraded."""
    ports: dict[str, Pingable] = {"kafka": parts.publisher, "blobs": parts.blobs, "postgresql": parts.jobs}
    found = await asyncio.gather(*map(_health, ports.values()))
    health = dict(zip(ports, found, strict=True))
    health["dispatcher"] = _dispatcher(request.app.state.admission)
    if request.app.state.limiter.away:
        health["redis"] = PartHealth(state="failed", code="dependency_down")
    health["embedder"] = _model(request.app.state.queries)
    failed = {name for name, part in health.items() if part.state == "failed"}
    ready = failed.isdisjoint({"kafka", "blobs"})
    if not ready:
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    degraded = sorted(failed - {"kafka", "blobs"})
    return Readiness(status="ready" if ready else "unavailable", parts=health, degraded=degraded)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    held: ApiMetrics = request.app.state.metrics
    return Response(await held.render(), media_type=CONTENT_TYPE_LATEST)


async def _health(port: Pingable) -> PartHealth:
    try:
        async with asyncio.timeout(_PATIENCE):
            await port.ping()
    except DependencyDown as error:
        return PartHealth(state="failed", code=error.code)
    except TimeoutError:
        return PartHealth(state="failed", code="timeout")
    return PartHealth(state="ok")


def _dispatcher(admission: Admission) -> PartHealth:
    return PartHealth(state="ok") if admission.known else PartHealth(state="failed", code="load_unknown")


def _model(queries: QueryEmbedder) -> PartHealth:
    if queries.state == "failed":
        return PartHealth(state="failed", code="model_unavailable")
    return PartHealth(state="ok" if queries.state == "ok" else "loading")
