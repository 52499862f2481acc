"""E-mail to blocks, by the standard library."""

import email
import email.errors
import email.header
import email.policy
from collections.abc import Iterator
from email.message import Message
from typing import TypeAlias

from processors.decoding.office.markup import markup_blocks
from processors.decoding.office.text import clean, decoded, paragraphs
from processors.decoding.pages import TextBlock
from schemas.errors import DecodeFailed, Encrypted

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_PARTS_MOST = 1000  # a message of more has been made to be one

_Part: TypeAlias = "Message[str, str]"  # a class is no generic when it runs


def mail_blocks(content: bytes) -> Iterator[TextBlock]:
    """Its header lines, its text (plain where there is any, else HTML), and a line for each attachment.

    Attachments are named with type and size and not opened, forwarded messages too.
    Raises `Encrypted`, and `DecodeFailed` for too many parts.
    """
    # The older policy: the newer one parses every header into a tree, in time that grows with the square of its length.
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    if message.get_content_type() == "multipart/encrypted" or _enveloped(message):
        raise Encrypted
    lines = [f"{name}: {value}" for name in _SHOWN for value in _headers(message, name)]
    if lines:
        yield TextBlock("text", tuple(lines))
    attachments: list[str] = []
    for part in _leaves(message):
        if part.get_content_type() in ("text/plain", "text/html") and not _attached(part):
            yield from _body(part)
        else:
            attachments.append(_told(part))
    if attachments:
        yield TextBlock("text", tuple(attachments))


def _enveloped(message: _Part) -> bool:
    kind = message.get_content_type()
    if kind not in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return False
    return message.get_param("smime-type") not in ("signed-data", "certs-only", "compressed-data")


def _leaves(message: _Part) -> Iterator[_Part]:
    """The parts to show or to tell, in order; of alternatives, the one to read."""
    waiting, taken = [message], 0
    while waiting:
        part = waiting.pop()
        taken += 1
        if taken > _PARTS_MOST:
            raise DecodeFailed(f"the message has more than {_PARTS_MOST} parts")
        inside = part.get_payload()
        if part.get_content_maintype() != "multipart" or not isinstance(inside, list):
            yield part
            continue
        parts = [each for each in inside if isinstance(each, Message)]
        if part.get_content_subtype() == "alternative":
            parts = _chosen(parts)
        waiting += reversed(parts)


def _chosen(alternatives: list[_Part]) -> list[_Part]:
    for part in alternatives:
        if part.get_content_type() == "text/plain" and _text(part).strip():
            return [part]
    return alternatives[-1:]  # the richest comes last


def _attached(part: _Part) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _body(part: _Part) -> Iterator[TextBlock]:
    if part.get_content_type() == "text/html":
        return markup_blocks(_bytes(part), _charset(part))
    return paragraphs(_text(part))


def _bytes(part: _Part) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _charset(part: _Part) -> str:
    return part.get_content_charset("") or ""


def _text(part: _Part) -> str:
    return decoded(_bytes(part), _charset(part))


def _told(part: _Part) -> str:
    name = clean(_unfolded(part.get_filename() or "")) or "unnamed"
    kind = clean(part.get_content_type())
    if part.is_multipart():
        return f"Attachment: {name} ({kind})"
    return f"Attachment: {name} ({kind}, {len(_bytes(part))} bytes)"


def _headers(message: _Part, name: str) -> Iterator[str]:
    for value in message.get_all(name, []):
        if text := clean(_unfolded(str(value))):
            yield text


def _unfolded(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) read; as it stands where they cannot be."""
    one_line = " ".join(value.split())
    try:
        return str(email.header.make_header(email.header.decode_header(one_line)))
    except (LookupError, ValueError, email.errors.MessageError):
        return one_line
