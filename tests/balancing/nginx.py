"""A real nginx with the configuration that we ship, before API processes."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from deploy.local import ports
from tests.support import until

CONF = Path(__file__).parents[2] / "deploy/nginx/headrace.conf"
_MAIN = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log info;
events {{ worker_connections 1024; }}
http {{
    log_format upstream "$upstream_addr\t$status\t$request"; access_log {folder}/upstream.log upstream;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/headrace.conf;
}}
"""


@contextmanager
def balanced(folder: Path, urls: Sequence[str]) -> Iterator[str]:
    """The address that stands for all of `urls`; which of them answered is in `upstream.log`."""
    [port] = ports.free(1)
    shipped = CONF.read_text()
    assert "listen 8080;" in shipped
    (folder / "headrace.conf").write_text(shipped.replace("listen 8080;", f"listen 127.0.0.1:{port};"))
    servers = "".join(f"server {httpx2.URL(url).netloc.decode()};\n" for url in urls)
    (folder / "headrace-upstream.conf").write_text(servers)
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")]
    with subprocess.Popen(command) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url), 20, "nginx answers")
            yield url
        finally:
            server.terminate()


def answered(folder: Path) -> list[tuple[str, str, str]]:
    """Of each request: who answered it (more than one where it was passed on), the status, the request."""
    found = []
    for line in (folder / "upstream.log").read_text().splitlines():
        by, status, request = line.split("\t")
        found.append((by, status, request))
    return found


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/livez", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
