"""One Weaviate node from the binary that `make ci-tools` builds with Go, for tests and the bench."""

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import httpx2

VERSION = "1.35.2"
PORTS = ("rest", "grpc", "gossip", "data", "raft", "raft_rpc")


def binary() -> Path:
    """Where the server lies: `$XDG_CACHE_HOME/headrace/tools/weaviate-server-v<version>`, or below `~/.cache`."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "headrace" / "tools" / f"weaviate-server-v{VERSION}"


class Weaviate:
    """A server whose files lie in `folder`, on 127.0.0.1, anonymous unless `key` is given; a `Server`.

    `ports` are for `PORTS`, in their order; `settings` are variables beyond ours.
    """

    name = "weaviate"
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL

    def __init__(
        self,
        folder: Path,
        ports: Sequence[int],
        *,
        key: str = "",
        log: Path | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.log = log or folder / "weaviate.log"
        self._ports = dict(zip(PORTS, ports, strict=True))
        self._key = key
        self._settings = settings or {}

    @property
    def url(self) -> str:
        """The REST address."""
        return f"http://127.0.0.1:{self._ports['rest']}"

    @property
    def grpc(self) -> str:
        """The gRPC address, `host:port`."""
        return f"127.0.0.1:{self._ports['grpc']}"

    def prepare(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """The server's argument list; it is told nearly everything by its environment."""
        told = [f"{name}={value}" for name, value in self._environment().items()]
        listen = ["--scheme=http", "--host=127.0.0.1", f"--port={self._ports['rest']}"]
        return ["env", *told, str(binary()), *listen]

    def answers(self) -> bool:
        """Whether it serves both REST and gRPC."""
        try:
            socket.create_connection(("127.0.0.1", self._ports["grpc"]), 1).close()
            return httpx2.get(f"{self.url}/v1/.well-known/ready", timeout=1, trust_env=False).is_success
        except (OSError, httpx2.HTTPError):
            return False

    def _environment(self) -> dict[str, str]:
        access = {"AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true"}
        if self._key:
            access = {
                "AUTHENTICATION_APIKEY_ENABLED": "true",
                "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self._key,
                "AUTHENTICATION_APIKEY_USERS": "headrace",
            }
        return access | {
            "PERSISTENCE_DATA_PATH": str(self.folder / "data"),
            "DEFAULT_VECTORIZER_MODULE": "none",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",  # else it takes port 6060, which a second server cannot
            "LOG_LEVEL": "warning",
            "GRPC_PORT": str(self._ports["grpc"]),
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_GOSSIP_BIND_PORT": str(self._ports["gossip"]),
            "CLUSTER_DATA_BIND_PORT": str(self._ports["data"]),
            "RAFT_PORT": str(self._ports["raft"]),
            "RAFT_INTERNAL_RPC_PORT": str(self._ports["raft_rpc"]),
            "RAFT_BOOTSTRAP_EXPECT": "1",
            **self._settings,
        }
