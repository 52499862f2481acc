"""What `headrace eval` answers: one JSON object for text, one for layout."""

from collections.abc import Sequence
from typing import Any

from processors.evaluation.run import Outcome, Scored
from processors.evaluation.score import TextScore

Row = dict[str, Any]


def text_report(pages: Sequence[Scored], outcomes: Sequence[Outcome]) -> Row:
    """Character errors and words found: in all, by group, by page. Figures are sums over characters and words."""
    groups = {page.group: None for page in pages}
    return {
        **_text(pages),
        "groups": {group: _text([page for page in pages if page.group == group]) for group in groups},
        "files": [{**_page(page), **_text([page]), **_facts(page)} for page in pages],
        "outcomes": [outcome._asdict() for outcome in outcomes],
    }


def layout_report(pages: Sequence[Scored], outcomes: Sequence[Outcome]) -> Row:
    """Reading order, and regions where blocks are known; `tau` is Kendall's over the `matched` share of the lines."""
    groups = {page.group: None for page in pages}
    return {
        **_layout(pages),
        "groups": {group: _layout([page for page in pages if page.group == group]) for group in groups},
        "files": [{**_page(page), **_order(page), **_layout([page]), **_facts(page)} for page in pages],
        "outcomes": [outcome._asdict() for outcome in outcomes],
    }


def _page(page: Scored) -> Row:
    return {"file": page.file, "group": page.group, "page": page.page}


def _text(pages: Sequence[Scored]) -> Row:
    score = sum((page.text for page in pages), TextScore(0, 0, 0, 0, 0))
    return {
        "cer": round(score.cer, 5),
        "word_recall": round(score.word_recall, 5),
        "pages": score.pages,
        "characters": score.characters,
        "words": score.words,
    }


def _layout(pages: Sequence[Scored]) -> Row:
    regions = [page.regions for page in pages if page.regions]
    return {
        "order_right": _mean([page.order.right for page in pages]),
        "mean_iou": _mean([overlap for region in regions for overlap in region.overlaps]),
        "class_recall": _mean([name for region in regions for name in region.named]),
        "pages": len(pages),
    }


def _order(page: Scored) -> Row:
    return {"tau": round(page.order.tau, 4), "matched": round(page.order.matched, 4)}


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _facts(page: Scored) -> Row:
    picture = page.prepared.picture if page.prepared else None
    return {
        "turned": picture.turned if picture else None,
        "skew": picture.skew if picture else None,
        "origin": page.read.origin if page.read else None,
        "engine": page.read.engine.name if page.read else None,
        "error": page.error,
    }
