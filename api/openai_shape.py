"""Errors as OpenAI's clients read them, on the routes that speak their protocol."""

from pydantic import BaseModel

from schemas.errors import HeadraceError

PATHS = ("/v1/embeddings", "/v1/models")
_OUR_FAULT = 500


class OpenAIError(BaseModel):
    """What went wrong: `type` is `invalid_request_error` or `server_error`, `param` the field at fault."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIErrorBody(BaseModel):
    """The body of an error on these routes."""

    error: OpenAIError


def spoken(path: str) -> bool:
    """Whether errors at `path` have this shape."""
    return any(path == known or path.startswith(f"{known}/") for known in PATHS)


def body(error: HeadraceError, message: str, pointer: str | None) -> tuple[int, OpenAIErrorBody]:
    """Status and body of an error; `pointer` is where in the request its first wrong field stands."""
    status = 400 if error.status == 422 else error.status
    code = "invalid_api_key" if status == 401 else error.code
    kind = "server_error" if status >= _OUR_FAULT else "invalid_request_error"
    param = None if pointer is None else pointer.strip("/").replace("/", ".") or None
    return status, OpenAIErrorBody(error=OpenAIError(message=message, type=kind, param=param, code=code))
