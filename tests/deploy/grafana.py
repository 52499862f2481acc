"""The dashboard as the tests read it."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/headrace.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: dict[str, dict[str, Any]] = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}


def queries() -> list[tuple[str, str]]:
    """Each query with the panel that it belongs to, its variables as Grafana fills them in when nothing is chosen."""
    found = [(f"{panel['id']} {panel['title']}", target["expr"]) for panel in PANELS for target in panel["targets"]]
    return [(title, filled(expression)) for title, expression in found]


def filled(expression: str, interval: str = "1m") -> str:
    """`expression` with its variables filled in: all jobs and services, and a rate over `interval`."""
    for name in ("job", "service"):
        expression = expression.replace(f"${name}", VARIABLES[name]["allValue"])
    return expression.replace("$__rate_interval", interval)
