"""Errors at the door: every one is an RFC 9457 problem with a stable code."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api import openai_shape
from schemas.errors import (
    BadRequest,
    DependencyDown,
    Forbidden,
    HeadraceError,
    InputError,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
)

MEDIA_TYPE = "application/problem+json"
_MOST_FIELDS = 20  # of a hostile body: a caller mends the first few anyway


class FieldProblem(BaseModel):
    """One wrong field: where it is (a JSON pointer; a form's field is `/name`), which rule it breaks, in words."""

    pointer: str
    code: str
    detail: str


class Problem(BaseModel):
    """The body of every error. `retryable`: the same request may succeed later.

    `violated-policies` are names of limits, as in `RateLimit-Policy`, that had no room for the request.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    retryable: bool
    errors: list[FieldProblem] | None = None
    violated_policies: list[str] | None = Field(default=None, serialization_alias="violated-policies")


class InvalidRequest(InputError):
    """Fields that break the interface's rules, each named."""

    code = "invalid_request"
    title = "The request has invalid fields"

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        super().__init__("; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors))
        self.errors = list(errors)

    @classmethod
    def of(cls, details: Sequence[ErrorDetails], *, skip: int = 0) -> "InvalidRequest":
        """From pydantic's findings; `skip` leading parts of each location are not the caller's."""
        return cls([_field(detail, skip) for detail in details[:_MOST_FIELDS]])


class MethodNotAllowed(InputError):
    """The route exists, this method of it does not."""

    code = "method_not_allowed"
    status = 405
    title = "The resource does not have this method"


class HeadTooLarge(InputError):
    """More headers, or longer ones, than any caller of ours needs."""

    code = "head_too_large"
    status = 431
    title = "The request has more or longer headers than this server reads"


class TargetTooLong(InputError):
    """A path with its query that is longer than any of ours."""

    code = "uri_too_long"
    status = 414
    title = "The request's path and query are longer than this server reads"


class NotJson(InputError):
    """A body that does not say that it is JSON and not packed, for a route that takes nothing else."""

    code = "not_json"
    status = 415
    title = "The body is to be JSON, its Content-Type application/json, and without a Content-Encoding"


class RequestTimeout(InputError):
    """A request whose headers or body came too slowly, or not at all."""

    code = "request_timeout"
    status = 408
    title = "The request took too long to arrive"


def problem(request: Request, error: HeadraceError, headers: dict[str, str] | None = None) -> Response:
    """The answer that tells `error`; what went wrong inside (5xx that no dependency explains) is not told."""
    told = error.detail if error.status != HeadraceError.status else error.title
    extra = _headers(error) | (headers or {})
    if openai_shape.spoken(request.url.path):
        pointer = error.errors[0].pointer if isinstance(error, InvalidRequest) else None
        status, shaped = openai_shape.body(error, told, pointer)
        return Response(shaped.model_dump_json(), status, extra, "application/json")
    body = Problem(
        type=f"/problems/{error.code}",
        title=error.title,
        status=error.status,
        detail=told,
        instance=request.url.path,
        code=error.code,
        request_id=request.state.request_id,
        retryable=error.fate != "reject" or error.retry_after is not None,
        errors=error.errors if isinstance(error, InvalidRequest) else None,
        violated_policies=[error.policy] if isinstance(error, RateLimited) else None,
    )
    return Response(body.model_dump_json(exclude_none=True, by_alias=True), error.status, extra, MEDIA_TYPE)


def _headers(error: HeadraceError) -> dict[str, str]:
    headers: dict[str, str] = {}
    wait = error.retry_after or (2.0 if isinstance(error, DependencyDown) else None)
    if wait is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    if (challenge := _challenge(error)) is not None:
        headers["WWW-Authenticate"] = f'Bearer realm="headrace"{challenge}'
    return headers


def _challenge(error: HeadraceError) -> str | None:
    """What RFC 6750 adds: nothing where nobody presented anything."""
    if isinstance(error, Forbidden):
        return f', error="insufficient_scope", scope="{" ".join(error.scopes)}"'
    if isinstance(error, Unauthorized):
        return ', error="invalid_token"' if error.presented else ""
    return None


def declare(*errors: type[HeadraceError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for a route that may come to these errors, each with an example."""
    return _declared(errors, MEDIA_TYPE, "Problem", _example)


def declare_openai(*errors: type[HeadraceError]) -> dict[int | str, dict[str, Any]]:
    """The same for a route whose errors have OpenAI's shape."""
    return _declared(errors, "application/json", "OpenAIErrorBody", openai_shape.example)


def _declared(
    errors: Sequence[type[HeadraceError]],
    media_type: str,
    schema: str,
    example: Callable[[type[HeadraceError]], tuple[int, str, dict[str, Any]]],
) -> dict[int | str, dict[str, Any]]:
    statuses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        status, code, value = example(error)
        told = statuses.setdefault(status, {"description": "", "content": {media_type: {}}})
        told["description"] += f"{', ' if told['description'] else ''}`{code}`: {error.title}"
        content = told["content"][media_type]
        content["schema"] = {"$ref": f"#/components/schemas/{schema}"}
        content.setdefault("examples", {})[code] = {"summary": error.title, "value": value}
    return statuses


def _example(error: type[HeadraceError]) -> tuple[int, str, dict[str, Any]]:
    field = {"pointer": "/limit", "code": "less_than_equal", "detail": "Input should be less than or equal to 100"}
    body = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.title,
        "instance": "/v1/…",
        "code": error.code,
        "request_id": "req_5f2a1c3d4e5b6a7f8091a2b3",
        "retryable": error.fate != "reject",
    }
    return error.status, error.code, body | ({"errors": [field]} if error is InvalidRequest else {})


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem; unexpected exceptions are the middleware's."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, HeadraceError)
        return problem(request, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        details = error.errors()
        if any(detail["type"] == "json_invalid" for detail in details):
            return problem(request, BadRequest("the body is not JSON"))
        return problem(request, InvalidRequest.of(details, skip=1))

    async def routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == MethodNotAllowed.status:
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        return problem(request, _of_status(error.status_code), headers)

    app.add_exception_handler(HeadraceError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, routing)


def _methods(request: Request) -> set[str]:
    """All that the path has, over every router: Starlette names those of the first route that it fits."""
    routes: Sequence[APIRoute] = request.app.state.routes
    return {method for route in routes if route.path_regex.match(request.url.path) for method in route.methods or ()}


def _of_status(status: int) -> HeadraceError:
    known: dict[int, HeadraceError] = {
        404: NotFound("there is no such route"),
        405: MethodNotAllowed(),
        408: RequestTimeout("the request's body took too long", retry_after=1),
        413: TooLarge("the body is larger than this route accepts"),
    }
    return known.get(status) or BadRequest("the body could not be read")


def _field(detail: ErrorDetails, skip: int) -> FieldProblem:
    """Without pydantic's `input` and `url`: the caller's own bytes are not sent back."""
    told = [_shown(str(step)[:64]) for step in detail["loc"][skip:] if step != "[key]"]
    steps = [step.replace("~", "~0").replace("/", "~1") for step in told]
    pointer = "".join(f"/{step}" for step in steps).encode(errors="replace").decode()
    return FieldProblem(pointer=pointer, code=detail["type"], detail=detail["msg"])


def _shown(name: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in name)
