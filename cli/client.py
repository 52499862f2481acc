"""The command's way to a server: where it is, who asks, and its routes."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ConfigDict

from cli.errors import CliError, Exit
from cli.problems import PATIENT, json_object, retry_after, told
from cli.webhook_calls import WebhookCalls
from schemas.dead_letters import CauseList, LetterList, LettersTaken, LetterView
from schemas.job_choice import JobsTaken
from schemas.jobs import (
    DocumentDeletion,
    DocumentList,
    DocumentView,
    JobList,
    JobResult,
    JobView,
    SearchRequest,
    SearchResponse,
)  # fmt: skip
from schemas.keys import ApiKey, KeyCreated, KeyList
from schemas.timeline import JobTimeline

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
RECONNECT = 0.5
"""Seconds between tries to reach a server that restarts."""
_CONNECT = 5.0
_KEYS = "/v1/keys"
_LETTERS = "/v1/dead-letters"


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


class ServedModel(BaseModel):
    """A model of a server, with whatever else it says of it."""

    model_config = ConfigDict(extra="allow")

    id: str
    step: str = ""
    version: str = ""
    digest: str = ""


class Away(CliError):
    """The request was surely not carried out; it may be sent again after `wait` seconds."""

    def __init__(self, error: CliError, wait: float) -> None:
        super().__init__(str(error), error.code, error.hint)
        self.wait = wait


class Client:
    """One server's routes, for several threads. Every method raises `CliError` with the exit code of what went wrong.

    `until` (seconds of `time.monotonic`) makes a call patient: it is repeated while the server is away or says 503,
    as often as its `Retry-After` asks, and gives up then.
    """

    def __init__(self, server: Server, *, seconds: float = 60.0) -> None:
        self.url = server.url
        host = httpx2.URL(server.url).host
        self._http = httpx2.Client(
            base_url=server.url,
            headers={"Authorization": f"Bearer {server.key}"},
            timeout=httpx2.Timeout(seconds, connect=min(seconds, _CONNECT)),
            trust_env=host not in _LOOPBACK,  # a proxy for the outside cannot know the way back in
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, path: Path, fields: Mapping[str, str], *, until: float | None = None) -> dict[str, Any]:
        """Upload one document and return what was accepted."""
        name = path.name.encode("utf-8", "replace").decode()
        try:
            with path.open("rb") as file:

                def form() -> dict[str, Any]:
                    file.seek(0)
                    return {"files": {"file": (name, file)}, "data": dict(fields)}

                return self._json("POST", "/v1/jobs", until, form)
        except OSError as error:
            raise CliError(
                f"cannot be read: {error.strerror}", code=Exit.USAGE, hint="give a file that can be read"
            ) from error

    def job(self, job: str, *, until: float | None = None) -> JobView:
        """How far a job is."""
        return JobView.model_validate(self._json("GET", f"/v1/jobs/{_part(job)}", until))

    def jobs(self, query: Mapping[str, str | Sequence[str]]) -> JobList:
        """One page of the jobs that `query` (the route's parameters) asks for."""
        return JobList.model_validate(self._json("GET", "/v1/jobs", body=lambda: {"params": dict(query)}))

    def result(self, job: str) -> JobResult:
        """What a job that has ended found."""
        return JobResult.model_validate(self._json("GET", f"/v1/jobs/{_part(job)}/result"))

    def timeline(self, job: str, query: Mapping[str, str]) -> JobTimeline:
        """One page of what a job's parts went through."""
        path = f"/v1/jobs/{_part(job)}/timeline"
        return JobTimeline.model_validate(self._json("GET", path, body=lambda: {"params": dict(query)}))

    def cancel(self, job: str) -> JobView:
        """Ask for the end of a job's present run."""
        return JobView.model_validate(self._json("POST", f"/v1/jobs/{_part(job)}/cancel"))

    def retry(self, job: str, step: str = "prepare") -> JobView:
        """Begin a new run of a job that ended without success, from a step on."""
        query = {"params": {"from": step}} if step != "prepare" else {}
        return JobView.model_validate(self._json("POST", f"/v1/jobs/{_part(job)}/retry", body=lambda: dict(query)))

    def cancel_jobs(self, chosen: Mapping[str, Any]) -> JobsTaken:
        """Ask for the end of many jobs."""
        return JobsTaken.model_validate(self._json("POST", "/v1/jobs/cancel", body=lambda: {"json": dict(chosen)}))

    def retry_jobs(self, chosen: Mapping[str, Any]) -> JobsTaken:
        """Run many jobs again."""
        return JobsTaken.model_validate(self._json("POST", "/v1/jobs/retry", body=lambda: {"json": dict(chosen)}))

    def documents(self, query: Mapping[str, str]) -> DocumentList:
        """One page of the documents."""
        return DocumentList.model_validate(self._json("GET", "/v1/documents", body=lambda: {"params": dict(query)}))

    def document(self, document_id: str) -> DocumentView:
        """One document."""
        return DocumentView.model_validate(self._json("GET", f"/v1/documents/{_part(document_id)}"))

    def delete_document(self, document_id: str) -> DocumentDeletion:
        """Delete a document with every revision, result and index entry of it."""
        return DocumentDeletion.model_validate(self._json("DELETE", f"/v1/documents/{_part(document_id)}"))

    def letters(self, query: Mapping[str, str | Sequence[str]]) -> LetterList:
        """One page of the dead letters that `query` (the route's parameters) asks for."""
        return LetterList.model_validate(self._json("GET", _LETTERS, body=lambda: {"params": dict(query)}))

    def causes(self, query: Mapping[str, str]) -> CauseList:
        """Open dead letters by what went wrong."""
        return CauseList.model_validate(self._json("GET", f"{_LETTERS}/causes", body=lambda: {"params": dict(query)}))

    def letter(self, letter: str) -> LetterView:
        """One dead letter whole."""
        return LetterView.model_validate(self._json("GET", f"{_LETTERS}/{_part(letter)}"))

    def redrive(self, chosen: Mapping[str, Any]) -> LettersTaken:
        """Try dead letters again."""
        return self._order(f"{_LETTERS}/redrive", chosen)

    def redrive_letter(self, letter: str, edits: Mapping[str, Any]) -> LettersTaken:
        """Try one dead letter again, with edits."""
        return self._order(f"{_LETTERS}/{_part(letter)}/redrive", edits)

    def discard(self, chosen: Mapping[str, Any]) -> LettersTaken:
        """Close dead letters without trying them again."""
        return self._order(f"{_LETTERS}/discard", chosen)

    def _order(self, path: str, body: Mapping[str, Any]) -> LettersTaken:
        return LettersTaken.model_validate(self._json("POST", path, body=lambda: {"json": dict(body)}))

    def keys(self, query: Mapping[str, str]) -> KeyList:
        """One page of the API keys of the caller's tenant."""
        return KeyList.model_validate(self._json("GET", _KEYS, body=lambda: {"params": dict(query)}))

    def create_key(self, wanted: Mapping[str, Any]) -> KeyCreated:
        """Make an API key."""
        return KeyCreated.model_validate(self._json("POST", _KEYS, body=lambda: {"json": dict(wanted)}))

    def rotate_key(self, key: str, overlap_hours: float) -> KeyCreated:
        """Give an API key a new secret."""
        body = {"json": {"overlap_hours": overlap_hours}}
        return KeyCreated.model_validate(self._json("POST", f"{_KEYS}/{_part(key)}/rotate", body=lambda: body))

    def revoke_key(self, key: str) -> ApiKey:
        """End an API key."""
        return ApiKey.model_validate(self._json("DELETE", f"{_KEYS}/{_part(key)}"))

    @property
    def webhooks(self) -> WebhookCalls:
        """The routes of webhook endpoints."""
        return WebhookCalls(self._json)

    def models(self) -> list[ServedModel]:
        """The models that the server answers with."""
        return [ServedModel.model_validate(model) for model in self._json("GET", "/v1/models").get("data", [])]

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

    @contextmanager
    def event_stream(self, job: str, after: int, run: int, silence: float) -> Iterator[httpx2.Response | None]:
        """A job's story after event `after`, up to the end of `run`; None where that was it.

        `silence` is how many seconds may pass without a byte. Raises `Away` when there is no stream or it breaks off.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        timeout = httpx2.Timeout(silence, connect=_CONNECT)
        try:
            with self._http.stream(
                "GET", f"/v1/jobs/{_part(job)}/events", params={"run": run}, headers=headers, timeout=timeout
            ) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refusal(answer)
                yield None if answer.status_code == 204 else answer
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise Away(self._unreachable(error), RECONNECT) from error

    def _json(
        self, method: str, path: str, until: float | None = None, body: Callable[[], dict[str, Any]] = dict
    ) -> dict[str, Any]:
        while True:
            try:
                return self._once(method, path, body())
            except Away as error:
                if until is None or time.monotonic() + error.wait > until:
                    raise
                time.sleep(error.wait)

    def _once(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **body)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            # An upload that broke off may have been accepted: it is not sent twice. A connection refused was not.
            if isinstance(error, httpx2.ConnectError) or (method == "GET" and isinstance(error, httpx2.TransportError)):
                raise Away(self._unreachable(error), RECONNECT) from error
            raise self._unreachable(error) from error
        if response.is_error:
            raise _refusal(response)
        return {} if response.status_code == 204 else json_object(response)

    def _unreachable(self, error: Exception) -> CliError:
        return CliError(
            f"cannot reach {self.url} ({type(error).__name__})",
            code=Exit.UNREACHABLE,
            hint="is it running? `headrace status`, or `headrace doctor` to look closer",
        )


def _refusal(response: httpx2.Response) -> CliError:
    error = told(response)
    return Away(error, retry_after(response)) if response.status_code in PATIENT else error


def _part(name: str) -> str:
    """An id as one part of a path, whatever is in it."""
    return quote(name, safe="")
