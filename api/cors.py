"""Which pages of other origins may call from a browser: those that the operator names, with a key that they hold."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

_SENT = (
    "Authorization", "Content-Type", "Idempotency-Key", "Prefer", "Cancel-After", "If-None-Match", "Last-Event-ID",
    "Traceparent", "X-Request-Id",
)  # fmt: skip
_READ = (
    "Location", "ETag", "Retry-After", "Idempotent-Replayed", "Preference-Applied", "WWW-Authenticate", "X-Request-Id",
    "RateLimit", "RateLimit-Policy", "Deprecation", "Sunset", "Link",
)  # fmt: skip


def allow(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins in; without any, browsers keep all of them out, as they do by themselves.

    Never with cookies: what lets a caller in is a header that a page must know. To be added last: then also what is
    refused around the routes can be read by the page that asked.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=list(_SENT),
            expose_headers=list(_READ),
            max_age=600,
        )
