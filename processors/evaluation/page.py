"""The measured part of docs/accuracy.md, as text."""

from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_TITLES = {
    "upright": "upright pages: clean at 100, 150 and 200 dpi, scanned at 150",
    "turned": "turned by 90, 180, 270 degrees",
    "skewed": "skewed by 1 to 5 degrees",
}


def with_measured(page: str, measured: str) -> str:
    """`page` with its measured part replaced; raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no measured part")
    return f"{before}{BEGIN}\n{measured}\n{END}{after}"


def measured(about: str, drawn_text: Row, drawn_layout: Row, text: Row | None, layout: Row | None) -> str:
    """Tables of the drawn pages, and of the documents where there are any; `about` says what was run, and when."""
    parts = [about, "", "### Drawn pages", "", *_drawn(drawn_text, drawn_layout)]
    if text and layout:
        parts += ["", "### Documents with truth made by hand", "", *_documents(text, layout)]
        parts += ["", "### What each document comes to", "", *_outcomes(text["outcomes"])]
    return "\n".join(parts)


def _drawn(text: Row, layout: Row) -> Iterable[str]:
    yield "| group | pages | character errors | words found | order right | regions, mean IoU | regions named |"
    yield "|---|---|---|---|---|---|---|"
    for group, figures in text["groups"].items():
        order = layout["groups"][group]
        yield (
            f"| {_TITLES.get(group, group)} | {figures['pages']} | {figures['cer']:.4f} | {figures['word_recall']:.4f} "
            f"| {order['order_right']:.2f} | {_figure(order['mean_iou'])} | {_figure(order['class_recall'])} |"
        )


def _documents(text: Row, layout: Row) -> Iterable[str]:
    yield "| file | page | read from | turned | skew | characters | character errors | words found | order (tau) |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row, order in zip(text["files"], layout["files"], strict=True):
        yield (
            f"| {row['file']} | {row['page']} | {row['origin'] or row['error']} | {_figure(row['turned'], 0)} "
            f"| {_figure(row['skew'], 1)} | {row['characters']} | {row['cer']:.4f} | {row['word_recall']:.3f} "
            f"| {order['tau']:.3f} |"
        )
    yield ""
    yield f"Together: character errors {text['cer']:.4f}, words found {text['word_recall']:.4f}."


def _outcomes(outcomes: Iterable[Row]) -> Iterable[str]:
    yield "| file | pages | expected | came to |"
    yield "|---|---|---|---|"
    for row in outcomes:
        mark = "" if row["expected"] in (None, row["outcome"]) else " **(not as expected)**"
        yield f"| {row['file']} | {row['pages']} | {row['expected'] or ''} | {row['outcome']}{mark} |"


def _figure(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"
