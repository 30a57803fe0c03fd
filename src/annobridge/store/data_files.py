"""The data files of fragments that are not committed yet. Until then no version protects them from a clean-up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from pathlib import Path

import lance
from lance.file import LanceFileSession

from .remote import local_path

_THREADS = 16  # requests at once


def missing(
    table_uri: str, fragments: Sequence[lance.FragmentMetadata], storage_options: dict[str, str] | None
) -> list[str]:
    """The names of data files of fragments that are not there. One look at each: a request, in an object store.

    Args:
        table_uri: the URI of the table.
        fragments: the fragments.
        storage_options: options of the object store.

    Raises:
        OSError: the store refuses, or does not answer.
    """
    names = [file.path for fragment in fragments for file in fragment.files]
    if (table := local_path(table_uri)) is not None:  # a session costs as much as hundreds of such looks
        return [name for name in names if not os.path.exists(Path(table, "data", name))]
    if not names:
        return []
    session = LanceFileSession(f"{table_uri}/data", storage_options=storage_options)
    with ThreadPoolExecutor(min(_THREADS, len(names))) as threads:
        try:
            return list(compress(names, [not there for there in threads.map(session.contains, names)]))
        except RuntimeError as error:  # what Lance raises here in place of OSError
            raise OSError(str(error)) from None
