"""The application: routes, errors and middleware around injected parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import errors, health, openai_shape
from api.metrics import ApiMetrics
from api.middleware import RequestFrame
from api.parts import Parts
from api.queries import QueryEmbedder
from api.streams import EventStreams
from api.v1 import control, documents, embeddings, events, jobs, models, pages, search


def create_app(parts: Parts) -> FastAPI:
    """An ASGI application that serves `parts`; nothing is contacted before the first request."""
    queries = QueryEmbedder(parts.embedder)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        queries.start()
        parts.bell.start()
        try:
            yield
        finally:
            queries.close()
            for close in parts.closers:
                await close()

    # The documentation pages of FastAPI load scripts from elsewhere; the description itself is served.
    app = FastAPI(title="Headrace", version="1", docs_url=None, redoc_url=None, lifespan=life)
    app.state.parts = parts
    app.state.queries = queries
    app.state.metrics = metrics = ApiMetrics(parts.lag)
    app.state.streams = EventStreams(parts.jobs, parts.bell, parts.settings.max_streams, metrics.streams)
    app.add_middleware(RequestFrame, metrics=metrics, streamed=frozenset({"/v1/jobs"}))
    errors.install(app)
    for module in (jobs, pages, control, events, documents, search, embeddings, models, health):
        app.include_router(module.router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _described(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for model in (errors.Problem, openai_shape.OpenAIErrorBody):
            described = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(described.pop("$defs"))
            schemas[model.__name__] = described
        for methods in schema["paths"].values():
            for operation in methods.values():  # FastAPI assumes its own shape of 422 wherever a path has a parameter
                if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                    del operation["responses"]["422"]
        app.openapi_schema = schema
    return app.openapi_schema
