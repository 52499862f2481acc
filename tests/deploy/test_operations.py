"""The page that says how to run it says it of this release."""

import re

import yaml

from schemas.generate import OPERATIONS, operations
from schemas.settings import Settings
from sinks.worker import ALONE, SINKS
from tests.deploy.compose import ROOT, SERVICES

TEXT = OPERATIONS.read_text()


def test_every_setting_is_explained_and_the_table_is_fresh() -> None:
    assert operations(TEXT) == TEXT, "run: make schemas"
    rows = dict(re.findall(r"^\| `HEADRACE_(\w+)` \| .* \| (.+) \|$", TEXT, re.MULTILINE))
    assert [name for name in Settings.model_fields if len(rows.get(name.upper(), "")) < 10] == []


def test_every_alert_every_profile_and_every_sink_is_explained() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    for name in (*(rule["alert"] for rule in rules), *profiles):
        assert f"| `{name}` |" in TEXT, name
    assert all(f"`{name}`" in TEXT or f"headrace sink {name}`" in TEXT for name in (*SINKS, *ALONE))


def test_every_file_that_it_names_is_there() -> None:
    named = re.findall(r"`((?:deploy|docs|tests)/[\w./-]+)`", TEXT)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
