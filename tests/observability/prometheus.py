"""A real Prometheus on the shipped configuration, its targets named instead of discovered, scraping every second."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import yaml

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "deploy/prometheus"


class Prometheus:
    """A server whose files lie in `folder`; a `Server`. `targets` are ports of 127.0.0.1 by service."""

    name = "prometheus"
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL

    def __init__(self, folder: Path, port: int, targets: Mapping[str, int]) -> None:
        self.folder = folder
        self.log = folder / "prometheus.log"
        self._url = f"http://127.0.0.1:{port}"
        self._port = port
        self._targets = targets

    def prepare(self) -> None:
        """Write the configuration."""
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(SHIPPED / "alerts.yml")]
        for job in config["scrape_configs"]:
            if discovered := job.pop("dns_sd_configs", None):
                services = [name for source in discovered for name in source["names"]]
                job["static_configs"] = [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {"service": slot.rpartition("-")[0]}}
                    for slot, port in self._targets.items() if slot.rpartition("-")[0] in services
                ]  # fmt: skip
            else:
                job["static_configs"] = [{"targets": [f"127.0.0.1:{self._port}"]}]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def command(self) -> list[str]:
        """The argument list."""
        return [
            "prometheus", f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self._port}",
        ]  # fmt: skip

    def answers(self) -> bool:
        """Whether it serves queries."""
        try:
            return httpx2.get(f"{self._url}/-/ready", timeout=1, trust_env=False).is_success
        except httpx2.HTTPError:
            return False

    def get(self, path: str, **query: str) -> Any:
        """`data` of an answer of the HTTP API; fails where the query is wrong or Prometheus warns of it."""
        answer = httpx2.get(f"{self._url}/api/v1/{path}", params=query, timeout=20, trust_env=False).json()
        assert answer["status"] == "success", answer
        assert not answer.get("warnings"), answer["warnings"]
        return answer["data"]

    def seen(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression had in the last five minutes, as a panel draws them."""
        now = time.time()
        query = {"query": expression, "start": str(now - 300), "end": str(now), "step": "1"}
        found: list[dict[str, Any]] = self.get("query_range", **query)["result"]
        return found

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found
