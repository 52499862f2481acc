"""The dashboard as the tests read it."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/headrace.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: dict[str, dict[str, Any]] = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}


class Query(NamedTuple):
    """One line of a panel; `labels` are those that its legend names."""

    panel: str
    expression: str
    labels: frozenset[str]


def queries() -> list[Query]:
    """Every query of the dashboard, its variables as Grafana fills them in when nothing is chosen."""
    return [
        Query(panel["title"], filled(target["expr"]), frozenset(re.findall(r"{{(\w+)}}", target["legendFormat"])))
        for panel in PANELS for target in panel["targets"]
    ]  # fmt: skip


def filled(expression: str, interval: str = "1m") -> str:
    """`expression` with its variables filled in: all jobs and services, and a rate over `interval`."""
    for name in ("job", "service"):
        expression = expression.replace(f"${name}", VARIABLES[name]["allValue"])
    return expression.replace("$__rate_interval", interval)
