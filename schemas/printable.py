"""Text that callers choose and people read."""

import unicodedata


def printable(text: str) -> str:
    """`text` itself; raises ValueError when it holds control characters, which no log or database should meet."""
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("must not hold control characters")
    return text
