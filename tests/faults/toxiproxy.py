"""A toxiproxy of our own, and the wires that run through it."""

from pathlib import Path
from types import TracebackType

import httpx2

from deploy.local import children, ports
from tests.support import until
from tests.tools import TOXIPROXY


class Wire:
    """One proxied connection: `port` is where clients come, `upstream` the server's own."""

    def __init__(self, client: httpx2.Client, name: str, port: int, upstream: int) -> None:
        self.port = port
        self._client = client
        self._path = f"/proxies/{name}"
        listen, server = f"127.0.0.1:{port}", f"127.0.0.1:{upstream}"
        client.post("/proxies", json={"name": name, "listen": listen, "upstream": server}).raise_for_status()

    def cut(self) -> None:
        """Close every connection, refuse new ones."""
        self._client.post(self._path, json={"enabled": False}).raise_for_status()

    def mend(self) -> None:
        """Let connections through again, without any toxic."""
        for toxic in self._client.get(f"{self._path}/toxics").json():
            self._client.delete(f"{self._path}/toxics/{toxic['name']}").raise_for_status()
        self._client.post(self._path, json={"enabled": True}).raise_for_status()

    def poison(self, kind: str, **attributes: int) -> None:
        """Add a toxic by toxiproxy's name and attributes, on the way to the clients."""
        toxic = {"type": kind, "stream": "downstream", "attributes": attributes}
        self._client.post(f"{self._path}/toxics", json=toxic).raise_for_status()


class Toxiproxy:
    """Runs until the `with` block ends."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "toxiproxy.log"
        self._port = ports.free(1)[0]
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=10, trust_env=False)

    def __enter__(self) -> "Toxiproxy":
        argv = [str(TOXIPROXY), "-host", "127.0.0.1", "-port", str(self._port)]
        self._child = children.spawn(argv, log=self._log)
        until(self._answers, 10, "toxiproxy answers")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.close()
        children.end([self._child])

    def wire(self, name: str, upstream: int) -> Wire:
        """A new way to a server's port."""
        return Wire(self._client, name, ports.free(1)[0], upstream)

    def _answers(self) -> bool:
        try:
            return self._client.get("/version").is_success
        except httpx2.TransportError:
            return False
