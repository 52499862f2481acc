"""Documents of a known number of parts."""

from pathlib import Path

from deploy.local.samples import letters

SCANNED = "scan.pdf"
_SENTENCE = "Pump {number} of hall {part} was checked on a {day}, its pressure stood at {bars} bars, no leak. "
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def sections(parts: int, number: int) -> str:
    """A text of `parts` sections: paragraphs of which two do not fit into one."""
    paragraphs = []
    for part in range(1, parts + 1):
        told = _SENTENCE.format(number=number, part=part, day=_DAYS[(number + part) % 5], bars=number % 9 + 1)
        paragraphs.append(told * 28)
    return "\n\n".join(paragraphs)


def report(path: Path, parts: int, number: int) -> None:
    """The same as a file."""
    path.write_text(sections(parts, number))


def mixed(folder: Path, reports: int, scans: int) -> list[Path]:
    """`reports` texts of 20 sections and `scans` PDFs of 10 pictures, well mixed."""
    made = []
    for number in range(reports):
        made.append(folder / f"report-{number}.txt")
        report(made[-1], 20, number)
    scan = folder / SCANNED
    letters(scan, 10)
    step = max(1, len(made) // max(1, scans))
    for place in range(scans):
        made.insert(min(len(made), place * (step + 1)), scan)
    return made
