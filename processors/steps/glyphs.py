"""Whether the characters of a text can be those that a reader sees.

A PDF draws glyphs by number; what characters they are is told by tables that are often missing or wrong. Each rule
looks for what such a table leaves behind and no written language has; each is silent where there is too little text.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_UNREADABLE = 0.1  # share of characters without meaning; a formula or a logo leaves a few
_ICONS = re.compile(r"(?<!\S)[\ue000-\uf8ff](?!\S)")  # a bullet or a pictogram by itself, as symbol fonts have them
_NUMBERED = re.compile(r"\(cid:\d+\)")
_MOJIBAKE = re.compile(r"[\u00c2\u00c3\u00d0\u00d1\u00d8\u00d9][\u0080-\u00bf\u0152-\u017e\u2013-\u20ac]")
_ENOUGH = 40  # letters from which their frequencies tell something
_VOWELS = frozenset("aeiouyæøœıəαεηιουωаеёиоуыэюяіїєөүә")  # noqa: RUF001 three alphabets: alike is not the same
_ALPHABETS = re.compile(r"[^\W\d_]+")
_FEWEST_VOWELS, _MOST_VOWELS = 0.22, 0.7  # share of letters: English and Czech have 0.4, Finnish 0.5, Hawaiian 0.6
_USUAL_VOWELS, _CHANCE = 0.36, 1.6  # what a short text may be off, by chance: 3 standard deviations, over √letters
_WORD = 4  # letters: shorter words are units and abbreviations (kg, mm, Ltd)
_AMID = re.compile("aA(?!aa)")
_GLUED = 45  # letters that no word has, outside chemistry
_SCRIPTS, _SCRIPT_SHARE = 6, 0.03  # so many scripts on one page, each more than a symbol here and there


def garbage(lines: Sequence[str]) -> bool:
    """Whether lines of text are what a missing or wrong character table makes of them."""
    text = "\n".join(lines)
    if _unreadable(_ICONS.sub("", text)):
        return True
    letters = [letter for letter in text if letter.isalpha()]
    if len(letters) < _ENOUGH:
        return False
    words = _alphabetic(text)
    return (
        len(set(letters)) <= 3
        or len(_MOJIBAKE.findall(text)) * 50 > len(letters)
        or _accents_only(letters)
        or _too_many_scripts(letters)
        or _odd_vowels(words)
        or _odd_cases(words)
        or _odd_blanks(words)
    )


def _unreadable(text: str) -> bool:
    """Replacement characters, private ones, controls and numbers in place of characters."""
    numbered = _NUMBERED.findall(text)
    shown = [letter for letter in _NUMBERED.sub("", text) if not letter.isspace()]
    lost = sum(letter == "\ufffd" or unicodedata.category(letter) in ("Cc", "Co", "Cn", "Cs") for letter in shown)
    return lost + len(numbered) > _UNREADABLE * (len(shown) + len(numbered))


def _alphabetic(text: str) -> list[str]:
    """Words of scripts that write vowels and blanks: Latin, Greek, Cyrillic; accents taken off."""
    plain = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    return [word for word in _ALPHABETS.findall(plain) if all(letter < "\u0530" for letter in word)]


def _odd_vowels(words: Iterable[str]) -> bool:
    """Too few or too many vowels: letters stand for others, as in a cipher."""
    letters = "".join(word for word in words if len(word) >= _WORD).lower()
    if len(letters) < _ENOUGH:
        return False
    share = sum(letter in _VOWELS for letter in letters) / len(letters)
    fewest = min(_FEWEST_VOWELS, _USUAL_VOWELS - _CHANCE / len(letters) ** 0.5)
    return not fewest <= share <= _MOST_VOWELS


def _odd_cases(words: Iterable[str]) -> bool:
    """Capitals amid small letters, within most words; those that begin a word of several, as in programs, are not."""
    long = [word for word in words if len(word) >= _WORD]
    mixed = sum(_AMID.search("".join("A" if letter.isupper() else "a" for letter in word)) is not None for word in long)
    return len(long) >= 10 and mixed * 2 > len(long)


def _odd_blanks(words: Sequence[str]) -> bool:
    """No blanks between words, or one between most letters: nobody would find a word of it."""
    glued = sum(len(word) for word in words if len(word) >= _GLUED)
    single = sum(len(word) == 1 for word in words)
    return glued * 2 > sum(map(len, words)) or (len(words) >= _ENOUGH and single * 4 > len(words) * 3)


def _accents_only(letters: Sequence[str]) -> bool:
    """Latin letters, most of them beyond ASCII: another script, read by the wrong code page. Vietnamese has a third."""
    latin = [letter for letter in letters if letter < "\u0250"]
    return len(latin) >= _ENOUGH and sum(letter > "\u007f" for letter in latin) > 0.6 * len(latin)


def _too_many_scripts(letters: Sequence[str]) -> bool:
    scripts: Counter[str] = Counter()
    for letter, count in Counter(letters).items():
        scripts[unicodedata.name(letter, "?").split()[0]] += count
    return sum(count > _SCRIPT_SHARE * len(letters) for count in scripts.values()) >= _SCRIPTS
