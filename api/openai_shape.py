"""Errors as OpenAI's clients read them, on the routes that speak their protocol."""

from typing import Any

from pydantic import BaseModel

from schemas.errors import HeadraceError

PATHS = ("/v1/embeddings", "/v1/models")
_OUR_FAULT = 500
_CODES = {
    "unauthorized": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "quota_exceeded": "insufficient_quota",
}
_KINDS = {429: "rate_limit_error"}


class OpenAIError(BaseModel):
    """What went wrong: `type` is `invalid_request_error`, `rate_limit_error` or `server_error`, `param` the field."""

    message: str
    type: str
    param: str | None = None
    code: str


class OpenAIErrorBody(BaseModel):
    """The body of an error on these routes."""

    error: OpenAIError


def spoken(path: str) -> bool:
    """Whether errors at `path` have this shape."""
    return any(path == known or path.startswith(f"{known}/") for known in PATHS)


def body(error: HeadraceError, message: str, pointer: str | None) -> tuple[int, OpenAIErrorBody]:
    """Status and body of an error; `pointer` is where in the request its first wrong field stands."""
    param = None if pointer is None else pointer.strip("/").replace("/", ".") or None
    return _shaped(type(error), message, param)


def example(error: type[HeadraceError]) -> tuple[int, str, dict[str, Any]]:
    """Status, code and body of an error, for the description."""
    status, shaped = _shaped(error, error.title, None)
    return status, shaped.error.code, shaped.model_dump()


def _shaped(error: type[HeadraceError], message: str, param: str | None) -> tuple[int, OpenAIErrorBody]:
    status = 400 if error.status == 422 else error.status
    code = _CODES.get(error.code, error.code)
    kind = _KINDS.get(status, "server_error" if status >= _OUR_FAULT else "invalid_request_error")
    return status, OpenAIErrorBody(error=OpenAIError(message=message, type=kind, param=param, code=code))
