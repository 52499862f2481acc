"""A page's picture is turned so that its lines read level, from left to right."""

from typing import NamedTuple

from PIL import Image

from processors.engines.ports import Degrees, Orienter

_CLEAR = 0.55  # a turn less sure than this is not made: pictures without text reach 0.5
_LEVEL = 0.3  # degrees: half the height of small print over a page's width; turning by less would only blur it
_TRANSPOSED: dict[Degrees, Image.Transpose] = {  # Pillow's turn the other way
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


class Upright(NamedTuple):
    """A picture as it stands now: turned by `turned`, then by `skew`, degrees clockwise both."""

    image: Image.Image
    turned: Degrees
    skew: float


def upright(image: Image.Image, orienter: Orienter) -> Upright:
    """The picture (mode L or RGB) turned upright and level, where that is clear; else as it is.

    A level picture keeps its size; one that was askew lies on white paper that has room for its corners. Raises
    `ModelMissing` where the orienter's weights are not there.
    """
    turn = orienter.turn(image)
    if turn.degrees and turn.score < _CLEAR:
        return Upright(image, 0, 0.0)
    image = quarter_turned(image, turn.degrees)
    if abs(turn.skew) < _LEVEL:
        return Upright(image, turn.degrees, 0.0)
    white = 255 if image.mode == "L" else (255, 255, 255)
    level = image.rotate(-turn.skew, Image.Resampling.BICUBIC, expand=True, fillcolor=white)
    return Upright(level, turn.degrees, turn.skew)


def quarter_turned(image: Image.Image, degrees: Degrees) -> Image.Image:
    """The picture turned clockwise; itself for 0 degrees."""
    return image.transpose(_TRANSPOSED[degrees]) if degrees else image
