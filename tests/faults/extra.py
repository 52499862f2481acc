"""Processes beside a stack's own: made as a slot's process is, under another name or with other settings."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

from deploy.local import children, ports
from deploy.local.session import Session
from tests.support import until


class Extra:
    """A process like that of `slot`, called `name`, until the `with` block ends; of `module` if one is named."""

    def __init__(
        self, stack: Session, slot: str, name: str, settings: Mapping[str, str] | None = None, module: str = ""
    ) -> None:
        like = psutil.Process(stack.pids()[slot])
        self.name = name
        self._ready = stack.folder / "run" / f"{name}.ready"
        self._argv = like.cmdline()
        if module:
            self._argv[self._argv.index("-m") + 1] = module
        if "--own-port" in self._argv:  # an API process: on a port of its own alone
            (port,) = ports.free(1)
            self.url = f"http://127.0.0.1:{port}"
            self._argv = [*self._argv[: self._argv.index("--fd")], "--own-port", str(port)]
        self._log = stack.folder / "logs" / f"{name}.log"
        self._env = like.environ() | {"HEADRACE_SLOT": name} | dict(settings or {})
        self._env["PYTHONPATH"] = str(Path(__file__).parents[2])
        if "HEADRACE_METRICS_PORT" in self._env:
            self._env["HEADRACE_METRICS_PORT"] = str(ports.free(1)[0])
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Extra":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self.child is not None
        children.end([self.child], grace=20)

    def start(self) -> None:
        """Start it; returns at once."""
        self._ready.unlink(missing_ok=True)
        self.child = children.spawn(self._argv, log=self._log, env=self._env)

    def ready(self) -> bool:
        """Whether it works."""
        assert self.child is not None
        return self._ready.exists() and json.loads(self._ready.read_text())["pid"] == self.child.pid

    def until_ready(self, seconds: float = 60) -> None:
        """Wait until it works."""
        until(self.ready, seconds, f"{self.name} ready")

    @property
    def log(self) -> str:
        """What it printed."""
        return self._log.read_text()
