"""Routes that FastAPI describes and does not solve: their one dependency is asked by hand."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_args, get_type_hints

from fastapi import Request, Response, params
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and its door, `who`, and answers with a response.

    FastAPI works out anew for each request what an endpoint takes: for the one route that has to be quick, a fifth of
    what is done for it. Its description is made of the signature, as for any route.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        door = _door(endpoint)
        enter, scopes = door.dependency, SecurityScopes(list(door.scopes or ()))
        assert enter is not None

        async def handle(request: Request) -> Response:
            return await endpoint(request=request, who=await enter(request, scopes))

        return handle


def _door(endpoint: Callable[..., Any]) -> params.Security:
    hints = get_type_hints(endpoint, include_extras=True)
    if hints.keys() != {"request", "who", "return"}:
        raise TypeError(f"{endpoint.__name__} is to take `request` and `who`, and nothing else")
    [door] = [note for note in get_args(hints["who"])[1:] if isinstance(note, params.Security)]
    return door
