"""Routes whose body is JSON: it says so, and gives each of its names once."""

import contextlib
import json
import math
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from api.errors import NotJson
from api.unique_names import NameRepeated, once
from schemas.errors import BadRequest


class JsonRoute(APIRoute):
    """A route that refuses what parsers read differently: another type, names given twice, numbers that are none.

    RFC 8259, 4 and 6: what follows of such a body is not foreseeable.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def checked(request: Request) -> Response:
            told = _JsonRequest(request.scope, request.receive)
            if await told.body() and not _is_json(request.headers):
                raise NotJson
            with contextlib.suppress(ValueError, RecursionError):  # what is no JSON is told of as for any route
                await told.json()
            return await handle(told)

        return checked


class _JsonRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                self._json = json.loads(body, object_pairs_hook=once, parse_constant=_no_number, parse_float=_finite)
            except NameRepeated as error:
                raise BadRequest("the body gives a name more than once") from error
        return self._json


def _no_number(word: str) -> float:
    raise BadRequest(f"{word} is no number of JSON")


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise BadRequest("the body has a number that is too large")
    return number


def _is_json(headers: Headers) -> bool:
    if headers.get("content-encoding", "identity") != "identity":
        return False
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
