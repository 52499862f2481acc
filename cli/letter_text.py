"""Dead letters as text."""

import json

from cli.listing import Listing, ago, text
from cli.output import plain, show
from schemas.dead_letters import Cause, LetterSummary, LetterView


def facts(letter: LetterSummary) -> dict[str, object]:
    """What is known of a letter without its bytes, by name."""
    return {
        "letter": letter.id,
        "state": letter.state,
        "job": letter.job,
        "document": letter.document_id,
        "page": letter.page,
        "run": letter.run,
        "plan": letter.plan,
        "record": f"{letter.kind} at {letter.position}",
        "failed in": f"{letter.step}, attempt {letter.attempt}, {text(letter.at)}",
        "error": f"{letter.code}: {letter.detail}",
        "cause": letter.cause,
    }


def show_letter(letter: LetterView) -> None:
    """All that is known of a letter, for a person."""
    for name, value in facts(letter).items():
        show(f"{name:9} {plain(str(value)) or '-'}")
    for event in letter.story:
        show(f"story     {text(event.at)} {event.event} run {event.run}")
    for line in letter.audit:
        done = f"{line.action} by {line.by}" + (f" as run {line.run}" if line.run else "")
        edits = f" with {json.dumps(line.edits)}" if line.edits else ""
        show(plain(f"audit     {text(line.at)} {done}{f': {line.reason}' if line.reason else ''}{edits}"))
    if letter.payload is not None:
        show("payload")
        for row in json.dumps(letter.payload, indent=2, ensure_ascii=False).splitlines():
            show(f"  {plain(row)}")


def _row(letter: LetterSummary) -> list[str]:
    what = [str(letter.id), letter.state, letter.step, letter.code, str(letter.page), ago(letter.at)]
    return [*what, letter.job or "-", letter.detail]


def _fields(letter: LetterSummary) -> list[object]:
    where = [letter.job, letter.document_id, letter.page, letter.run]
    return [letter.id, letter.state, letter.step, letter.code, letter.cause, *where, letter.at, letter.detail]


def _cause_fields(cause: Cause) -> list[object]:
    return [cause.cause, cause.letters, cause.step, cause.code, cause.first, cause.last, cause.example, cause.detail]


def _cause_row(cause: Cause) -> list[str]:
    what = [cause.cause, str(cause.letters), cause.step, cause.code]
    return [*what, ago(cause.last), str(cause.example), cause.detail]


LISTING: Listing[LetterSummary] = Listing(
    ("letter", "state", "step", "code", "page", "age", "job", "detail"), _row, _fields, frozenset({"detail"})
)  # fmt: skip
CAUSES: Listing[Cause] = Listing(
    ("cause", "letters", "step", "code", "age", "example", "detail"), _cause_row, _cause_fields, frozenset({"detail"})
)
