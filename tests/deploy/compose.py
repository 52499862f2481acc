"""docker-compose.kafka.yml as the tests read it: parsed, and its variables filled in as Compose does."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.kafka.yml"
TEXT = FILE.read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "HEADRACE_IMAGE" in service["image"]}
OTHERS = {name: service for name, service in SERVICES.items() if name not in OURS}
ONCE = {name: service for name, service in OURS.items() if service["restart"] == "no"}
MEMBERS = {name: service for name, service in OURS.items() if service["command"][0] in ("worker", "sink")}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
VARIABLES = {match[1] for match in _VARIABLE.finditer(TEXT)}
REQUIRED = {match[1] for match in _VARIABLE.finditer(TEXT) if match[2] == "?"}


def environment(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """What the service's process is told, by the variables in `given`."""
    told = SERVICES[name].get("environment", {})
    passed = {key: given.get(key) if value is None else filled(value, given) for key, value in told.items()}
    return {key: value for key, value in passed.items() if value is not None}


def filled(text: str, given: Mapping[str, str]) -> str:
    """`text` with its `${…}` filled in."""

    def value(match: re.Match[str]) -> str:
        found = given.get(match[1])
        assert found or match[2] != "?", f"{match[1]} is required"
        return found or match[3] or ""

    return _VARIABLE.sub(value, text)


def made_env() -> tuple[dict[str, str], str]:
    """What deploy/compose/make-env makes: the variables, and the first tenant's API key."""
    script = ROOT / "deploy/compose/make-env"
    made = subprocess.run([script], capture_output=True, text=True, check=True)
    pairs = (line.split("=", 1) for line in made.stdout.splitlines())
    return {name: value.strip("'") for name, value in pairs}, made.stderr.split()[-1]
