"""The real layout model on pages whose parts are known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from processors.engines.factory import layout_finder
from processors.engines.picodet_layout_finder import PicoDetLayoutFinder
from processors.engines.ports import LayoutFinder, Region
from processors.engines.weights import ModelMissing
from schemas.documents import Box
from schemas.settings import Settings
from tests.unit.engines import drawings


@pytest.fixture(scope="module")
def real() -> LayoutFinder:
    """The layout finder, warm."""
    made = layout_finder(Settings(engines="real"))
    made.load()
    return made


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    total = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (total - width * height)


def best(regions: list[Region], kind: str) -> Region:
    return next(region for region in regions if region.kind == kind)


def test_columns_are_regions_side_by_side(real: LayoutFinder) -> None:
    left, right = sorted(real.regions(drawings.two_columns()), key=lambda region: region.box[0])
    assert {left.kind, right.kind} <= {"text", "reference"}  # ragged columns look to it like a list of references
    assert left.box[0] == pytest.approx(120, abs=20)
    assert right.box[0] == pytest.approx(650, abs=20)
    assert left.box[2] < right.box[0]
    assert left.box[1] == pytest.approx(160, abs=20)
    assert left.box[3] == pytest.approx(1510, abs=30)


def test_a_scanned_invoice_has_its_table_and_headings(real: LayoutFinder, tmp_path: Path) -> None:
    for seed in (3, 4):
        regions = real.regions(drawings.invoice(tmp_path, seed))
        table = best(regions, "table")
        assert table.score > 0.7
        assert overlap(table.box, (110, 400, 1130, 1478)) > 0.8
        assert best(regions, "heading").box[1] < 200


def test_grain_and_grey_do_not_make_a_figure_of_a_letter(real: LayoutFinder, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clean = np.asarray(drawings.letter(tmp_path), np.float32)
    scan = Image.fromarray((clean * 0.75 + 25 + rng.normal(0, 9, clean.shape)).clip(0, 255).astype(np.uint8))
    regions = real.regions(scan)
    text = best(regions, "text")
    assert "figure" not in {region.kind for region in regions}
    assert text.score > 0.8
    assert overlap(text.box, (110, 230, 1070, 1590)) > 0.9


def test_light_letters_on_dark_are_text_too(real: LayoutFinder, tmp_path: Path) -> None:
    page = drawings.letter(tmp_path)
    assert real.regions(ImageOps.invert(page)) == real.regions(page)


def test_a_figure_and_its_text_are_told_apart(real: LayoutFinder) -> None:
    page = drawings.lines(drawings.sentences(6, 9), pitch=40)
    page.paste(drawings.scene().resize((700, 800)), (250, 500))
    regions = real.regions(page)
    assert overlap(best(regions, "figure").box, (250, 500, 950, 1300)) > 0.9
    assert best(regions, "text").box[3] < 500


def test_a_blank_page_has_no_regions(real: LayoutFinder) -> None:
    assert real.regions(drawings.blank()) == []


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 3000), (3000, 1), (40, 8000)])
def test_odd_sizes_are_no_trouble(real: LayoutFinder, width: int, height: int) -> None:
    assert real.regions(drawings.blank(width, height)) == []


def test_regions_lie_inside_the_picture_by_falling_score_and_none_twice(real: LayoutFinder, tmp_path: Path) -> None:
    wide = drawings.two_columns().resize((1754, 900))
    for page in (drawings.invoice(tmp_path), drawings.numbers(), drawings.scene(), wide):
        regions = real.regions(page)
        assert regions == sorted(regions, key=lambda region: -region.score)
        assert regions
        for index, region in enumerate(regions):
            x0, y0, x1, y1 = region.box
            assert 0 <= x0 < x1 <= page.width
            assert 0 <= y0 < y1 <= page.height
            assert 0.4 < region.score <= 1
            assert all(overlap(region.box, other.box) <= 0.5 for other in regions[index + 1 :])


def test_a_colour_picture_is_judged_like_its_greys_and_left_as_it_was(real: LayoutFinder) -> None:
    grey = drawings.two_columns()
    before = grey.tobytes()
    assert real.regions(grey.convert("RGB")) == real.regions(grey)
    assert grey.tobytes() == before


def test_the_stamp_names_engine_and_weights(real: LayoutFinder) -> None:
    assert real.stamp.name == "picodet-onnxruntime"
    assert len(real.stamp.digest) == 16


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="headrace models fetch"):
        PicoDetLayoutFinder(tmp_path).load()
