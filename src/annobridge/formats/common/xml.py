"""XML from strangers: read element by element or as a whole, without document types, entities or the network."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TypeAlias

from lxml import etree

from ...exceptions import InvalidSource
from .archive import Archive

Element: TypeAlias = etree._Element
_HEAD = 4096  # bytes that are looked at to tell what a file is
_MOST = 64 << 20  # bytes of a file that is read as a whole
_ROOT = re.compile(rb"<\s*([A-Za-z_][\w.-]*)")
_DOCTYPE = re.compile(rb"<!DOCTYPE\s+([\w.-]+)[^\[>]*(\[.*?\]\s*)?>?", re.DOTALL | re.IGNORECASE)
_PROLOG = re.compile(rb"(\xef\xbb\xbf)?(\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)


def root_name(archive: Archive, name: str) -> str | None:
    """The name of the root element, by the first bytes of a file; ``None`` if it has none there. A document type is passed over
    here, and refused when the file is read.
    """
    with archive.open(name) as stream:
        head = _ascii(stream.read(_HEAD))
    doctype = _DOCTYPE.match(head, _prolog(head))
    if doctype is not None:
        head = head[doctype.end() :]
    found = _ROOT.match(head, _prolog(head)) or doctype
    return found[1].decode("ascii", "replace") if found else None


def elements(
    archive: Archive, name: str, tags: Sequence[str], other: Callable[[Element], None] | None = None
) -> Iterator[Element]:
    """The elements with these tags that are children of the root, one after another; each is forgotten when the next is asked
    for. ``other`` is called with children of the root that have another tag.

    Raises ``InvalidSource`` with file and line for what is no XML, and for a document type.
    """
    with archive.open(name) as stream:
        _refuse_doctype(archive, name, stream)
        parser = etree.iterparse(
            stream, events=("end",), tag=tuple(tags), resolve_entities=False, no_network=True, load_dtd=False,
            huge_tree=False, remove_comments=True, remove_pis=True,
        )  # fmt: skip
        is_first = True
        while (element := _next(archive, name, parser)) is not None:
            root = element.getparent()
            if is_first and element.getroottree().docinfo.doctype:
                raise _doctype(archive, name)
            is_first = False
            if root is None or root.getparent() is not None:
                continue  # a namesake deeper in the tree
            yield element
            element.clear()
            for child in list(element.itersiblings(preceding=True)):
                _tell(child, tags, other)
                root.remove(child)
        if (root := parser.root) is not None:
            if is_first and root.getroottree().docinfo.doctype:
                raise _doctype(archive, name)
            for child in root:
                _tell(child, tags, other)


def document(archive: Archive, name: str) -> Element:
    """The root of a small file. Raises ``InvalidSource`` as ``elements`` does, and for a file of more than 64 MiB."""
    if archive.size(name) > _MOST:
        raise InvalidSource(
            f"{archive.where(name)} has {archive.size(name):,} bytes, and is the XML of one image; "
            f"{_MOST:,} are the most. Leave it out of the source."
        )
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    with archive.open(name) as stream:
        _refuse_doctype(archive, name, stream)
        try:
            tree = etree.parse(stream, parser)
        except (etree.LxmlError, ValueError) as error:
            raise _broken(archive, name, error) from None
    if tree.docinfo.doctype:
        raise _doctype(archive, name)
    return tree.getroot()


def text(element: Element, path: str) -> str:
    """The text of the first element at a path, without spaces around it; ``""`` where there is none."""
    return (element.findtext(path) or "").strip()


def parse_number(value: str) -> float | None:
    """The finite number that a text is; ``None`` for other texts."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def parse_size(value: str) -> int | None:
    """The width or height in pixels that a text is; ``None`` for other texts."""
    number = parse_number(value)
    return int(number) if number is not None and 0 < number < 2**31 else None


def _next(archive: Archive, name: str, parser: etree.iterparse) -> Element | None:
    try:
        found: tuple[str, Element] | None = next(parser, None)
    except (etree.LxmlError, ValueError) as error:
        raise _broken(archive, name, error) from None
    return found[1] if found else None


def _tell(child: Element, tags: Sequence[str], other: Callable[[Element], None] | None) -> None:
    if other is not None and child.tag not in tags:
        other(child)


def _broken(archive: Archive, name: str, error: Exception) -> InvalidSource:
    line = getattr(error, "lineno", None)
    said = str(getattr(error, "msg", None) or error).split(", line ")[0]
    place = f"{archive.where(name)}, line {line}," if line else archive.where(name)
    return InvalidSource(f"{place} is not well-formed XML ({said}); write the file again.")


def _doctype(archive: Archive, name: str) -> InvalidSource:
    return InvalidSource(
        f"{archive.where(name)} has a document type (<!DOCTYPE …>), which no label file needs and which can do harm; remove it."
    )


def _refuse_doctype(archive: Archive, name: str, stream: BinaryIO) -> None:
    """Look for a document type before a parser sees it; what is behind longer comments is found by the parser."""
    head = _ascii(stream.peek(_HEAD)) if hasattr(stream, "peek") else b""
    if head[(start := _prolog(head)) : start + 9].upper() == b"<!DOCTYPE":
        raise _doctype(archive, name)


def _prolog(head: bytes) -> int:
    found = _PROLOG.match(head)
    return found.end() if found else 0


def _ascii(head: bytes) -> bytes:
    """The head of a file without the zero bytes of UTF-16."""
    return head[2:].replace(b"\0", b"") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head
