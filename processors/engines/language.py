"""Which language a passage is written in: py3langid, a naive Bayes classifier whose weights lie in its wheel."""

import unicodedata
from functools import cache
from typing import Any

_SURE = 0.7  # of 1: it named no single line of English pages wrongly from 0.4 on, but kindred languages are nearer
_LETTERS = 24  # fewer say more of names and numbers than of a language
_IDEOGRAPH = 4  # letters that a Chinese, Japanese or Korean character stands for
_ISO_639_1 = 2  # letters of a code; longer ones are mostly dialects, of which a few words do not tell


def load() -> None:
    """Read the weights (0.5 s of CPU, 73 MB resident); harmless when done already."""
    _identifier()


def language_of(text: str) -> str:
    """The ISO 639-1 code of a text's one language; empty where the text is too short, unclear, or in several."""
    if _letters(text) < _LETTERS:
        return ""
    found = _surely(text)
    half = _half(text)
    parts = {_surely(part) for part in (text[:half], text[half:]) if _letters(part) >= _LETTERS}
    return found if parts <= {found, ""} else ""


def _surely(text: str) -> str:
    code, confidence = _identifier().classify(text)
    return str(code) if confidence >= _SURE else ""


def _letters(text: str) -> int:
    marked = (letter for letter in text if unicodedata.category(letter)[0] in "LM")  # vowels of Hindi are marks
    return sum(_IDEOGRAPH if letter >= "\u3040" else 1 for letter in marked)


def _half(text: str) -> int:
    """Where to cut a text in two: at the blank nearest to its middle, if there is one."""
    middle = len(text) // 2
    blanks = [place for place, letter in enumerate(text) if letter.isspace()]
    return min(blanks, default=middle, key=lambda place: abs(place - middle))


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier
    from py3langid.modelio import load_model

    weights, priors, labels, moves, rows, output = load_model(MODEL_DIR / MODEL_FILE)
    kept = [number for number, label in enumerate(labels) if len(label) == _ISO_639_1]
    # Not `set_languages`: it keeps the whole table beside the part.
    return LanguageIdentifier(
        weights[:, kept], priors[kept], [labels[number] for number in kept], moves, output, norm_probs=True, tk_row=rows
    )
