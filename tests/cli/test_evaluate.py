"""`headrace eval` through the product's own steps, with engines that read nothing right."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli import evaluate
from cli.errors import CliError
from deploy.local.samples import letters
from processors.evaluation.page import BEGIN, END


def run(*words: str) -> str:
    app = typer.Typer()
    evaluate.register(app)
    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["eval", *words], catch_exceptions=True)
    if isinstance(result.exception, CliError):
        raise result.exception
    assert result.exit_code == 0, result.exception
    return result.stdout


@pytest.fixture(autouse=True)
def fake_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADRACE_ENGINES", "fake")
    monkeypatch.chdir(tmp_path)


def report(*words: str) -> dict[str, Any]:
    made = json.loads(run(*words, "--json"))
    assert isinstance(made, dict)
    return made


def test_every_drawn_page_goes_through_the_product_and_a_reader_that_is_wrong_scores_badly(tmp_path: Path) -> None:
    made = report("ocr", "--quick")
    assert made["cer"] > 0.9
    assert made["word_recall"] < 0.1
    assert made["pages"] == len(made["files"]) == 9
    assert {name: group["pages"] for name, group in made["groups"].items()} == {"upright": 3, "turned": 3, "skewed": 3}
    assert all((tmp_path / path).is_file() for path in made["worst"])


def test_documents_without_truth_come_to_an_outcome_and_to_no_score(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    letters(data / "letter.pdf", 2)
    (data / "broken.pdf").write_bytes(b"%PDF-1.7 hello")
    (data / "note.txt").write_text("some words")
    made = report("ocr", "--data", str(data))
    assert [(row["file"], row["outcome"], row["pages"]) for row in made["outcomes"]] == [
        ("broken.pdf", "input_truncated", 0),
        ("letter.pdf", "succeeded", 2),
        ("note.txt", "succeeded", 1),
    ]
    assert (made["files"], made["pages"]) == ([], 0)


def test_the_page_gets_tables_of_text_order_and_regions(tmp_path: Path) -> None:
    page = tmp_path / "accuracy.md"
    page.write_text(f"# Accuracy\n\n{BEGIN}\n{END}\n")
    run("page", str(page), "--quick")
    (upright,) = re.findall(r"^\| upright pages.*", page.read_text(), re.MULTILINE)
    pages, errors, words, order, overlap, named = map(float, upright.split("|")[2:-1])
    assert (pages, order) == (3, 0)
    assert errors > 0.9
    assert words < 0.1
    assert 0 < overlap < 0.9
    assert named < 0.5


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(CliError) as raised:
        run("ocr", "--quick")
    assert "headrace-server[eval]" in raised.value.hint
