"""Layout finder on PP-PicoDet (CDLA: scientific pages, ten classes) and ONNX Runtime."""

from pathlib import Path
from typing import Any

from PIL.Image import Image

from processors.engines.onnx_session import PictureModel
from processors.engines.ports import Region
from schemas.documents import BlockKind

_GRAPH = "layout_cdla.onnx"
_WIDTH, _HEIGHT = 608, 800  # pixels of the graph's input, whatever the page's shape
_STRIDES = (8, 16, 32, 64)  # input pixels between the places of each scale that answers
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, red, green, blue
_SURE = 0.4
_LIGHT = 100  # grey value: paper is the commonest one above it
_GRAIN = 40  # grey values that paper may be darker than the commonest
_INK = 0.2  # of all that is darker than that is darker than ink may be
_SAME = 0.5  # intersection over union from which two regions are one
_MOST = 100  # regions of a page
_KINDS: tuple[BlockKind, ...] = (
    "text", "heading", "figure", "caption", "table", "caption", "header", "footer", "reference", "equation",
)  # fmt: skip
"""The classes in the graph's order: text, title, figure, its caption, table, its caption, header, footer, and so on."""


class PicoDetLayoutFinder(PictureModel):
    """Finds the regions of one page on one thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / _GRAPH, "picodet-onnxruntime", "PP-PicoDet CDLA")

    def regions(self, image: Image) -> list[Region]:
        """Regions by falling score, none for a blank page; of two that are nearly one, the surer is kept."""
        import cv2
        import numpy

        self.load()
        small = cv2.resize(_as_printed(image), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)  # as in its training
        pixels = (small[None, :, :, None] / 255 - _MEAN) / _DEVIATION
        batch = pixels.transpose(0, 3, 1, 2).astype(numpy.float32)
        answers = [answer[0] for answer in self._session.run(None, {"image": batch})]
        chances = numpy.concatenate(answers[: len(_STRIDES)])
        boxes = numpy.concatenate([*map(_boxes, answers[len(_STRIDES) :], _STRIDES)])
        sure = chances.max(axis=1) > _SURE
        chances, boxes = chances[sure], boxes[sure]
        boxes = boxes.clip(0, 1) * (image.size * 2)
        return [
            Region(_KINDS[chances[index].argmax()], tuple(boxes[index].tolist()), min(1.0, float(chances[index].max())))
            for index in _best(boxes, chances.max(axis=1))
        ]


def _as_printed(image: Image) -> Any:
    """Grey values with paper at 255 and ink at 0, light letters on dark made dark on light.

    The model learnt on clean pages, and calls grainy or dark ones figures.
    """
    import cv2
    import numpy

    grey = numpy.asarray(image.convert("L"))
    counts = numpy.bincount(grey.ravel(), minlength=256)
    if 2 * counts[:_LIGHT].sum() > grey.size:
        grey, counts = 255 - grey, counts[::-1]
    paper = _LIGHT + int(counts[_LIGHT:].argmax()) - _GRAIN
    darker = counts[: paper - _GRAIN // 2].cumsum()
    ink = int(darker.searchsorted(darker[-1] * _INK))
    table = ((numpy.arange(256) - ink) * 255 / (paper - ink)).clip(0, 255).astype(numpy.uint8)
    return cv2.LUT(grey, table)


def _boxes(spread: Any, stride: int) -> Any:
    """Boxes (places x 4, shares of the page's width and height) from one scale's answer (places x 32).

    Each side's distance from its place comes as weights over 0 to 7 strides; their mean is meant.
    """
    import numpy

    columns, rows = -(-_WIDTH // stride), -(-_HEIGHT // stride)
    x, y = numpy.meshgrid((numpy.arange(columns) + 0.5) * stride, (numpy.arange(rows) + 0.5) * stride)
    places = numpy.stack((x, y, x, y), axis=-1).reshape(-1, 4)
    sides = spread.reshape(len(places), 4, -1)
    weights = numpy.exp(sides - sides.max(axis=-1, keepdims=True))
    steps = (weights * numpy.arange(sides.shape[-1])).sum(axis=-1) / weights.sum(axis=-1)
    return (places + steps * stride * (-1, -1, 1, 1)) / ((_WIDTH, _HEIGHT) * 2)


def _best(boxes: Any, scores: Any) -> list[int]:
    """Indices by falling score, without those that cover nearly the same as a better one."""
    import numpy

    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + 1e-9  # what lies wholly outside was clipped to nothing
    left, kept = list(scores.argsort()[::-1]), list[int]()
    while left and len(kept) < _MOST:
        best, *others = left
        kept.append(best)
        low, high = numpy.maximum(boxes[others, :2], boxes[best, :2]), numpy.minimum(boxes[others, 2:], boxes[best, 2:])
        shared = (high - low).clip(0).prod(axis=1)
        same = shared / (areas[others] + areas[best] - shared) > _SAME
        left = [index for index, twin in zip(others, same, strict=True) if not twin]
    return kept
