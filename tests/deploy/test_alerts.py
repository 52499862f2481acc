"""The alert rules, told invented histories by promtool: each fires when it should, and is silent otherwise."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.grafana import ROOT

pytestmark = pytest.mark.needs("prometheus")  # promtool comes with it
FOLDER = ROOT / "deploy/prometheus"


def _promtool(*arguments: str, folder: Path = FOLDER) -> str:
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_reads_the_configuration_and_the_rules() -> None:
    assert "11 rules found" in _promtool("check", "config", "prometheus.yml")
    _promtool("check", "rules", "alerts.yml")


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    _promtool("test", "rules", "alerts_test.yml", folder=tmp_path)


def test_every_alert_has_a_history_that_rings_it_and_one_that_does_not() -> None:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    histories = yaml.safe_load(Path(__file__).with_name("alerts_test.yml").read_text())["tests"]
    told = [(case["alertname"], "exp_alerts" in case) for history in histories for case in history["alert_rule_test"]]
    assert set(told) == {(rule["alert"], rings) for rule in group["rules"] for rings in (True, False)}
