"""Addresses of servers as settings: what cannot be one is refused where it was set, before anything is called."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def web_address(text: str) -> str:
    """The address without spaces around it.

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
