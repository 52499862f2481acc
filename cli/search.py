"""`headrace search QUERY`: passages by meaning, by words, or by both, each with its document, page and box."""

import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.connection import Connect, connected
from cli.listing import Listing
from cli.output import AsJson, note, show_json

if TYPE_CHECKING:
    from schemas.jobs import SearchHit

Mode = Literal["vector", "keyword", "hybrid"]  # as `schemas.jobs` has it, whose import would cost every command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


@connected
def search(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    query: Annotated[str, typer.Argument(help="What to look for, in words.")],
    *,
    limit: Annotated[int, typer.Option(help="How many passages.", min=1, max=100)] = 10,
    mode: Annotated[Mode, typer.Option(help="By meaning (vector), by words (keyword), or both.")] = "vector",
    document_id: Annotated[str | None, typer.Option(help="Look in this document alone.")] = None,
    language: Annotated[str | None, typer.Option(help="Passages in this language alone, as ISO 639-1.")] = None,
    page: Annotated[int | None, typer.Option(help="Look on this page alone.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Find passages of your documents; boxes are pixels of the upright page, origin top left."""
    from schemas.jobs import SearchRequest

    if not query or len(query) > 2000:
        raise typer.BadParameter("a query has 1 to 2000 characters")
    if language is not None and not re.fullmatch("[a-z]{2}", language):
        raise typer.BadParameter("a language is two small letters, such as en or de", param_hint="--language")
    wanted = SearchRequest(query=query, mode=mode, limit=limit, document_id=document_id, language=language, page=page)
    with connect() as client:
        found = client.search(wanted)
    if as_json:
        show_json(found.model_dump(mode="json"))
    elif found.hits:
        _LISTING.print(found.hits, as_json=False)
    else:
        note("no passage found")


def box_of(hit: "SearchHit") -> str:
    """Where a passage stands, as `x0,y0,x1,y1 of WxH`, or `no box` in a document without page pictures."""
    if hit.box is None:
        return "no box"
    return ",".join(f"{edge:.0f}" for edge in hit.box) + f" of {hit.image_width}x{hit.image_height}"


def _row(hit: "SearchHit") -> list[str]:
    return [f"{hit.score:.3f}", hit.document_id, str(hit.page), box_of(hit), hit.text]


_LISTING = Listing(("score", "document", "page", "box", "text"), _row, _row, frozenset({"document", "text"}))
