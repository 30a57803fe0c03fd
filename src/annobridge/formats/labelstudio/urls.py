"""Which image a task is about: its address as a name that can be looked up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ...core.media import PICTURES
from ..names import with_slashes

_KEYS = ("image", "images", "img", "photo", "picture", "image_url", "url", "ocr", "captioning")
_UPLOAD = re.compile(r"^(.*/)?data/upload/\d+/")
_STORAGES = ("s3", "gs", "gcs", "azure-blob", "az", "abfs", "oss")


def image_name(address: str) -> str | None:
    """The path of an image in an address, without server, bucket and query; ``None`` for what names no file.

    >>> image_name("/data/local-files/?d=harbour/cam%201/a.jpg"), image_name("s3://bucket/cam 1/a.jpg")
    ('harbour/cam 1/a.jpg', 'cam 1/a.jpg')
    >>> image_name("https://host/data/upload/1/4e0bce4e-a.jpg?x=1"), image_name("data:image/png;base64,AAAA")
    ('4e0bce4e-a.jpg', None)
    """
    if address.startswith("data:") or "\n" in address:
        return None
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme in _STORAGES:
        return _plain(address.partition("://")[2].partition("/")[2])
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
    except ValueError:
        return _plain(address)
    for key in ("d", "fileuri"):
        if key in query and (key != "d" or parts.path.rstrip("/").endswith("local-files")):
            return _plain(query[key][0])
    is_address = bool(scheme) or address.startswith("/data/")
    path = _plain(unquote(parts.path) if is_address else unquote(address))
    # The folder of an upload is the project's number, which says nothing about the file.
    return _UPLOAD.sub("", path) if path is not None and is_address else path


def image_key(data: Mapping[str, Any], known: Iterable[str] = ()) -> str | None:
    """The key of a task's data that has the address of its image, or a list of them; ``None`` if there is none. ``known`` are keys
    that a labelling configuration has for images.
    """
    for key in (*known, *_KEYS):
        if is_address(data.get(key)):
            return key
    return next((key for key, value in data.items() if isinstance(value, str) and is_picture(value)), None)


def is_address(value: Any) -> bool:
    """Whether a value can be the address of an image, or a list of addresses."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(entry, str) and entry for entry in value)
    return isinstance(value, str) and bool(value)


def is_picture(value: str) -> bool:
    """Whether a text is the address of a file with the suffix of an image."""
    name = image_name(value) if len(value) < 4096 else None
    return name is not None and os.path.splitext(name)[1].lower() in PICTURES


def _plain(path: str) -> str | None:
    parts = [part for part in with_slashes(path).split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or None
