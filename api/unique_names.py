"""Objects of JSON without a name given twice, of which two readers may take two values (RFC 8259, 4; RFC 7519, 4)."""

from typing import Any


class NameRepeated(ValueError):
    """An object gives a name more than once."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these members, as `json.loads` asks for it; raises `NameRepeated`."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NameRepeated
    return found
