"""Parameters of an address that are given more than once: where a name takes one value, none is the right one."""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints

from fastapi import Request, params
from pydantic import BaseModel

from api.errors import FieldProblem, InvalidRequest

_MANY = (tuple, list, set, frozenset)
_MOST = 16
"""Names that are told of at once."""


def check(request: Request) -> None:
    """Raise `InvalidRequest` where a parameter that takes one value is given more than once."""
    if not request.scope["query_string"]:
        return
    given = Counter(name for name, _ in request.query_params.multi_items())
    wrong = sorted(name for name, count in given.items() if count > 1 and name not in _many(request.scope["endpoint"]))
    if wrong:
        detail = "is given more than once"
        raise InvalidRequest(
            [FieldProblem(pointer=f"/{name[:64]}", code="repeated", detail=detail) for name in wrong[:_MOST]]
        )


@lru_cache(maxsize=256)
def _many(endpoint: Callable[..., Any]) -> frozenset[str]:
    """The names that may be given more than once to the route of this endpoint: lists stand in models of queries."""
    names: set[str] = set()
    for kind, *notes in filter(None, map(get_args, get_type_hints(endpoint, include_extras=True).values())):
        model = isinstance(kind, type) and issubclass(kind, BaseModel)
        if model and any(isinstance(note, params.Query) for note in notes):
            names |= {name for name, each in kind.model_fields.items() if get_origin(each.annotation) in _MANY}
    return frozenset(names)
