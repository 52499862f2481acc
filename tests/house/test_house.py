"""The house stands as drawn: sizes, names, roots, the wheel, and what must never be said or imported."""

import ast
import subprocess
import sys
import zipfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "cli", "deploy", "processors", "producers", "schemas", "sinks")
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
MODULES = [ROOT / name for name in TRACKED if name.endswith(".py") and (ROOT / name).exists()]
MOST_LINES, MOST_STATEMENT_LINES = 400, 60


def test_no_module_is_longer_than_can_be_kept_in_mind() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert {str(path): length for path, length in lengths.items() if length > MOST_LINES} == {}
    ours = sorted(length for path, length in lengths.items() if path.relative_to(ROOT).parts[0] in ROOMS)
    assert ours[len(ours) // 2] <= 150, "modules are mostly under 150 lines"


def test_every_function_fits_a_screen() -> None:
    long = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno
                if lines > MOST_STATEMENT_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}


def test_our_folders_are_the_ones_imported() -> None:
    for room in ROOMS:
        assert Path(str(import_module(room).__file__)).is_relative_to(ROOT), f"{room} comes from another distribution"


def test_the_wheel_holds_the_rooms_whole_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = {name for name in TRACKED if name.split("/")[0] in ROOMS and (ROOT / name).exists()}
    assert held == tracked


def test_no_tracked_text_names_a_registry_host_or_a_machine_path() -> None:
    forbidden = ("pythonhosted", "pypi" + ".org", "repo1.maven", "repo.maven", "/ro" + "ot/", "/wo" + "rk/")
    texts = [ROOT / name for name in TRACKED if not name.endswith((".png", ".pdf", ".jpg")) and (ROOT / name).is_file()]
    found = [
        (str(path.relative_to(ROOT)), word) for path in texts for word in forbidden
        if word in path.read_text(errors="replace") and path.name != Path(__file__).name
    ]  # fmt: skip
    assert found == []


@pytest.mark.parametrize("word", ["pause_partitions", "resume_partitions", "exactly_once", ".take(", "GlobalTable"])
def test_faust_is_never_asked_for_what_loses_records(word: str) -> None:
    source = (ROOT / "processors/stream/faust_stream.py").read_text()
    calls = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("#", '"""')))
    assert word not in calls


def test_librdkafka_is_never_asked_for_what_a_group_committed() -> None:
    """Its admin client ends the process when the group's coordinator has moved (confluentinc/librdkafka#5040)."""
    sources = {name: (ROOT / name).read_text() for name in TRACKED if name.endswith(".py") and (ROOT / name).exists()}
    asking = [name for name, text in sources.items() if "list_consumer_group" + "_offsets(" in text]
    assert [name for name in asking if "confluent_kafka" in sources[name]] == []


def test_no_torch_in_the_environment() -> None:
    for name in ("torch", "easyocr", "ultralytics", "sentence_transformers"):
        assert find_spec(name) is None, f"{name} is an extra, never a core dependency"


def test_opencv_and_the_ocr_engine_map_no_libgl() -> None:
    probe = "import cv2, rapidocr; print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert "cv2" in maps
    assert "libGL" not in maps


def test_metrics_exported_are_the_closed_list() -> None:
    from typing import get_args

    from prometheus_client import REGISTRY

    from processors import telemetry
    from schemas.telemetry import Metric

    assert telemetry.RECORDS is not None
    closed = {name.removesuffix("_total") for name in get_args(Metric)}
    exported = {family.name for family in REGISTRY.collect() if family.name.startswith("headrace_")}
    assert exported <= closed


def test_generated_schemas_are_up_to_date() -> None:
    from schemas.generate import AUTHENTICATION, FOLDER, authentication, generated

    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == generated(), "run: make schemas"
    assert authentication(AUTHENTICATION.read_text()) == AUTHENTICATION.read_text(), "run: make schemas"
