"""What a server's refusal means to a shell: a message, a hint and an exit code."""

from typing import Any

import httpx2

from cli.errors import CliError, Exit
from cli.output import plain

PATIENT = frozenset({429, 503})
"""Statuses that ask the caller to come back."""
_CODES = {
    401: Exit.UNAUTHORIZED,
    403: Exit.UNAUTHORIZED,
    404: Exit.NOT_FOUND,
    410: Exit.NOT_FOUND,
    429: Exit.UNREACHABLE,
    503: Exit.UNREACHABLE,
}
_HINTS: dict[object, str] = {
    401: "give a valid key by --api-key or HEADRACE_API_KEY",
    404: "ids belong to the key that submitted them; is --api-key the same?",
    503: "try again in a moment; `headrace doctor` names the part that is down",
    "not_ready": "wait for it: `headrace jobs watch ID`",
    "job_ended": "what became of it: `headrace jobs get ID`",
    "nothing_stored": "run all of it again: `headrace jobs retry ID`",
    "too_many_pages_waiting": "what waits: `headrace jobs list --state queued`",
    "wrong_code": "send another: `headrace webhooks challenge ID`",
    "already_verified": "try it: `headrace webhooks test ID`",
    "webhook_url_refused": "a public https address; where else they may go: docs/webhooks.md",
    "nothing_to_retry": "what became of it: `headrace jobs get ID`",
}


def told(response: httpx2.Response) -> CliError:
    """A problem answer in the command's words."""
    try:
        problem = json_object(response)
    except CliError as error:
        return error
    if isinstance(problem.get("error"), dict):  # OpenAI's shape, on the routes that speak it
        problem = {**problem["error"], "detail": problem["error"].get("message")}
    status, code = response.status_code, problem.get("code") or response.status_code
    message = f"{plain(str(problem.get('detail') or 'the server refused'))} [{plain(str(code))}]"
    request = problem.get("request_id") or response.headers.get("x-request-id")
    if request:
        message += f"\nrequest: {plain(str(request))}"
    return CliError(message, code=_CODES.get(status, Exit.FAILED), hint=_HINTS.get(code, _HINTS.get(status, "")))


def json_object(response: httpx2.Response) -> dict[str, Any]:
    """The object that an answer holds; raises `CliError` for anything else: such a server is not ours."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        hint = "does --url name a Headrace server?"
        raise CliError(f"{response.url} answered {response.status_code} without JSON", code=Exit.UNREACHABLE, hint=hint)
    return body


def retry_after(response: httpx2.Response) -> float:
    """Seconds that the server asks to wait, half a minute at most."""
    text = response.headers.get("retry-after", "")
    return min(float(text), 30.0) if text.isdecimal() else 1.0
