"""Files that are elsewhere, by URI: on a web server (``web_files``) or in an object store (``object_files``).

Whatever reads media by URI goes through here, or through the cache in front of it (``media_cache``). Errors are an ``OSError``
whose text has no part of the URI, which may be signed or hold a login; the caller names the sample.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .remote_file import RemoteFile, StorageOptions

_WEB = ("http", "https")


def is_uri(place: str) -> bool:
    r"""Whether a place is a URI, and not a path.

    >>> is_uri("s3://bucket/a.png"), is_uri("/photos/a.png"), is_uri("C:\\photos\\a.png")
    (True, False, False)
    """
    return "://" in place


def local_path(place: str) -> Path | None:
    """The path of a file of this machine, also of a ``file://`` URI; ``None`` for other URIs.

    >>> str(local_path("file:///photos/a%20b.png")), local_path("s3://bucket/a.png")
    ('/photos/a b.png', None)
    """
    if not is_uri(place):
        return Path(place)
    if place[:7].lower() == "file://":
        parts = urlsplit(place)
        host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
        return Path(url2pathname(host + parts.path))
    return None


def absolute(place: str) -> str:
    """A path as it is from any folder; a URI as it is."""
    return place if is_uri(place) else str(Path(place).expanduser().absolute())


def open_remote(uri: str, options: StorageOptions = None) -> RemoteFile:
    """A file by its URI; nothing is asked yet. Raises ``OSError`` for a scheme that is not known.

    ``options`` are those of the object store, as ``storage_options`` of datasets; without, they come from the environment.
    """
    scheme = uri.partition("://")[0].lower()
    if scheme in _WEB:
        from .web_files import WebFile

        return WebFile(uri)
    from .object_files import SCHEMES, ObjectFile

    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in (*_WEB, "file", *SCHEMES))
        raise OSError(f"files of {scheme}:// cannot be read; the known ones are {known}")
    return ObjectFile(uri, options)
