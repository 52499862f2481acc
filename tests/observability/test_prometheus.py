"""What an operator sees of a running stack: each query of dashboard and alerts, asked of a real Prometheus."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import httpx2
import pytest

from deploy.local import children, ports
from deploy.local.samples import letters
from deploy.local.session import Session
from processors.worker import STEPS
from schemas import errors
from schemas.telemetry import Metric
from schemas.topics import GROUPS, TOPICS
from sinks.worker import ALONE, SINKS
from tests.deploy.grafana import VARIABLES, filled, queries
from tests.flow.jobs import ended, submit
from tests.observability.prometheus import Prometheus
from tests.support import until
from tests.unit.decoding.documents import ENCRYPTED

pytestmark = [pytest.mark.stack, pytest.mark.needs("prometheus")]
WORK = "sum(headrace_step_records_total{step='index-pgvector'})"
LONG, PAGES = 60, 72
"""Pages of a document that is too long to go to work at once, and of all."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(
        tmp_path_factory.mktemp("observed"), {"HEADRACE_ENGINES": "fake", "HEADRACE_WEIGHTS": '{"demo": 2}'}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(stack: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It watched while documents went through, one of which was refused."""
    (port,) = ports.free(1)
    targets = json.loads((stack.folder / "ports.json").read_text())
    watching = Prometheus(tmp_path_factory.mktemp("prometheus"), port, targets)
    with children.running(watching):
        slots = stack.pids().keys() - {"kafka", "postgres"}
        until(lambda: len(watching.ask("up == 1")) == len(slots) + 1, 30, "every process to be scraped")
        until(lambda: watching.ask("headrace_group_lag_records"), 30, "the lag to be seen")
        _work(stack, tmp_path_factory.mktemp("letters"))
        until(lambda: _value(watching, WORK) >= PAGES, 30, "the work to be seen")
        until(lambda: _value(watching, "sum(headrace_step_rejects_total)") >= 1, 30, "the refusal to be seen")
        until(lambda: _value(watching, "max(headrace_dead_letters_records)") >= 1, 30, "the dead letter to be seen")
        until(lambda: _value(watching, "sum(headrace_relay_records_total)") >= PAGES + 4, 30, "the relay to be seen")
        yield watching


def _work(stack: Session, folder: Path) -> None:
    letters(four := folder / "four.pdf", 4)
    letters(long := folder / "long.pdf", LONG)
    with httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=30) as client:
        refused = submit(client, ENCRYPTED).json()["id"]
        jobs = [submit(client, four.read_bytes(), document_id=f"d{n}").json()["id"] for n in range(3)]
        jobs.append(submit(client, long.read_bytes()).json()["id"])
        assert {ended(client, job, 120)["state"] for job in jobs} == {"succeeded"}
        assert ended(client, refused)["state"] == "failed"
        assert client.post("/v1/search", json={"query": "letter"}).status_code == 200
        assert client.get("/v1/jobs/job_none").status_code == 404
        assert client.get("/no-such-page").status_code == 404


def _value(prometheus: Prometheus, expression: str) -> float:
    return sum(float(series["value"][1]) for series in prometheus.ask(expression))


def test_every_panel_has_something_to_show(prometheus: Prometheus) -> None:
    asked = {query: prometheus.seen(query.expression) for query in queries()}
    assert len(asked) > 40
    assert [query for query, series in asked.items() if not series] == []
    for query, series in asked.items():
        assert all(one["metric"].keys() >= query.labels for one in series), f"{query} has lines without their names"


def test_what_the_panels_say_of_the_work_is_what_was_done(prometheus: Prometheus) -> None:
    assert _value(prometheus, "sum(headrace_api_accepted_total)") == 5
    assert _value(prometheus, "sum(headrace_step_records_total{step='ocr', outcome='emit'})") == PAGES
    assert _value(prometheus, "max(headrace_dead_letters_records)") == 1
    (letter,) = prometheus.ask("headrace_step_rejects_total > 0")
    assert (letter["metric"]["step"], letter["metric"]["code"]) == ("prepare", "encrypted_document")
    for step in STEPS:
        for histogram in ("headrace_step_queue_seconds", "headrace_step_batch_seconds"):
            (p95,) = prometheus.ask(f"histogram_quantile(0.95, sum by (le) ({histogram}_bucket{{step='{step}'}}))")
            assert 0 < float(p95["value"][1]) < 60, (step, histogram)
    assert not any(math.isnan(float(s["value"][1])) for s in prometheus.ask("process_resident_memory_bytes"))


def test_every_metric_of_the_closed_list_is_told_by_some_process(prometheus: Prometheus) -> None:
    told = set(prometheus.get("label/__name__/values"))
    assert [name for name in get_args(Metric) if name not in told and f"{name}_bucket" not in told] == []


def test_every_label_has_values_of_a_closed_set(stack: Session, prometheus: Prometheus) -> None:
    routes = set(httpx2.get(f"{stack.url}/openapi.json", trust_env=False).json()["paths"])
    topics = {topic.name for topic in TOPICS}
    closed = {
        "step": {*STEPS, *SINKS, *ALONE},
        "outcome": {"emit", "retry", "reject", "hold", "skip", "delivered", "failed", "refused"},
        "code": set(_codes(errors.HeadraceError)), "route": {*routes, "/openapi.json", "/docs", "unmatched"},
        "group": set(GROUPS), "topic": topics,
        "lane": {"interactive", "bulk"}, "tenant": {"demo"}, "status": {str(number) for number in range(200, 600)},
    }  # fmt: skip
    known = {"__name__", "instance", "job", "service", "le", "version", "what", "duty", "reason", *closed}
    for series in prometheus.get("series", **{"match[]": '{__name__=~"headrace_.+"}'}):
        assert series.keys() <= known, series
        assert all(series[name] in values for name, values in closed.items() if name in series), series


def _codes(kind: type[errors.HeadraceError]) -> Iterator[str]:
    yield kind.code
    for leaf in kind.__subclasses__():
        yield from _codes(leaf)


def test_every_process_tells_its_memory_its_cpu_and_its_release(stack: Session, prometheus: Prometheus) -> None:
    processes = len(stack.pids().keys() - {"kafka", "postgres"})
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "headrace_build_info"):
        assert len(prometheus.ask(f'{name}{{job=~"headrace-.+"}}')) == processes, name


def test_variables_offer_the_jobs_and_services_that_run(stack: Session, prometheus: Prometheus) -> None:
    offered = {}
    for name in ("job", "service"):
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", VARIABLES[name]["definition"])
        assert match
        offered[name] = set(prometheus.get(f"label/{match[2]}/values", **{"match[]": filled(match[1])}))
    assert offered["job"] == {"headrace-api", "headrace-workers"}
    assert offered["service"] == {slot.rpartition("-")[0] for slot in stack.pids().keys() - {"kafka", "postgres"}}


def test_every_alert_rule_is_evaluated_and_a_healthy_stack_rings_none(prometheus: Prometheus) -> None:
    def evaluated() -> bool:
        (group,) = prometheus.get("rules")["groups"]
        return all(rule["health"] == "ok" and not rule.get("lastError") for rule in group["rules"])

    until(evaluated, 20, "every rule to be evaluated")
    assert [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]] == []
