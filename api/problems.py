"""What each error code means: the page that a problem's `type` names, and `docs/errors.md`."""

from collections.abc import Iterator
from html import escape

from fastapi import APIRouter
from starlette.responses import Response

from schemas.errors import HeadraceError, NotFound

router = APIRouter(include_in_schema=False)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{code} · Headrace</title>
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }}
body {{ max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}
dt {{ font-weight: 600 }} dd {{ margin: 0 0 1rem }}
</style>
</head>
<body>
<h1><code>{code}</code></h1>
<p>{title}.</p>
<dl>
<dt>What it says</dt><dd>{meaning}</dd>
<dt>Status of an answer</dt><dd>{status}</dd>
<dt>The same request again</dt><dd>{again}</dd>
</dl>
</body>
</html>
"""
_LATER = (408, 429)  # refused for when or how it came, not for what it is
_AGAIN = {
    "reject": "fails again: change it first.",
    "hold": "may succeed once what is away is back; Retry-After says when to ask.",
    "retry": "may succeed.",
}
_HEAD = """# Error codes

{about}

| code | status | what it says | the same again |
|---|---|---|---|
"""
_ABOUT = (
    "Written by `make schemas`. Every error of the HTTP interface is a problem (RFC 9457) with one of these as its "
    "`code`; its `type` is the path `/problems/CODE` of the server, a page that says the same. Pages and jobs that "
    "fail, and dead letters, name them as well. Codes are stable: a new release may add some, and takes none away "
    "within a major version."
)


def catalogue() -> dict[str, type[HeadraceError]]:
    """Every error that a caller may be told, by its code."""
    told = (error for error in _all(HeadraceError) if error.__module__.partition(".")[0] in ("api", "schemas"))
    return {error.code: error for error in told}


def page() -> str:
    """`docs/errors.md`."""
    rows = [
        f"| `{code}` | {error.status} | {f'{_title(error)}. {_meaning(error)}'.strip()} | {_again(error)} |\n"
        for code, error in sorted(catalogue().items())
    ]
    return "".join([_HEAD.format(about=_ABOUT), *rows])


@router.get("/problems/{code}")
async def explanation(code: str) -> Response:
    """The page about a code."""
    error = catalogue().get(code)
    if error is None:
        raise NotFound("there is no such error code")
    told = {
        "code": code, "title": _title(error), "meaning": _meaning(error), "status": str(error.status),
        "again": _again(error),
    }  # fmt: skip
    content = _PAGE.format(**{name: escape(text) for name, text in told.items()})
    return Response(content, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")


def _all(error: type[HeadraceError]) -> Iterator[type[HeadraceError]]:
    yield error
    for below in error.__subclasses__():
        yield from _all(below)


def _title(error: type[HeadraceError]) -> str:
    return error.title.rstrip(".")


def _meaning(error: type[HeadraceError]) -> str:
    about = "" if error is HeadraceError else error.__doc__ or ""  # the root's is for who writes errors
    return " ".join(about.partition("\n\n")[0].split()).replace("`", "")


def _said(error: type[HeadraceError]) -> str:
    return f"{_title(error)}. {_meaning(error)}".strip()


def _again(error: type[HeadraceError]) -> str:
    return "may be accepted later." if error.status == 429 else _AGAIN[error.fate]
