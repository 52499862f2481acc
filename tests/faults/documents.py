"""Documents of a known number of parts."""

_SENTENCE = "Pump {number} of hall {part} was checked on a {day}, its pressure stood at {bars} bars, no leak. "
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def sections(parts: int, number: int) -> str:
    """A text of `parts` sections: paragraphs of which two do not fit into one."""
    paragraphs = []
    for part in range(1, parts + 1):
        told = _SENTENCE.format(number=number, part=part, day=_DAYS[(number + part) % 5], bars=number % 9 + 1)
        paragraphs.append(told * 28)
    return "\n\n".join(paragraphs)
