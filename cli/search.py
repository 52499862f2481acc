"""`headrace search QUERY`: passages by meaning, by words, or by both, each with its document, page and box."""

import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.output import DATA_DIR, ApiKey, AsJson, DataDir, Url, note, plain, show, show_json

if TYPE_CHECKING:
    from schemas.jobs import SearchHit

Mode = Literal["vector", "keyword", "hybrid"]  # as `schemas.jobs` has it, whose import would cost every command


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def search(  # noqa: PLR0913 a command's options are its interface
        query: Annotated[str, typer.Argument(help="What to look for, in words.")],
        *,
        limit: Annotated[int, typer.Option(help="How many passages.", min=1, max=100)] = 10,
        mode: Annotated[Mode, typer.Option(help="By meaning (vector), by words (keyword), or both.")] = "vector",
        document_id: Annotated[str | None, typer.Option(help="Look in this document alone.")] = None,
        language: Annotated[str | None, typer.Option(help="Passages in this language alone, as ISO 639-1.")] = None,
        page: Annotated[int | None, typer.Option(help="Look on this page alone.", min=1)] = None,
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = DATA_DIR,
        as_json: AsJson = False,
    ) -> None:
        """Find passages of your documents; boxes are pixels of the upright page, origin top left."""
        from cli.client import Client, Server
        from schemas.jobs import SearchRequest

        if not query or len(query) > 2000:
            raise typer.BadParameter("a query has 1 to 2000 characters")
        if language is not None and not re.fullmatch("[a-z]{2}", language):
            raise typer.BadParameter("a language is two small letters, such as en or de", param_hint="--language")
        wanted = SearchRequest(
            query=query, mode=mode, limit=limit, document_id=document_id, language=language, page=page
        )
        with Client(Server.find(url, api_key, data_dir)) as client:
            found = client.search(wanted)
        if as_json:
            show_json(found.model_dump(mode="json"))
        else:
            show_hits(found.hits)


_SHOWN = 160  # characters of a passage in the table; a pipe and --json get it whole


def show_hits(hits: "list[SearchHit]") -> None:
    """A table for people, tab-separated lines for pipes."""
    import sys
    from textwrap import shorten

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not hits:
        note("no passage found")
        return
    rows = [
        (f"{hit.score:.3f}", plain(hit.document_id), str(hit.page), box_of(hit), plain(hit.text)) for hit in hits
    ]  # fmt: skip
    if not sys.stdout.isatty():
        for row in rows:
            show("\t".join(row))
        return
    table = Table("score", "document", "page", "box", "text")
    for *where, text in rows:
        table.add_row(*map(Text, where), Text(shorten(text, _SHOWN, placeholder=" …")))
    Console().print(table)


def box_of(hit: "SearchHit") -> str:
    """Where a passage stands, as `x0,y0,x1,y1 of WxH`, or `no box` in a document without page pictures."""
    if hit.box is None:
        return "no box"
    return ",".join(f"{edge:.0f}" for edge in hit.box) + f" of {hit.image_width}x{hit.image_height}"
