"""Callers and subscribers who were written against the release before need not change."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.upgrade import compatibility, releases

Document = dict[str, Any]


def _read(folder: Any, name: str) -> Document:
    return dict(json.loads((folder / "docs" / "api" / name).read_text()))


HERE = _read(releases.ROOT, "openapi.json")
TOLD = _read(releases.ROOT, "asyncapi.json")


def test_the_http_interface_takes_nothing_away() -> None:
    assert compatibility.openapi(_read(releases.last().code, "openapi.json"), HERE) == []


def test_records_for_subscribers_hold_all_that_they_held() -> None:
    assert compatibility.asyncapi(_read(releases.last().code, "asyncapi.json"), TOLD) == []


def _schema(document: Document, name: str) -> Document:
    return dict.__getitem__(document["components"]["schemas"], name)


HARM: list[tuple[Callable[[Document], object], str]] = [
    (lambda doc: doc["paths"].pop("/v1/jobs"), "GET /v1/jobs: gone"),
    (lambda doc: doc["paths"]["/v1/jobs/{job}"]["get"]["responses"].pop("200"), "answers no 200 any more"),
    (lambda doc: doc["paths"]["/v1/jobs"]["get"]["parameters"].clear(), "takes no query parameter limit any more"),
    (lambda doc: doc["paths"]["/v1/jobs"]["get"]["parameters"][0].update(required=True), "wants the query parameter"),
    (lambda doc: _schema(doc, "JobView")["properties"].pop("pages_done"), ".pages_done: gone"),
    (lambda doc: _schema(doc, "JobView")["required"].remove("state"), "state may be missing now"),
    (lambda doc: _schema(doc, "JobView")["properties"]["run"].update(type="string"), ".run: may be string now"),
    (lambda doc: _schema(doc, "SearchRequest")["required"].append("mode"), "wants mode now"),
    (lambda doc: _schema(doc, "SearchRequest")["properties"].pop("limit"), ".limit: is not taken any more"),
    (lambda doc: _schema(doc, "SearchRequest")["properties"]["limit"].update(maximum=3), "maximum is 3 now"),
]


@pytest.mark.parametrize(("harm", "told"), HARM)
def test_what_would_break_a_caller_is_seen(harm: Callable[[Document], object], told: str) -> None:
    harmed = copy.deepcopy(HERE)
    harm(harmed)
    assert any(told in line for line in compatibility.openapi(HERE, harmed)), compatibility.openapi(HERE, harmed)
    assert compatibility.openapi(HERE, copy.deepcopy(HERE)) == []


def test_what_would_break_a_subscriber_is_seen() -> None:
    harmed = copy.deepcopy(TOLD)
    harmed["components"]["schemas"]["JobEnded"]["properties"].pop("result")
    assert [line for line in compatibility.asyncapi(TOLD, harmed) if line.endswith(".result: gone")]
