"""Documentation that needs no other server: the descriptions, and a page that reads and tries them."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from schemas.errors import NotFound

router = APIRouter(include_in_schema=False)
# Everything on the page comes from here, and nothing may be sent anywhere else; Swagger UI brings its icons as `data:`.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headrace API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# `validatorUrl` null: else the description would be sent to a server of Swagger's.
_START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  displayRequestDuration: true, presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout"});
"""
_FILES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}


@router.get("/docs")
async def docs() -> Response:
    """The page; every address on it is relative, so that it works below a proxy's prefix as well."""
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
    return Response(_PAGE, headers=headers, media_type="text/html")


@router.get("/docs/start.js")
async def start() -> Response:
    """What starts Swagger UI: a file of its own, as the policy forbids scripts inside the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
async def part(name: str) -> Response:
    """Swagger UI, as the package brings it."""
    if name not in _FILES:
        raise NotFound
    content = files("fastapi_swagger.resources").joinpath(name).read_bytes()
    return Response(content, headers={"Cache-Control": "max-age=86400"}, media_type=_FILES[name])


@router.get("/asyncapi.json")
async def described_events() -> dict[str, object]:
    """What lies on Kafka."""
    from schemas.asyncapi import asyncapi  # which few ask for, and each start would wait for

    return asyncapi()
