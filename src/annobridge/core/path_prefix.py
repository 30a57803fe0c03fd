"""Prefixes of paths and URIs, of whole components: ``/data/a`` is one of ``/data/a/0.png``, and not of ``/data/ab/0.png``."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc

from .arrays import as_array

_WINDOWS = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\")
_KINDS = {
    "": "",
    "dataset": "",
    "http": "web",
    "https": "web",
    "file": "file",
}  # by scheme; others are of object stores


def is_windows(path: str) -> bool:
    r"""Whether a path is written as on Windows: with a drive, or the name of a server.

    >>> is_windows("C:\\photos"), is_windows("d:/photos"), is_windows("\\\\nas\\photos"), is_windows("s3://b"), is_windows("/c:/a")
    (True, True, True, False, False)
    """
    return _WINDOWS.match(path) is not None


def begins_with(paths: pa.Array | pa.ChunkedArray, prefix: str) -> pa.Array:
    """Which paths are the prefix, or lie below it. On Windows, case and the kind of slash do not matter."""
    here = _comparable(as_array(paths), prefix)
    wanted = _comparable(pa.array([trimmed(prefix)]), prefix)[0].as_py()
    return pc.fill_null(pc.or_(pc.equal(here, wanted), pc.starts_with(here, f"{wanted}/")), False)


def unescaped(paths: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Ends of URIs as names of files.

    >>> unescaped(pa.array(["a%20b.png", "0.png"])).to_pylist()
    ['a b.png', '0.png']
    """
    return _each(as_array(paths), "%", unquote)


def _each(paths: pa.Array, pattern: str, change: Callable[[str], str]) -> pa.Array:
    """The texts, with those that match a pattern changed."""
    chosen = pc.fill_null(pc.match_substring_regex(paths, pattern), False)
    if not pc.any(chosen).as_py():
        return paths
    return pc.replace_with_mask(
        paths, chosen, pa.array([change(path) for path in paths.filter(chosen).to_pylist()], pa.string())
    )


def _kind(prefix: str) -> str:
    """What escapes mean in paths: nothing (an empty text), or what the kind of URI says."""
    scheme = prefix.partition("://")[0].lower() if "://" in prefix else ""
    return _KINDS.get(scheme, "store")


def replace_prefix(paths: pa.Array | pa.ChunkedArray, old: str, new: str) -> pa.Array:
    r"""The paths with ``new`` in place of the prefix ``old``, with the slashes of ``new``; null where they do not begin with it.

    >>> replace_prefix(pa.array(["C:\\photos\\cam\\0.png", "C:\\photos2\\0.png"]), "c:\\photos", "/data").to_pylist()
    ['/data/cam/0.png', None]
    >>> replace_prefix(pa.array(["/photos/a b.png"]), "/photos", "https://host").to_pylist()
    ['https://host/a%20b.png']
    """
    rest = pc.utf8_slice_codeunits(as_array(paths), len(trimmed(old)))
    if _kind(old) != _kind(new):
        rest = _each(unescaped(rest) if _kind(old) else rest, r"[^A-Za-z0-9_.~/\\-]", quote if _kind(new) else str)
    if is_windows(new):
        rest = pc.replace_substring(rest, "/", "\\")
    elif is_windows(old):
        rest = pc.replace_substring(rest, "\\", "/")
    replaced = pc.binary_join_element_wise(pa.scalar(trimmed(new), pa.string()), rest, "")
    return pc.if_else(begins_with(paths, old), replaced, pa.scalar(None, pa.string()))


def _comparable(paths: pa.Array, prefix: str) -> pa.Array:
    return pc.ascii_lower(pc.replace_substring(paths, "\\", "/")) if is_windows(prefix) else paths


def trimmed(prefix: str) -> str:
    """A prefix without slashes at its end."""
    return prefix.rstrip("/\\" if is_windows(prefix) else "/")
