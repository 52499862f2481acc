"""The dashboard is one that Grafana draws: what its queries say is tried in tests/observability."""

import re
from itertools import combinations
from typing import Any, get_args

import yaml

from schemas.telemetry import Metric
from tests.deploy.grafana import DASHBOARD, PANELS, ROOT, VARIABLES, filled, queries

PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_open_fds",
}
RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]


def _place(panel: dict[str, Any]) -> tuple[int, int, int, int]:
    at = panel["gridPos"]
    return at["x"], at["y"], at["x"] + at["w"], at["y"] + at["h"]


def test_panels_have_numbers_of_their_own_and_a_place_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        left, top, right, bottom = _place(panel)
        assert 0 <= left < right <= 24, panel["title"]
        assert 0 <= top < bottom, panel["title"]
    for one, other in combinations(panels, 2):
        a, b = _place(one), _place(other)
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one['title']} lies on {other['title']}"


def test_every_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_source() -> None:
    for panel in PANELS:
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None, panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}, panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0, panel["title"]


def test_every_variable_that_is_used_is_declared() -> None:
    used = set(re.findall(r"\$\{?([a-z]+)\}?", str(DASHBOARD["panels"]) + str(DASHBOARD["templating"])))
    assert used <= VARIABLES.keys()
    assert "$" not in "".join(query.expression for query in queries())


def test_the_dashboard_shows_every_metric_that_there_is() -> None:
    text = " ".join(query.expression for query in queries())
    missing = [name for name in get_args(Metric) if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", text)]
    assert missing == []


def test_only_metrics_that_there_are_are_asked_for() -> None:
    rules = [filled(str(rule["expr"])) for rule in RULES]
    named = set(
        re.findall(r"\b(?:headrace|process)_\w+", " ".join([*rules, *(query.expression for query in queries())]))
    )
    known = {name + suffix for name in get_args(Metric) for suffix in ("", "_bucket", "_sum", "_count")}
    assert named <= known | PROCESS


def test_the_lines_in_the_panels_are_the_limits_of_the_alerts() -> None:
    limits = {rule["alert"]: float(str(rule["expr"]).split(">")[-1]) for rule in RULES if ">" in str(rule["expr"])}
    lines = {
        match[1]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for panel in PANELS if (match := re.search(r"the alert (\w+) begins", panel["description"]))
    }  # fmt: skip
    assert lines.keys() == {"HeadraceBehind", "HeadraceRelayBehind", "HeadraceApiErrors"}
    assert lines == {alert: limits[alert] for alert in lines}


def test_provisioning_points_at_what_compose_mounts() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.kafka.yml").read_text())["services"]["grafana"]
    mounts = dict(mount.removesuffix(":ro").split(":")[:2] for mount in compose["volumes"])
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/headrace.yml").read_text())
    (folder,) = (entry["options"]["path"] for entry in provider["providers"])
    assert mounts["./deploy/grafana/headrace.json"] == f"{folder}/headrace.json"
    assert compose["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/headrace.json"
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    assert source["datasources"][0]["uid"] == VARIABLES["datasource"]["current"]["value"]
