"""What there is in data, in a few words."""

import json
from collections.abc import Mapping
from typing import Any

_VALUE = 60  # characters of a text


def facts(data: Mapping[str, Any]) -> str:
    """The simple values, how long lists are, and of inner objects the code, where they have one.

    Paths on the API are left out: they say no more than job and part do, at length.
    """
    found = []
    for name, value in data.items():
        if isinstance(value, list):
            found += [f"{short(name)}[{len(value)}]"] if value else []
        elif isinstance(value, dict):
            code = value.get("code")
            found += [f"{short(name)}={short(code)}"] if isinstance(code, str) else []
        elif value not in (None, "") and not str(value).startswith("/v1/"):
            found.append(f"{short(name)}={short(value if isinstance(value, str) else json.dumps(value))}")
    return " ".join(found)


def short(text: str) -> str:
    """A text on one line, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
