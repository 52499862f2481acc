"""The description of the HTTP interface: OpenAPI 3.1 of the routes, with what FastAPI does not know of them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api import openai_shape
from api.errors import HeadTooLarge, NotJson, Problem, RequestTimeout, TargetTooLong, declare, declare_openai
from api.examples import EXAMPLES
from schemas.errors import (
    BadRequest,
    DependencyDown,
    Forbidden,
    HeadraceError,
    RateLimited,
    SlowDown,
    TooLarge,
    Unauthorized,
)
from schemas.jobs import JobEvent

TITLE = "Headrace"
VERSION = "1"
_ABOUT = """Documents in, text with its place on the page and search out.

Submit a document (`POST /v1/jobs`): 202 means that it survives any crash. Follow it as it happens
(`GET /v1/jobs/{job}/events`), fetch what was read (`/result`), find it again (`POST /v1/search`).

Every error is a problem (RFC 9457) with a stable `code`; `retryable` and `Retry-After` say whether to come back. The
routes that speak OpenAI's protocol answer errors in its shape. What lies on Kafka is described by `/asyncapi.json`."""
_TAGS = [
    {"name": "jobs", "description": "A document on its way through the pipeline."},
    {"name": "documents", "description": "Documents by their callers' own ids."},
    {"name": "dead letters", "description": "What was rejected on its way, and what is done about it."},
    {"name": "search", "description": "Passages by meaning, by words, or by both."},
    {"name": "embeddings", "description": "Vectors, as OpenAI's clients ask for them."},
    {"name": "models", "description": "What answers, with the digest of its weights."},
    {"name": "webhooks", "description": "Where events are sent, and what became of each."},
    {"name": "keys", "description": "API keys, each with scopes of its own."},
    {"name": "tokens", "description": "OAuth 2.0 access tokens for API keys; public."},
    {"name": "health", "description": "For whoever runs this; public."},
]
_SUMMARIES = {
    "submit": "Submit a document",
    "job_list": "List jobs",
    "job_view": "How far a job is",
    "job_result": "What was read",
    "job_timeline": "What a job went through",
    "page_result": "What was read on one page",
    "page_image": "The picture of a page",
    "bulk_cancel": "Stop many jobs",
    "bulk_retry": "Run many jobs again",
    "cancel": "Stop a job",
    "retry": "Run a job again",
    "job_events": "Follow a job",
    "document_list": "List documents",
    "document_view": "A document",
    "document_deletion": "Delete a document",
    "letter_list": "List dead letters",
    "letter_causes": "Dead letters by cause",
    "letter_view": "A dead letter",
    "redrive": "Redrive dead letters",
    "redrive_one": "Redrive a dead letter",
    "discard": "Discard dead letters",
    "discard_one": "Discard a dead letter",
    "search": "Search",
    "embeddings": "Embed texts",
    "model_list": "List models",
    "model_view": "A model",
    "key_creation": "Make an API key",
    "key_list": "List API keys",
    "key_view": "An API key",
    "key_rotation": "Rotate an API key",
    "key_revocation": "Revoke an API key",
    "endpoint_creation": "Make a webhook endpoint",
    "endpoint_list": "List webhook endpoints",
    "endpoint_view": "A webhook endpoint",
    "endpoint_change": "Change a webhook endpoint",
    "endpoint_removal": "Remove a webhook endpoint",
    "endpoint_secrets": "A webhook endpoint's signing secrets",
    "secret_rotation": "Rotate a signing secret",
    "endpoint_verification": "Verify a webhook endpoint by code",
    "endpoint_challenge": "Send another code",
    "endpoint_test": "Send a test message",
    "recovery": "Recover failed deliveries",
    "replay": "Replay what was never sent",
    "delivery_list": "List deliveries",
    "delivery_view": "A delivery with its attempts",
    "resending": "Resend a message",
    "token": "Issue an access token",
    "authorization_server": "The token endpoint's metadata",
    "key_set": "The token endpoint's keys",
    "livez": "Is it alive",
    "readyz": "Is it ready",
    "metrics": "Metrics",
}
_REF = "#/components/schemas/{model}"
_LATER = {"description": "Seconds to wait before the same request.", "schema": {"type": "integer"}}
_POLICIES = {
    "description": "The limits that were asked, each with its quota `q` a window of `w` seconds.",
    "schema": {"type": "string"},
}
_USES = {
    "description": "What remains of each, `r`, and the seconds `t` after which all of it is free again.",
    "schema": {"type": "string"},
}
_JOB = {"description": "The job's path on this server.", "schema": {"type": "string"}}


def operation_id(route: APIRoute) -> str:
    """A route's function names its operation: what generated clients call their methods."""
    return route.name


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application's routes."""
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        summary="Streaming inference over documents",
        description=_ABOUT,
        tags=_TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    models = (Problem, openai_shape.OpenAIErrorBody, JobEvent)
    _, described = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    schemas.update(described["$defs"])
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    for assumed in ("HTTPValidationError", "ValidationError"):  # FastAPI's own shape of 422, which no route answers
        schemas.pop(assumed, None)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _complete(path, operation, schemas)
    return document


def _complete(path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    operation["summary"] = _SUMMARIES[operation["operationId"]]
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    scopes = [scope for given in operation.get("security", ()) for named in given.values() for scope in named]
    # DependencyDown: of a key that is not known, before the log was read, nobody can say whether it is one.
    everywhere = (
        HeadraceError,
        TargetTooLong,
        HeadTooLarge,
        *((Unauthorized, Forbidden, RateLimited, SlowDown, DependencyDown) if scopes else ()),
    )
    if "requestBody" in operation:
        json = (NotJson,) if "application/json" in operation["requestBody"]["content"] else ()
        everywhere = (*everywhere, RequestTimeout, BadRequest, TooLarge, *json)
    failed = declare_openai(*everywhere) if openai_shape.spoken(path) else declare(*everywhere)
    if scopes:
        operation["description"] += f"\n\nNeeds the scope `{' '.join(scopes)}`."
    for status, response in failed.items():
        responses.setdefault(str(status), response)
    for status, response in responses.items():
        if response["description"] == "Successful Response":
            shown = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
            response["description"] = schemas.get(shown.rpartition("/")[2], {}).get("description", operation["summary"])
        if status in ("409", "429", "503") and "health" not in operation["tags"]:
            response["headers"] = {"Retry-After": _LATER}
        if status == "429":
            response["headers"] |= {"RateLimit-Policy": _POLICIES, "RateLimit": _USES}
    if operation["operationId"] == "submit":
        responses["202"]["headers"] = {"Location": _JOB}
    operation["responses"] = dict(sorted(responses.items()))
