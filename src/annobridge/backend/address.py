"""The type of a server's URL in a ``Config``: a value that is not a URL is refused when settings are resolved."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

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


WebAddress = Annotated[str, AfterValidator(web_address)]
