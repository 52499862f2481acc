"""Request headers by which a caller says how long it waits (RFC 7240), and when the work is to be given up."""

import re

from schemas.errors import BadRequest

MOST_SECONDS = 60
_PREFERENCE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(?:"([^"]*)"|([^",;\s]*)))?\s*(?:;[^,]*)?\s*')
_SPAN = re.compile(r"([0-9]{1,8})|(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?")


def wait_seconds(prefer: str) -> int | None:
    """How long `Prefer: wait=SECONDS` waits, at most a minute; None where it does not ask to.

    What cannot be understood is no error but no preference, and of one that is repeated the first counts, as the
    specification says.
    """
    for item in prefer.split(","):
        found = _PREFERENCE.fullmatch(item)
        if found and found[1].lower() == "wait":
            value = found[2] if found[2] is not None else found[3] or ""
            return min(int(value), MOST_SECONDS) if re.fullmatch(r"[0-9]{1,9}", value) else None
    return None


def cancel_after(given: str | None, most: float) -> float | None:
    """Seconds of `Cancel-After`, such as `90`, `90s`, `1m30s` or `2h`; raises `BadRequest` for what is no such span."""
    if given is None:
        return None
    found = _SPAN.fullmatch(given.strip())
    bare, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    span = bare + 3600 * hours + 60 * minutes + seconds
    if not 0 < span <= most:
        raise BadRequest("Cancel-After must be a span such as 90s, 1m30s or 2h, and at most 30 days")
    return span
