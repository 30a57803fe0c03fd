"""Rows that are written to data files of a table, and committed later, perhaps by another process."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from .commits import Commits, Fragments
from .tables import Database


class WrittenRows:
    """Adds rows to a table in two steps."""

    def __init__(self, database: Database, table: str) -> None:
        self._commits = Commits(database, table)

    def write(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Fragments:
        """Write rows; returns their fragments, which can be pickled. Nobody sees the rows before ``append``."""
        return self._commits.write_fragments(batches, self._commits.latest(), schema)

    def append(self, fragments: Fragments) -> None:
        """Add rows that ``write`` has written, as one version.

        Raises:
            StoreError: files of them are gone. Nothing is added.
        """
        if fragments:
            self._commits.append(fragments)
