"""Addresses: the type of a server's URL in a ``Config``, which is refused when settings are resolved if it is none; and those of
files that a tool reads itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator


def web_address(text: str) -> str:
    """Validate a URL; returns it without surrounding white space. Raises ``ValueError``.

    >>> web_address(" https://cvat.example:8080/ ")
    'https://cvat.example:8080/'
    """
    address = text.strip()
    try:
        parts = urlsplit(address)
        found = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, brackets that are not closed
        found = False
    if not found or any(letter.isspace() or not letter.isprintable() for letter in address):
        raise ValueError("it is not a web address; give http:// or https://, then host and port")
    return address


def served_at(path: str, root: str | None, url_root: str | None) -> str:
    """The address at which a tool finds a file itself: the path below ``root``, after ``url_root``. What is an address stays
    as it is.

    Raises ``ValueError``, with the reason, for a file that is not below ``root``.
    """
    if "://" in path:
        return path
    folder, file = Path(root or "").resolve(), Path(path).resolve()
    if root is None or url_root is None or not file.is_relative_to(folder):
        raise ValueError(f"the file {path!r} is not below media_root={root!r}")
    return url_root + quote(file.relative_to(folder).as_posix())


WebAddress = Annotated[str, AfterValidator(web_address)]
