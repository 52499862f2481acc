"""How far lines of text are off the level, from the dots of the picture alone."""

from typing import Any, NamedTuple

_REACH, _COARSE, _FINE = 12.0, 0.5, 0.05  # degrees
_CONTRAST = 12  # grey values below the neighbourhood's mean that make ink
_TALLEST = 40  # dots of a picture of 1000: larger blots are pictures, frames or the desk beside the paper
_FEWEST = 30  # blots: fewer are no text to measure
_CLEAR = 4.0  # clarity: noise reaches 1.4, a page askew by more than the reach 3, print and tables 6 and more


class Ink(NamedTuple):
    """Where a picture has dots of ink: float32 arrays, one entry a dot."""

    columns: Any
    rows: Any

    def turned(self) -> "Ink":
        """The same dots of the picture turned by 90° clockwise; where it begins does not matter here."""
        return Ink(-self.rows, self.columns)


class Slope(NamedTuple):
    """Degrees clockwise, within ±12, that make lines level; `clarity` is that angle's score over the median one's."""

    angle: float
    clarity: float

    @property
    def level(self) -> float:
        """The angle, or 0 where no lines tell."""
        return self.angle if self.clarity >= _CLEAR else 0.0


def ink(grey: Any) -> Ink:
    """The dots of blots as large as letters, of a picture (uint8, height x width) whose longer side is about 1000."""
    import cv2
    import numpy

    dark = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, _CONTRAST)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    height, width, area = (stats[:, index] for index in (cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_AREA))
    across, along = numpy.minimum(height, width), numpy.maximum(height, width)  # lines may run down the picture
    letters = (across <= _TALLEST) & (across >= 2) & (along <= 8 * _TALLEST) & (area >= 4)
    letters[0] = False  # the paper
    if letters.sum() < _FEWEST:
        return Ink(numpy.empty(0, numpy.float32), numpy.empty(0, numpy.float32))
    rows, columns = numpy.nonzero(letters[labels])
    return Ink(columns.astype(numpy.float32), rows.astype(numpy.float32))


def slope(dots: Ink) -> Slope:
    """How lines across the picture lie; a clarity of 0 where there is nothing to measure.

    The sum over all rows of the squared change of ink from one row to the next is largest when lines are level.
    """
    import numpy

    if not len(dots.rows):
        return Slope(0.0, 0.0)
    coarse = numpy.arange(-_REACH, _REACH + _COARSE / 2, _COARSE)
    scores = numpy.array([_sharpness(dots, angle) for angle in coarse])
    best = int(scores.argmax())
    if best in (0, len(coarse) - 1):  # still rising where the search ends
        return Slope(0.0, 0.0)
    fine = numpy.arange(coarse[best] - _COARSE, coarse[best] + _COARSE + _FINE / 2, _FINE)
    angle = fine[numpy.argmax([_sharpness(dots, angle) for angle in fine])]
    return Slope(round(float(angle), 2), float(scores[best] / numpy.median(scores)))


def _sharpness(dots: Ink, angle: float) -> float:
    import numpy

    level = dots.rows + dots.columns * numpy.float32(numpy.tan(numpy.radians(angle)))
    counts = numpy.bincount((level - level.min()).astype(numpy.int32))
    return float((numpy.diff(counts) ** 2).sum())
