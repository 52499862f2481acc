"""The figures of an evaluation, on cases whose right answer can be counted by hand."""

import hashlib
import io
import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import processors.evaluation
from processors.evaluation.page import BEGIN, END, with_measured
from processors.evaluation.pictures import drawn as drawn_over
from processors.evaluation.samples import Known, Sample, samples
from processors.evaluation.score import TextScore, score_order, score_regions, score_text
from processors.evaluation.truth import PageTruth, truth_of
from schemas.documents import Block, EngineStamp, Line, PageRead

STAMP = EngineStamp(name="n", model="m", version="v", digest="d")
TRUTH = Path(processors.evaluation.__file__).parent / "truth"


def read_page(*lines: Line, width: int | None = 100, height: int | None = 100) -> PageRead:
    return PageRead(width=width, height=height, lines=lines, engine=STAMP)


@pytest.fixture(scope="module")
def drawn() -> list[Sample]:
    return list(samples(quick=True))


def test_characters_count_without_blanks_and_words_as_often_as_they_stand_there() -> None:
    assert score_text(["one two", "two"], ["onetwo two"]) == TextScore(1, errors=0, characters=9, found=1, words=3)
    assert score_text(["abcd efgh"], ["abxd", "efg"]) == TextScore(1, errors=2, characters=8, found=0, words=2)


def test_the_order_counts_for_characters_and_not_for_words() -> None:
    score = score_text(["left one", "left two", "right one"], ["left one", "right one", "left two"])
    assert score.word_recall == 1.0
    assert score.cer > 0.3


def test_nothing_read_is_all_wrong_and_figures_add_up_by_their_sizes() -> None:
    nothing, all_right = score_text(["abcd"], []), score_text(["a" * 12], ["a" * 12])
    assert (nothing.cer, nothing.word_recall, all_right.cer) == (1.0, 0.0, 0.0)
    assert (nothing + all_right).cer == 0.25
    assert (nothing + all_right).pages == 2


def test_order_is_right_only_when_nearly_all_lines_come_in_it() -> None:
    lines = [f"line number {word} here" for word in ("alpha", "beta", "gamma", "delta", "omega")]
    assert score_order(lines, ["noise", *lines]).right
    assert score_order(lines, lines[::-1]).tau == -1.0
    columns_mixed = score_order(lines, [lines[0], lines[3], lines[1], lines[4], lines[2]])
    assert columns_mixed.tau == pytest.approx((7 - 3) / 10)
    assert not score_order(lines, lines[:3]).right


def test_lines_that_stand_twice_say_nothing_of_the_order() -> None:
    assert score_order(
        ["same", "first words", "same", "last phrase"], ["first words", "same", "same", "last phrase"]
    ).right


def test_a_region_is_found_when_it_covers_and_named_when_it_is_of_the_kind() -> None:
    known = [Known("table", (0, 0, 10, 10)), Known("text", (20, 0, 30, 10)), Known("heading", (50, 50, 60, 60))]
    found = [Block(kind="table", box=(0, 0, 10, 8)), Block(kind="figure", box=(20, 0, 30, 10)), Block(kind="text")]
    score = score_regions(known, found)
    assert score.overlaps == pytest.approx((0.8, 1.0, 0.0))
    assert score.named == (True, False, False)


def test_only_lines_inside_the_region_that_was_looked_at_are_compared() -> None:
    lines = [Line(text=text, box=(10, y, 90, y + 10), score=1) for text, y in (("above", 5), ("inside", 50))]
    assert PageTruth(("inside",), (0.0, 0.3, 1.0, 1.0)).covered(read_page(*lines)) == ["inside"]
    assert PageTruth(("all",), None).covered(read_page(*lines)) == ["above", "inside"]
    assert PageTruth(("all",), (0.0, 0.0, 0.1, 0.1)).covered(read_page(*lines, width=None, height=None)) == [
        "above",
        "inside",
    ]


def test_truth_is_found_by_the_bytes_of_a_file_and_is_well_formed() -> None:
    assert truth_of(b"nobody looked at these bytes") == {}
    files = sorted(TRUTH.glob("*.json"))
    assert sum(len(json.loads(file.read_text("utf-8"))["pages"]) for file in files) >= 12
    for file in files:
        assert len(bytes.fromhex(file.stem)) == hashlib.sha256().digest_size
        for page in json.loads(file.read_text("utf-8"))["pages"].values():
            assert all(isinstance(line, str) and line.strip() == line != "" for line in page["lines"]), file
            if region := page.get("region"):
                assert 0 <= region[0] < region[2] <= 1
                assert 0 <= region[1] < region[3] <= 1


def test_the_drawn_set_is_the_same_every_time(drawn: list[Sample]) -> None:
    assert drawn == list(samples(quick=True))
    assert [sample.group for sample in drawn].count("upright") == 3
    assert all(len(" ".join(sample.lines).split()) > 100 for sample in drawn)


def test_all_the_ink_of_a_drawn_page_lies_in_its_known_blocks_and_each_has_some(drawn: list[Sample]) -> None:
    for sample in drawn[:3]:
        image = Image.open(io.BytesIO(sample.content)).convert("L")
        for block in sample.blocks:
            lowest, _ = image.crop([round(edge) for edge in block.box]).getextrema()
            assert lowest < 100
        for block in sample.blocks:
            ImageDraw.Draw(image).rectangle(
                [block.box[0] - 2, block.box[1] - 2, block.box[2] + 2, block.box[3] + 2], fill=255
            )
        assert image.getextrema() == (255, 255)


def test_a_page_is_drawn_with_what_was_read_over_it_and_stays_as_large() -> None:
    file = io.BytesIO()
    Image.new("L", (100, 100), 255).save(file, "PNG")
    read = read_page(Line(text="a", box=(10, 20, 50, 40), score=0.5))
    image = drawn_over(file.getvalue(), read, PageTruth(("a",), (0.0, 0.0, 1.0, 0.8)))
    assert image.size == (100, 100)
    assert (image.getpixel((30, 20)), image.getpixel((50, 80))) == ((200, 30, 30), (20, 140, 60))


def test_only_the_measured_part_of_a_page_is_replaced() -> None:
    page = f"# Title\n\nprose\n\n{BEGIN}\nold\n{END}\n\nmore prose\n"
    once = with_measured(page, "new")
    assert once == page.replace("old", "new")
    assert with_measured(once, "new") == once
    with pytest.raises(ValueError, match="measured"):
        with_measured("# Title", "new")


def test_nothing_to_read_and_nothing_read_is_no_error() -> None:
    assert (score_text([], []).cer, score_text([], []).word_recall) == (0.0, 1.0)
    assert score_order([], []).right
