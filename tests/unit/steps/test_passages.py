"""Passages: nothing lost, nothing doubled, nothing longer than asked, and cut where the page is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.engines import language
from processors.steps.boxes import union
from processors.steps.chunk import chunks
from processors.steps.passages import Passage, passages
from schemas.documents import Block, BlockKind, EngineStamp, Line, PageRead
from tests.unit.steps.layouts import HEIGHT, WIDTH, around, column, line, read, region, row

STAMP = EngineStamp(name="test", model="", version="", digest="")
SENTENCE = "The pump at the lower weir was taken out of service on Tuesday morning."


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    language.load()  # seconds, of which no single example has any to spare


def page_of(lines: list[Line], blocks: tuple[Block, ...] = ()) -> PageRead:
    return PageRead(width=WIDTH, height=HEIGHT, lines=tuple(lines), blocks=blocks, engine=STAMP)


def blocks_of(*groups: tuple[BlockKind, list[Line]]) -> PageRead:
    """One block of each group of lines, in order."""
    lines = [found for _, group in groups for found in group]
    places = iter(range(len(lines)))
    return page_of(lines, tuple(
        Block(kind=kind, box=around(group) if group[0].box else None, lines=tuple(next(places) for _ in group))
        for kind, group in groups
    ))  # fmt: skip


def cut(page: PageRead, most: int = 600) -> list[str]:
    return [passage.text for passage in passages(page, most)]


def document(*groups: tuple[BlockKind, list[str]]) -> PageRead:
    return blocks_of(*((kind, [Line(text=text, score=1) for text in texts]) for kind, texts in groups))


words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
paragraphs = st.lists(words, min_size=1, max_size=40).map(" ".join)
kinds = st.sampled_from(["heading", "text", "table", "figure", "caption", "header", "footer", "reference"])
pages = st.lists(st.tuples(kinds, st.lists(paragraphs, min_size=1, max_size=5)), max_size=8)


@settings(deadline=None)
@given(pages, st.integers(1, 300))
def test_every_word_is_in_one_passage_in_order_and_none_is_longer_than_asked(
    page: list[tuple[BlockKind, list[str]]], most: int
) -> None:
    made = cut(document(*page), most)
    assert "".join("".join(made).split()) == "".join("".join(text.split()) for _, texts in page for text in texts)
    assert all(0 < len(passage) <= most for passage in made)


@settings(deadline=None)
@given(pages)
def test_a_word_is_cut_only_where_it_is_too_long_itself(page: list[tuple[BlockKind, list[str]]]) -> None:
    made = " ".join(cut(document(*page), 24)).split()
    assert made == [word for _, texts in page for text in texts for word in text.split()]


@settings(deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=60), st.integers(90, 300))
def test_a_passages_boxes_lie_around_its_lines(lengths: list[int], most: int) -> None:
    lines = [line("x" * length, 100, 30 * number, 10 * length) for number, length in enumerate(lengths)]
    rest = list(lines)
    for chunk in chunks(page_of(lines), most):
        group = [rest.pop(0) for _ in chunk.text.split("\n")]
        assert chunk.box == around(group)
        assert chunk.boxes == (around(group),)
    assert rest == []


def test_a_heading_begins_a_passage_and_stays_with_what_follows() -> None:
    page = document(("text", ["before"]), ("heading", ["1 Weirs"]), ("text", ["after"]), ("heading", ["2", "Dams"]))
    assert cut(page) == ["before", "1 Weirs\nafter", "2\nDams"]


def test_a_heading_stays_with_a_part_of_what_is_longer_than_a_passage() -> None:
    made = cut(document(("heading", ["1 Weirs"]), ("text", [SENTENCE * 20])), 300)
    assert made[0].startswith("1 Weirs\nThe pump")


def test_a_block_that_fits_is_not_cut() -> None:
    first, second = ["a" * 40, "b" * 40], ["c" * 40, "d" * 40]
    assert cut(document(("text", first), ("text", second)), 130) == ["\n".join(first), "\n".join(second)]
    assert len(cut(document(("text", first), ("text", second)), 170)) == 1


def test_a_long_line_is_cut_at_the_end_of_a_sentence_then_of_a_word() -> None:
    text = f"{SENTENCE} {SENTENCE}"
    assert cut(document(("text", [text])), 100) == [SENTENCE, SENTENCE]
    assert cut(document(("text", [SENTENCE])), 40) == [
        "The pump at the lower weir was taken out",
        "of service on Tuesday morning.",
    ]
    assert cut(document(("text", ["水" * 50])), 20) == ["水" * 20, "水" * 20, "水" * 10]


def test_no_passage_spans_two_columns() -> None:
    left, right = column("left", 100, 200, 4, 500), column("right", 640, 200, 4, 500)
    made = cut(page_of(*_ordered([*left, *right], region("text", left), region("text", right))))
    assert made == ["\n".join(found.text for found in side) for side in (left, right)]


def test_a_heading_stays_with_what_stands_in_its_row() -> None:
    total, amount = [line("Page total", 100, 900, 150)], [line("EUR 128.40", 900, 902, 150)]
    assert cut(blocks_of(("heading", total), ("text", amount))) == ["Page total\nEUR 128.40"]


def test_a_date_to_the_right_and_below_is_in_no_other_column() -> None:
    page = blocks_of(("text", column("address", 100, 100, 3, 300)), ("text", [line("3 May 2026", 900, 300, 120)]))
    assert len(cut(page)) == 1


def test_a_tables_rows_are_lines_with_bars_between_cells_and_none_is_cut() -> None:
    rows = [row(300 + 60 * n, [(100, f"A{n:04d}"), (400, "Bearing housing"), (900, "1.50")]) for n in range(12)]
    cells = [cell for one in rows for cell in one]
    made = cut(page_of(*_ordered(cells, region("table", cells))), 100)
    assert "\n".join(made).split("\n") == [f"A{n:04d} | Bearing housing | 1.50" for n in range(12)]
    assert len(made) == 4


def test_lines_of_one_cell_are_joined_by_a_blank() -> None:
    cells = [line("Two", 0, 9, 90, 30), line("lines", 0, 49, 90, 30), line("one", 200, 29, 80, 30)]
    made = cut(page_of(*_ordered(cells, region("table", cells))))
    assert made == ["Two lines | one"]


def test_a_row_that_is_longer_than_a_passage_is_cut_between_cells() -> None:
    lines = [Line(text=letter * 40, score=1) for letter in "abcd"]
    page = page_of(lines, (Block(kind="table", lines=(0, 1, 2, 3), rows=((0, 1, 2, 3),)),))
    made = cut(page, 90)
    assert "".join(made).replace("|", "").replace(" ", "") == "".join(found.text for found in lines)
    assert all(found.text in " ".join(made) for found in lines)


def test_a_table_stands_by_itself_but_for_its_caption_and_heading() -> None:
    page = document(("text", ["before"]), ("caption", ["Table 1"]), ("table", ["a"]), ("text", ["after"]))
    assert cut(page) == ["before", "Table 1\na", "after"]
    assert cut(document(("heading", ["Prices"]), ("table", ["a"]), ("text", ["after"]))) == ["Prices\na", "after"]


def test_heads_and_feet_are_passages_of_their_own() -> None:
    page = document(("header", ["Millbrook Ltd"]), ("text", ["body"]), ("footer", ["IBAN 1"]), ("footer", ["Page 1"]))
    assert cut(page) == ["Millbrook Ltd", "body", "IBAN 1\nPage 1"]


def test_a_passage_of_two_blocks_has_two_boxes_and_one_around_them() -> None:
    heading, text = [line("Weirs", 100, 100, 90)], column("text", 100, 200, 3, 500)
    (chunk,) = chunks(blocks_of(("heading", heading), ("text", text)), 600)
    assert chunk.boxes == (around(heading), around(text))
    assert chunk.box == union(chunk.boxes)


def test_a_document_without_pictures_has_no_boxes() -> None:
    (chunk,) = chunks(document(("heading", ["Weirs"]), ("text", [SENTENCE])), 600)
    assert (chunk.box, chunk.boxes) == (None, ())


def test_passages_are_numbered_and_know_their_language() -> None:
    german = "Die Pumpe am unteren Wehr wurde am Dienstag außer Betrieb genommen."
    made = chunks(document(("heading", ["1"]), ("text", [SENTENCE]), ("heading", ["2"]), ("text", [german])), 600)
    assert [(chunk.index, chunk.language) for chunk in made] == [(0, "en"), (1, "de")]


@pytest.mark.parametrize("lines", [[], [""], ["  ", "\t"]])
def test_a_page_without_words_has_no_passages(lines: list[str]) -> None:
    assert cut(page_of([Line(text=text, score=1) for text in lines])) == []


def test_a_page_from_before_there_were_blocks_is_cut_as_one() -> None:
    assert list(passages(page_of(column("line", 0, 0, 3, 500)), 600)) == [
        Passage("line 0\nline 1\nline 2", (around(column("line", 0, 0, 3, 500)),))
    ]


def _ordered(lines: list[Line], *regions: object) -> tuple[list[Line], tuple[Block, ...]]:
    texts, blocks = read(lines, *regions)  # type: ignore[arg-type]  # regions they are
    return [next(found for found in lines if found.text == text) for text in texts], blocks
