"""What of a description would break those who were written against the one before.

Requests may want no more than before, and take all that was taken; answers and records hold all that they held, in the
types that they had. Words of a list may be added in answers: readers pass over what they do not know.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
_METHODS = ("get", "put", "post", "delete", "patch")
_ANY = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def openapi(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What the new HTTP interface takes away, a line each."""
    found: list[str] = []
    both = Both(old, new)
    for path, methods in old["paths"].items():
        for method in (name for name in _METHODS if name in methods):
            place, now = f"{method.upper()} {path}", new["paths"].get(path, {}).get(method)
            found += [f"{place}: gone"] if now is None else both.operation(place, methods[method], now)
    return found


def asyncapi(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What the new records for subscribers take away, a line each."""
    found: list[str] = []
    both = Both(old, new)
    for name, channel in old["channels"].items():
        if {"name": "public"} not in channel["tags"]:
            continue
        if name not in new["channels"]:
            found.append(f"{name}: gone")
            continue
        for message in channel["messages"]:
            now = new["components"]["messages"].get(message)
            if now is None or message not in new["channels"][name]["messages"]:
                found.append(f"{name} {message}: gone")
                continue
            before = old["components"]["messages"][message]
            found += both.given(f"{name} {message}", before["payload"], now["payload"])
    return found


class Both:
    """Two documents, and how schemas of one compare with those of the other."""

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self._old = old
        self._new = new

    def operation(self, place: str, old: Schema, new: Schema) -> Iterator[str]:
        """Parameters, body and successful answers."""
        yield from self._parameters(place, old.get("parameters", ()), new.get("parameters", ()))
        before, now = old.get("requestBody"), new.get("requestBody")
        if now and now.get("required") and not (before and before.get("required")):
            yield f"{place}: a body is required now"
        for kind, content in (before or {}).get("content", {}).items():
            if kind not in (now or {}).get("content", {}):
                yield f"{place}: takes no {kind} any more"
            else:
                yield from self.taken(f"{place} {kind}", content["schema"], now["content"][kind]["schema"])  # type: ignore[index]  # the body that holds the kind
        for status, answer in old["responses"].items():
            if not status.startswith("2"):
                continue
            if status not in new["responses"]:
                yield f"{place}: answers no {status} any more"
                continue
            for kind, content in answer.get("content", {}).items():
                given = new["responses"][status].get("content", {}).get(kind)
                if given is None:
                    yield f"{place} {status}: is no {kind} any more"
                elif "schema" in content:
                    yield from self.given(f"{place} {status}", content["schema"], given["schema"])

    def taken(self, place: str, old: Schema, new: Schema, depth: int = 0) -> Iterator[str]:
        """Of what a caller sends: all that was good is."""
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        if depth > 8:
            return
        if lost := sorted(_types(self._old, old) - _types(self._new, new)):
            yield f"{place}: takes no {', '.join(lost)} any more"
        if lost := sorted(set(map(str, old.get("enum", ()))) - set(map(str, new.get("enum", old.get("enum", ()))))):
            yield f"{place}: takes no {', '.join(lost)} any more"
        if more := sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{place}: wants {', '.join(more)} now"
        for name, smaller in (("maxLength", 1), ("maximum", 1), ("maxItems", 1), ("minLength", -1), ("minimum", -1)):
            if name in new and (name not in old or smaller * new[name] < smaller * old[name]):
                yield f"{place}: {name} is {new[name]} now"
        for name, schema in old.get("properties", {}).items():
            if name in new.get("properties", {}):
                yield from self.taken(f"{place}.{name}", schema, new["properties"][name], depth + 1)
            elif new.get("additionalProperties") is False:
                yield f"{place}.{name}: is not taken any more"

    def given(self, place: str, old: Schema, new: Schema, depth: int = 0) -> Iterator[str]:
        """Of what a reader gets: all that was there is, and nothing that it never met."""
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        if depth > 8:
            return
        if strange := sorted(_types(self._new, new) - _types(self._old, old)):
            yield f"{place}: may be {', '.join(strange)} now"
        if lost := sorted(set(old.get("required", ())) - set(new.get("required", ()))):
            yield f"{place}: {', '.join(lost)} may be missing now"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{place}.{name}: gone"
            else:
                yield from self.given(f"{place}.{name}", schema, new["properties"][name], depth + 1)
        if "items" in old and "items" in new:
            yield from self.given(f"{place}[]", old["items"], new["items"], depth + 1)

    def _parameters(self, place: str, old: Sequence[Schema], new: Sequence[Schema]) -> Iterator[str]:
        now = {(each["in"], each["name"].lower()): each for each in new}
        known = {(each["in"], each["name"].lower()): each for each in old}
        for key, each in known.items():
            if key not in now:
                yield f"{place}: takes no {key[0]} parameter {key[1]} any more"
            else:
                yield from self.taken(f"{place} {key[1]}", each["schema"], now[key]["schema"])
        for key, each in now.items():
            if each.get("required") and not known.get(key, {}).get("required"):
                yield f"{place}: wants the {key[0]} parameter {key[1]} now"


def _resolved(document: Mapping[str, Any], schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return _resolved(document, options[0]) if len(options) == 1 else schema


def _types(document: Mapping[str, Any], schema: Schema) -> frozenset[str]:
    """The JSON types that fit; all where nothing is said."""
    if "anyOf" in schema:
        return frozenset().union(*(_types(document, _resolved(document, option)) for option in schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return frozenset({"string"})
    told = schema.get("type")
    if told is None:
        return _ANY
    named = frozenset([told] if isinstance(told, str) else told)
    return named | {"integer"} if "number" in named else named
