"""The API over in-memory or other ports, served from a thread, for clients that want a real address."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from api.app import create_app
from api.parts import Parts
from api.slow_heads import HTTP
from tests.fakes import World


@contextmanager
def served(world: World | Parts, port: int = 0) -> Iterator[str]:
    """The URL at which `world` answers; the socket listens at once, so that no caller has to wait."""
    listener = socket.create_server(("127.0.0.1", port))
    app = create_app(world if isinstance(world, Parts) else world.parts())
    server = uvicorn.Server(uvicorn.Config(app, **HTTP, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
