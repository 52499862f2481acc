"""The application: routes, errors and middleware around injected parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from api import cors, description, docs, errors, health, problems
from api.admission import Admission
from api.auth.identities import Identities
from api.auth.key_use import KeyUse
from api.auth.limiting import Limiter
from api.metrics import ApiMetrics
from api.middleware import RequestFrame
from api.parts import Parts
from api.queries import QueryEmbedder
from api.quotas import Quotas
from api.streams import EventStreams
from api.v1 import (
    control,
    dead_letters,
    documents,
    embeddings,
    events,
    jobs,
    keys,
    models,
    pages,
    search,
    submissions,
    tokens,
    webhooks,
)

_ROUTES = (
    submissions, jobs, pages, control, events, dead_letters, documents, search, embeddings, models, keys, webhooks,
    tokens, health, docs, problems,
)  # fmt: skip


def create_app(parts: Parts) -> FastAPI:
    """An ASGI application that serves `parts`; nothing is contacted before the first request."""
    queries = QueryEmbedder(parts.embedder)
    admission = Admission(parts.load, parts.lag, parts.settings)
    own = () if parts.own_tokens is None else (parts.own_tokens,)
    identities = Identities(parts.settings.api_keys, parts.entries, (*own, *parts.issuers))
    key_use = KeyUse(parts.keys)
    settings = parts.settings
    quotas = Quotas(settings.limits, settings.tenant_limits, parts.entries)
    limiter = Limiter(settings.limits, settings.tenant_limits, settings.redis.get_secret_value())

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        queries.start()
        parts.bell.start()
        admission.start()
        parts.entries.follow()
        key_use.start()
        try:
            yield
        finally:
            queries.close()
            await admission.stop()
            await key_use.stop()
            await limiter.close()
            for close in parts.closers:
                await close()

    # FastAPI's own documentation pages load scripts from elsewhere; its telemetry looks for a provider at each request.
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        telemetry=TelemetryConfig(tracing=False, metrics=False, logs=False),
        lifespan=life,
        generate_unique_id_function=description.operation_id,
    )
    app.state.parts = parts
    app.state.queries = queries
    app.state.admission = admission
    app.state.identities = identities
    app.state.key_use = key_use
    app.state.limiter = limiter
    app.state.quotas = quotas
    app.state.metrics = metrics = ApiMetrics(parts.lag)
    most = parts.settings.max_streams
    app.state.streams = EventStreams(parts.jobs, parts.bell, most, metrics.streams, identities.stands)
    app.add_middleware(RequestFrame, metrics=metrics, streamed=frozenset({"/v1/jobs"}))
    cors.allow(app, parts.settings.cors_origins)
    errors.install(app)
    return with_routes(app)


def with_routes(app: FastAPI) -> FastAPI:
    """`app` with all routes and their description."""
    for module in _ROUTES:
        app.include_router(module.router)
    app.state.routes = [each for module in _ROUTES for each in module.router.routes if isinstance(each, APIRoute)]
    described = lru_cache(partial(description.openapi, app))
    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app
