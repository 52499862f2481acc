"""The command's way to a server: where it is, who asks, and what its answers mean to a shell."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from cli.errors import CliError, Exit
from schemas.jobs import JobResult, JobView, SearchRequest, SearchResponse

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PATIENT = {429, 503}
_RECONNECT = 0.5  # seconds between tries to reach a server that restarts


@dataclass(frozen=True, slots=True)
class Server:
    """An address and the key to it."""

    url: str
    key: str

    @classmethod
    def find(cls, url: str | None, key: str | None, data_dir: Path) -> "Server":
        """What was given, completed by the embedded stack's credentials; raises `CliError` when that is not enough."""
        if url and key:
            return cls(url.rstrip("/"), key)
        kept = data_dir / "credentials.json"
        try:
            stack = json.loads(kept.read_text())
            return cls((url or stack["url"]).rstrip("/"), key or stack["api_keys"]["demo"])
        except FileNotFoundError:
            missing = "server is known" if url is None else "API key is known"
            raise CliError(
                f"no {missing}: there is no {kept}",
                code=Exit.UNAUTHORIZED if url else Exit.UNREACHABLE,
                hint="start one with `headrace up`, or give --url and --api-key (HEADRACE_URL, HEADRACE_API_KEY)",
            ) from None
        except (OSError, ValueError, KeyError) as error:
            raise CliError(f"{kept} cannot be read", code=Exit.UNREACHABLE, hint="give --url and --api-key") from error


class Client:
    """One server's routes. Every method raises `CliError` with the exit code of what went wrong.

    `until` (seconds of `time.monotonic`) makes a call patient: it is repeated while the server is away or says 503,
    as often as its `Retry-After` asks, and gives up then.
    """

    def __init__(self, server: Server) -> None:
        self.url = server.url
        host = httpx2.URL(server.url).host
        self._http = httpx2.Client(
            base_url=server.url,
            headers={"Authorization": f"Bearer {server.key}"},
            timeout=httpx2.Timeout(60, connect=5),
            trust_env=host not in _LOOPBACK,  # a proxy for the outside cannot know the way back in
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, path: Path, fields: Mapping[str, str], *, until: float | None = None) -> dict[str, Any]:
        """Upload one document and return what was accepted."""
        try:
            with path.open("rb") as file:

                def form() -> dict[str, Any]:
                    file.seek(0)
                    return {"files": {"file": (path.name, file)}, "data": dict(fields)}

                return self._json("POST", "/v1/jobs", until, form)
        except OSError as error:
            raise CliError(
                f"cannot be read: {error.strerror}", code=Exit.USAGE, hint="give a file that can be read"
            ) from error

    def job(self, job: str, *, until: float | None = None) -> JobView:
        """How far a job is."""
        return JobView.model_validate(self._json("GET", f"/v1/jobs/{job}", until))

    def result(self, job: str) -> JobResult:
        """What a job that has ended found."""
        return JobResult.model_validate(self._json("GET", f"/v1/jobs/{job}/result"))

    def search(self, wanted: SearchRequest) -> SearchResponse:
        """The passages nearest to a query."""
        return SearchResponse.model_validate(
            self._json("POST", "/v1/search", body=lambda: {"json": wanted.model_dump()})
        )

    def get(self, path: str) -> httpx2.Response:
        """Any answer of the server, an error's too; raises `CliError` only when there is none."""
        try:
            return self._http.get(path)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise self._unreachable(error) from error

    def _json(
        self, method: str, path: str, until: float | None = None, body: Callable[[], dict[str, Any]] = dict
    ) -> dict[str, Any]:
        while True:
            try:
                return self._once(method, path, body())
            except _Away as error:
                if until is None or time.monotonic() + error.wait > until:
                    raise error.told from error
                time.sleep(error.wait)

    def _once(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **body)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            # An upload that broke off may have been accepted: it is not sent twice. A connection refused was not.
            if isinstance(error, httpx2.ConnectError) or (method == "GET" and isinstance(error, httpx2.TransportError)):
                raise _Away(self._unreachable(error), _RECONNECT) from error
            raise self._unreachable(error) from error
        if response.status_code in _PATIENT:
            raise _Away(told(response), _retry_after(response))
        if response.is_error:
            raise told(response)
        return _object(response)

    def _unreachable(self, error: Exception) -> CliError:
        return CliError(
            f"cannot reach {self.url} ({type(error).__name__})",
            code=Exit.UNREACHABLE,
            hint="is it running? `headrace status`, or `headrace doctor` to look closer",
        )


class _Away(Exception):
    """The request was surely not carried out; it may be sent again after `wait` seconds."""

    def __init__(self, told: CliError, wait: float) -> None:
        super().__init__(str(told))
        self.told = told
        self.wait = wait


def told(response: httpx2.Response) -> CliError:
    """A problem answer in the command's words."""
    try:
        problem = _object(response)
    except CliError as error:
        return error
    message = f"{problem.get('detail', 'the server refused')} [{problem.get('code', response.status_code)}]"
    request = problem.get("request_id")
    if request:
        message += f"\nrequest: {request}"
    codes = {
        401: Exit.UNAUTHORIZED,
        404: Exit.NOT_FOUND,
        410: Exit.NOT_FOUND,
        429: Exit.UNREACHABLE,
        503: Exit.UNREACHABLE,
    }
    hints = {
        401: "give a valid key by --api-key or HEADRACE_API_KEY",
        404: "ids belong to the key that submitted them; is --api-key the same?",
        409: "wait for it: `headrace jobs get ID`",
        503: "try again in a moment; `headrace doctor` names the part that is down",
    }
    status = response.status_code
    return CliError(message, code=codes.get(status, Exit.FAILED), hint=hints.get(status, ""))


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        hint = "does --url name a Headrace server?"
        raise CliError(f"{response.url} answered {response.status_code} without JSON", code=Exit.UNREACHABLE, hint=hint)
    return body


def _retry_after(response: httpx2.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), 30.0) if text.isdecimal() else 1.0
