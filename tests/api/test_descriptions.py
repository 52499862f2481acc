"""The descriptions of both interfaces: up to date, valid, whole, and true of what is really sent; the page that reads
them needs no other server."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.examples import EXAMPLES
from api.generate import FOLDER, generated
from schemas import topics
from schemas.codec import KINDS, encode
from schemas.control import ControlEntry
from schemas.documents import CancelRequested, DocumentDropped, JobErased
from schemas.jobs import JobState
from schemas.records import Outgoing
from schemas.results import JobEnded
from tests.fakes import World
from tests.served import served
from tests.sinks import events
from tests.tools import SPECTRAL

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return json.loads(generated()["openapi.json"])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return json.loads(generated()["asyncapi.json"])  # type: ignore[no-any-return]


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_files_are_what_the_code_says() -> None:
    found = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert found == generated(), "run: make schemas"


async def test_the_server_describes_itself_by_the_same_documents(client: httpx2.AsyncClient) -> None:
    for name, content in generated().items():
        assert (await client.get(f"/{name}", headers={"authorization": ""})).json() == json.loads(content)


def test_the_http_interface_is_openapi_3_1(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(openapi).iter_errors()) == []


def test_every_operation_is_named_explained_and_says_how_it_fails(openapi: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(openapi)]
    assert len(set(names)) == len(names)
    for where, operation in operations(openapi):
        assert operation["summary"], where
        assert operation["description"], where
        public = not {"health", "tokens"}.isdisjoint(operation["tags"])
        assert ("security" in operation) != public, where
        responses = operation["responses"]
        assert "500" in responses, where
        assert public or "401" in responses, where
        for status, response in responses.items():
            assert response["description"] != "Successful Response", where
            kinds = set(response.get("content", {}))
            if status >= "400" and not public:
                shape = "application/json" if "OpenAI" in json.dumps(response) else "application/problem+json"
                assert kinds == {shape}, (where, status)
                assert all(content["examples"] for content in response["content"].values()), (where, status)
    assert "text/event-stream" in openapi["paths"]["/v1/jobs/{job}/events"]["get"]["responses"]["200"]["content"]
    assert "image/png" in openapi["paths"]["/v1/jobs/{job}/pages/{page}/image"]["get"]["responses"]["200"]["content"]


def test_every_example_is_what_its_schema_describes(openapi: dict[str, Any]) -> None:
    def check(value: Any, schema: dict[str, Any]) -> None:
        whole = {"components": openapi["components"], "allOf": [schema]}
        Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)

    for name, example in EXAMPLES.items():
        check(example, {"$ref": f"#/components/schemas/{name}"})
    for _, operation in operations(openapi):
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    check(example["value"], content["schema"])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolved(document: dict[str, Any], reference: str) -> Any:
    node: Any = document
    for step in reference.removeprefix("#/").split("/"):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def test_every_topic_and_every_record_is_described_with_its_binding(asyncapi: dict[str, Any]) -> None:
    channels = asyncapi["channels"]
    assert {channel["address"] for channel in channels.values()} == {
        *(topic.name for topic in topics.TOPICS), "headrace.results.{tenant}",
    }  # fmt: skip
    for topic in topics.TOPICS:
        binding = channels[topic.name]["bindings"]["kafka"]
        assert (binding["topic"], binding["partitions"]) == (topic.name, topic.partitions)
        assert set(topic.records) <= set(channels[topic.name]["messages"])
        written = [o for o in asyncapi["operations"].values() if o["channel"]["$ref"] == f"#/channels/{topic.name}"]
        assert {"send"} <= {operation["action"] for operation in written}
    assert set(KINDS) <= set(asyncapi["components"]["messages"])
    replies = [operation["reply"] for operation in asyncapi["operations"].values() if "reply" in operation]
    assert len(replies) == 2
    for reference in references(asyncapi):
        assert resolved(asyncapi, reference) is not None


def records() -> list[Outgoing]:
    job = events.new_job()
    tasks = [events.submitted(job), events.prepared(job, 2), events.read(job, 1), events.indexed(job, 1)]
    tasks += [events.failed(job, 2), events.skipped(job, 2), events.embedded(job, 1, [events.towards(1)])]
    ended = JobEnded(state=JobState.PARTIAL, result=f"/v1/jobs/{job}/result", finished_at=events.BEGAN)
    payloads = (ended, CancelRequested(), DocumentDropped(reason="deleted"), JobErased(source="demo/x/source"))
    tasks += [events.task(job, 0, payload) for payload in payloads]
    return [encode(task.record.partition.topic, task.envelope, task.payload) for task in tasks]


@pytest.mark.parametrize("record", records(), ids=lambda record: dict(record.headers)["ce_type"].decode())
def test_what_is_really_written_is_what_is_described(asyncapi: dict[str, Any], record: Outgoing) -> None:
    headers = {name: value.decode() for name, value in record.headers}
    message = asyncapi["components"]["messages"][headers["ce_type"].split(".")[1]]
    for value, schema in ((headers, message["headers"]), (json.loads(record.value or b""), message["payload"])):
        whole = {"components": asyncapi["components"], "allOf": [schema]}
        Draft7Validator.check_schema(whole)
        Draft7Validator(whole, format_checker=Draft7Validator.FORMAT_CHECKER).validate(value)
    foreign = {**headers, "ce_type": "headrace.Nothing.v1"}
    whole = {"components": asyncapi["components"], "allOf": [message["headers"]]}
    assert not Draft7Validator(whole).is_valid(foreign)
    assert not Draft7Validator(whole).is_valid({**headers, "ce_run": "0"})


def test_an_order_on_the_control_topic_is_described(asyncapi: dict[str, Any]) -> None:
    payload = asyncapi["components"]["messages"]["ControlEntry"]["payload"]
    whole = {"components": asyncapi["components"], "allOf": [payload]}
    Draft7Validator(whole).validate(json.loads(ControlEntry(action="cancel", run=2).model_dump_json()))
    assert not Draft7Validator(whole).is_valid({"action": "stop"})


@pytest.mark.needs("spectral")
def test_the_official_rules_of_asyncapi_find_nothing() -> None:
    command = [str(SPECTRAL), "lint", "--fail-severity", "warn", "--ruleset", str(HERE / "spectral.yaml")]
    found = subprocess.run([*command, str(FOLDER / "asyncapi.json")], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


async def test_the_page_allows_itself_nothing_but_this_server(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs", headers={"authorization": ""})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    sources = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert len(sources) == 4
    for source in sources:
        part = await client.get(f"/{source}", headers={"authorization": ""})
        assert part.status_code == 200
        assert part.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/png")
    style = (await client.get("/docs/swagger-ui.css")).text
    assert re.findall(r"url\((?!['\"]?data:)", style) == []
    assert "@import" not in style


@pytest.mark.parametrize("name", ["__init__.py", "nothing.js", "..%2F__init__.py", "swagger-ui.css%00"])
async def test_nothing_else_of_the_package_is_served(client: httpx2.AsyncClient, name: str) -> None:
    assert (await client.get(f"/docs/{name}")).status_code == 404


@pytest.mark.needs("chromium")
def test_a_browser_without_internet_shows_every_operation_under_the_policy(world: World, tmp_path: Path) -> None:
    with served(world) as url:
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
            "--virtual-time-budget=20000", f"--user-data-dir={tmp_path}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"{url}/docs",
        ]  # fmt: skip
        seen = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True, env={**os.environ})
    shown = re.findall(r'data-path="([^"]+)"', seen.stdout)
    described = json.loads(generated()["openapi.json"])["paths"]
    assert {path.replace("\u200b", "") for path in shown} == set(described)
    assert "CONSOLE" not in seen.stderr, seen.stderr  # a breach of the policy would be told there
