"""The data files of fragments that are not committed yet. Until then no version protects them from a clean-up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from pathlib import Path

import lance

from .remote import local_path
from .remote_file import StorageOptions

_THREADS = 16  # requests at once


def missing(table_uri: str, fragments: Sequence[lance.FragmentMetadata], options: StorageOptions) -> list[str]:
    """The names of data files of fragments that are not there. One look at each: a request, in an object store.

    Args:
        table_uri: the URI of the table.
        fragments: the fragments.
        options: options of the object store.

    Raises:
        OSError: the place does not answer.
    """
    names = list(_names(fragments))
    if (folder := local_path(table_uri)) is not None:
        return [name for name in names if not os.path.exists(Path(folder, "data", name))]
    with ThreadPoolExecutor(min(_THREADS, len(names)) or 1) as threads:
        return list(compress(names, threads.map(_is_missing(table_uri, options), names)))


def _names(fragments: Sequence[lance.FragmentMetadata]) -> Iterator[str]:
    for fragment in fragments:
        yield from (file.path for file in fragment.files)


def _is_missing(table_uri: str, options: StorageOptions) -> Callable[[str], bool]:
    from .object_files import ObjectFile

    def is_missing(name: str) -> bool:
        try:
            ObjectFile(f"{table_uri.rstrip('/')}/data/{name}", options).state()
        except FileNotFoundError:
            return True
        return False

    return is_missing
