"""Requests made from the description, good and bad ones, at a real server over real tables (schemathesis).

`HEADRACE_CASES` is how many are made of each operation.
"""

import dataclasses
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from api.app import create_app
from api.auth.own_tokens import OwnTokens
from api.parts import Parts
from sinks.blobs import FolderBlobs
from sinks.postgres.keys import PostgresKeyStore
from sinks.postgres.letter_reader import PostgresLetterReader
from sinks.postgres.reader import PostgresJobReader
from sinks.postgres.submissions import PostgresSubmissions
from sinks.postgres.webhooks import PostgresWebhookStore
from tests.fakes import World
from tests.served import served
from tests.sinks.databases import Database, fresh

CASES = int(os.environ.get("HEADRACE_CASES", "8"))
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [
    schemathesis.checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance,
]  # fmt: skip
BAD_ONES = [*CHECKS, checks.negative_data_rejection]


def _parts(database: Database, folder: Path) -> Parts:
    """All that lies in PostgreSQL is real; the log and the model are not."""
    world, api = World(), database.api
    jobs, keys, letters = PostgresJobReader(api), PostgresKeyStore(api), PostgresLetterReader(api)
    hooks, book = PostgresWebhookStore(api), PostgresSubmissions(api, expiry_hours=24, lease=15)
    return dataclasses.replace(
        world.parts(), jobs=jobs, keys=keys, letters=letters, webhooks=hooks, submissions=book,
        blobs=FolderBlobs(folder), own_tokens=OwnTokens("https://headrace.example", {1: "secret"}, world.entries),
        closers=tuple(each.close for each in (jobs, keys, letters, hooks, book)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def url(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(_parts(fresh(postgres), tmp_path_factory.mktemp("blobs"))) as url:
        yield url


@cache
def _operations(url: str) -> dict[str, Any]:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    return {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}


def _labels() -> list[str]:
    paths = create_app(World().parts()).openapi()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize("label", _labels())
def test_whatever_is_asked_the_answer_is_one_that_is_described(url: str, label: str) -> None:
    operation, caller = _operations(url)[label], requests.Session()
    given_by_callers = any((operation.body, operation.query, operation.path_parameters, operation.headers))
    cases = operation.as_strategy(generation_mode=MODES[0])
    if given_by_callers:
        cases |= operation.as_strategy(generation_mode=MODES[1])

    @seed(20261122)
    @settings(
        max_examples=CASES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases)
    def ask(case: Any) -> None:
        answer = case.call(headers={"Authorization": "Bearer demo-key"}, session=caller, timeout=30)
        one_in_a_list = any(isinstance(value, list) and len(value) == 1 for value in (case.query or {}).values())
        # In an address that is the value itself: it is made as a bad request, and is none.
        case.validate_response(answer, checks=CHECKS if one_in_a_list else BAD_ONES)

    ask()
