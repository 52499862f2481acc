"""A Weaviate that dies and comes back, on the same ports and files."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from deploy.local import children, ports
from deploy.local.weaviate import PORTS, Weaviate


class VectorServer:
    """Runs until the `with` block ends; `settings` are what a stack is told of it."""

    def __init__(self, folder: Path) -> None:
        self.server = Weaviate(folder, ports.free(len(PORTS)))

    def __enter__(self) -> "VectorServer":
        self._child = children.start(self.server)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        children.end([self._child])

    @property
    def settings(self) -> Mapping[str, str]:
        return {"HEADRACE_WEAVIATE": self.server.url, "HEADRACE_WEAVIATE_GRPC": self.server.grpc}

    def crash(self) -> float:
        """kill -9 and start again; seconds until it answers."""
        begun = time.monotonic()
        self._child.kill()
        self._child.wait()
        self._child = children.start(self.server)
        return time.monotonic() - begun
