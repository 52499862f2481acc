"""Office archives (OOXML), checked and written anew before a parser sees one.

A parser gets an archive of ours: plain stored members, each name once, the XML parts alone with content. So two zip
readers cannot disagree on what lies inside, and pictures, macros and nested archives are never unpacked.
"""

import io
import posixpath
import stat
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.parsers import expat

from processors.decoding.limits import Limits
from schemas.errors import DecodeFailed, Encrypted, Truncated, UnsupportedMedia
from schemas.media import DOCX, PPTX, XLSX

_MAIN_PARTS = {
    f"{DOCX}.main+xml": DOCX,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml": DOCX,
    "application/vnd.ms-word.document.macroEnabled.main+xml": DOCX,
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml": DOCX,
    f"{PPTX}.main+xml": PPTX,
    "application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml": PPTX,
    "application/vnd.openxmlformats-officedocument.presentationml.template.main+xml": PPTX,
    "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml": PPTX,
    "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml": PPTX,
    f"{XLSX}.main+xml": XLSX,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml": XLSX,
    "application/vnd.ms-excel.sheet.macroEnabled.main+xml": XLSX,
    "application/vnd.ms-excel.template.macroEnabled.main+xml": XLSX,
}
_TYPES = "[Content_Types].xml"
_END, _END_SIZE = b"PK\x05\x06", 22  # the record that ends a zip; only a comment may follow it
_PIECE = 1024
_MEMBER = b"PK\x01\x02"
_STORED_INSIDE = 10  # a stored nested archive has member marks of its own; beyond this many times the cap it is a bomb


def rewrite(content: bytes, limits: Limits) -> tuple[str, bytes]:
    """The media type (DOCX, PPTX or XLSX) and an archive of the same XML parts, safe to parse.

    Templates, shows and macro-enabled files come back as the plain type. Raises `Truncated`, `Encrypted`,
    `UnsupportedMedia` (a zip that is no OOXML), or `DecodeFailed` for damage, bombs, links, doubled names and DTDs.
    """
    end = content.rfind(_END)
    if end < 0 or len(content) < end + _END_SIZE:
        raise Truncated
    if content.count(_MEMBER) > limits.entries * _STORED_INSIDE:  # zipfile would make an object of each
        raise _too_many(limits)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check(members, len(content), limits)
            parts = dict(_parts(archive, members))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise DecodeFailed("the archive is damaged") from error
    media, parts[_TYPES] = _plain_types(parts.get(_TYPES, b""))
    names = {name.casefold() for name in parts}
    for name in parts:
        if name.casefold().endswith(".rels"):
            parts[name] = _followable(name, parts[name], names)
    return media, _stored(parts)


def _too_many(limits: Limits) -> DecodeFailed:
    return DecodeFailed(f"the archive has more than {limits.entries} members")


def _check(members: list[zipfile.ZipInfo], size: int, limits: Limits) -> None:
    if len(members) > limits.entries:
        raise _too_many(limits)
    if any(member.flag_bits & 0x41 for member in members):
        raise Encrypted
    # A declared size that lies does no harm: zipfile reads no further than it, then finds the checksum wrong.
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.unpacked or unpacked > limits.unpack_ratio * size:
        raise DecodeFailed("the archive unpacks to more than this server accepts")
    names = [member.filename.casefold() for member in members]
    if len(set(names)) < len(names):
        raise DecodeFailed("the archive has two members of one name")
    if any(name.startswith("/") or ".." in name.replace("\\", "/").split("/") for name in names):
        raise DecodeFailed("the archive has a member that points out of it")
    if any(stat.S_ISLNK(member.external_attr >> 16) for member in members):
        raise DecodeFailed("the archive has a link in it")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise DecodeFailed("the archive is packed in a way that office files are not")


def _parts(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    for member in members:
        if member.is_dir():
            continue
        content = b""
        if member.filename.casefold().endswith((".xml", ".rels")):
            content = archive.read(member)
            refuse_doctype(content)
        yield member.filename, content


class _RootReached(Exception):
    """The prolog, the only place for a DTD, is over."""


def refuse_doctype(xml: bytes) -> None:
    """Raise `DecodeFailed` for XML with a document type, or without a root element: entities start there."""

    def root(_name: str, _attributes: dict[str, str]) -> None:
        raise _RootReached

    def doctype(*_declaration: object) -> None:
        raise DecodeFailed("a part of the document declares a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = root
    parser.StartDoctypeDeclHandler = doctype
    try:
        for begin in range(0, len(xml), _PIECE):  # expat ends its piece before it hands on what a handler raised
            parser.Parse(xml[begin : begin + _PIECE], False)
        parser.Parse(b"", True)
    except _RootReached:
        return
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DecodeFailed("a part of the document is not well-formed XML") from error


def _plain_types(xml: bytes) -> tuple[str, bytes]:
    """The media type that the main part tells, and the types with that part's as the plain one of its kind."""
    for kind, media in _MAIN_PARTS.items():
        named = f'"{kind}"'.encode()
        if named in xml or (named := f"'{kind}'".encode()) in xml:
            return media, xml.replace(named, f'"{media}.main+xml"'.encode())
    raise UnsupportedMedia


def _followable(name: str, xml: bytes, names: set[str]) -> bytes:
    """The relationships without those to parts that are missing: some writers leave them, and parsers stumble."""
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 without a document type
    except ElementTree.ParseError as error:
        raise DecodeFailed("a part of the document is not well-formed XML") from error
    folder = posixpath.dirname(posixpath.dirname(name))
    for relation in list(root):
        target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", ""))).lstrip("/")
        if relation.get("TargetMode") != "External" and target.casefold() not in names:
            root.remove(relation)
    return ElementTree.tostring(root)


def _stored(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()
