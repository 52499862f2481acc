"""A stack of its own for a program that wants one for a while: the demo, the bench, the tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from deploy.local import children, layout
from deploy.local.postgres import Postgres


class Session:
    """`headrace up` on `folder` as a child process, until the `with` block ends.

    `settings` are added to the environment. Raises `StartFailed`, with the end of the log, when the stack does not come
    up within `patience` seconds.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, patience: float = 120.0) -> None:
        self.folder = folder
        self.log = folder / "up.log"
        self._settings = dict(settings or {})
        self._patience = patience
        self._up: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Session":
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        # Should we be killed, the supervisor still gets a SIGTERM and ends its children in order.
        self._up = children.spawn(
            [sys.executable, "-P", "-m", "cli.main", "up", "--data-dir", str(self.folder)],
            log=self.log, env={**os.environ, **self._settings}, death_signal=signal.SIGTERM,
        )  # fmt: skip
        try:
            self._await_ready(self._up)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._up is not None
        return self._up.pid

    @property
    def credentials(self) -> dict[str, Any]:
        """`url`, and `api_keys` by tenant."""
        found: dict[str, Any] = json.loads((self.folder / "credentials.json").read_text())
        return found

    @property
    def url(self) -> str:
        """Where both API processes answer."""
        return str(self.credentials["url"])

    def headers(self, tenant: str = "demo") -> dict[str, str]:
        """What a request of that tenant carries."""
        return {"Authorization": f"Bearer {self.credentials['api_keys'][tenant]}"}

    @property
    def kafka(self) -> str:
        """The broker's bootstrap address."""
        return f"127.0.0.1:{self._ports['kafka']}"

    @property
    def admin_url(self) -> str:
        """The database owner's URL."""
        return Postgres(self.folder / "postgres", self._ports["postgres"]).url

    def own_urls(self) -> list[str]:
        """Each API process by itself."""
        return [f"http://127.0.0.1:{port}" for name, port in self._ports.items() if name.startswith("api-")]

    @property
    def _ports(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.folder / "ports.json").read_text())
        return found

    def events(self) -> list[dict[str, Any]]:
        """What the supervisor saw: start, ready and exit of each slot."""
        path = self.folder / "run" / "events.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def pids(self) -> dict[str, int]:
        """The running processes by slot, as the supervisor's events tell them."""
        found: dict[str, int] = {}
        for event in self.events():
            if event["event"] == "exit":
                found.pop(event["slot"], None)
            else:
                found[event["slot"]] = event["pid"]
        return found

    def stop(self) -> int:
        """End the stack; the supervisor's exit status."""
        assert self._up is not None
        children.end([self._up], grace=60)  # it gives each group of its own children 10 s
        return self._up.wait()

    def _await_ready(self, up: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + self._patience
        while True:
            told = layout.read(layout.Layout(self.folder).status) or {}
            if told.get("pid") == up.pid and told.get("ready"):
                return
            if up.poll() is not None or time.monotonic() > until:
                what = "is not ready in time" if up.returncode is None else f"ended with exit code {up.returncode}"
                raise children.StartFailed(f"the embedded stack {what}; its log ends:\n{children.tail(self.log, 20)}")
            time.sleep(0.05)
