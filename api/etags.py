"""Entity tags (RFC 9110, 8.8.3): whether a caller has what it asks for already."""

import hashlib
import re

_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"|(\*)')


def tag_of(content: bytes) -> str:
    """A tag, without its quotes."""
    return hashlib.sha256(content).hexdigest()[:32]


def is_known(if_none_match: str, tag: str) -> bool:
    """Whether the header names the tag; weak tags count, as `If-None-Match` compares them."""
    return any(known == tag or star for known, star in _ENTITY_TAG.findall(if_none_match))
