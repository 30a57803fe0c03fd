"""Size and content of media, recorded when they come into the dataset, so that they are known again at another place.

A fingerprint is a hash of the size and of four blocks of the file: the first, the last, and two between; of a file of up to 4 KiB,
it is a hash of all. It is read in some 15 µs. A change that keeps the size and touches none of the blocks is not seen.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from .image_headers import OPEN
from .parallel import map_files
from .remote import is_uri, local_path
from .schemas import FILES
from .tables import Database, in_list

T = TypeVar("T")

_TABLE = "annotation_files"
_BLOCKS, _BLOCK = 4, 1024  # how many, and bytes
_WHOLE = _BLOCKS * _BLOCK  # bytes up to which all of a file is hashed
START = _WHOLE + 1  # bytes at the start of a file that ``of_open_file`` needs
_NOTHING = (None, None)
_AMONG = 1_000  # ids up to which only their rows are read
_AT_ONCE = 10_000  # ids of one condition


def of_file(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """The size of a file in bytes, and its fingerprint; ``None`` if it is no file, or cannot be read."""
    return from_start(path, of_open_file, OSError)  # of a folder, or a disk that fails


def from_start(
    path: str | os.PathLike[str],
    look: Callable[[int, int, bytes], T],
    errors: type[Exception] | tuple[type[Exception], ...],
) -> T | None:
    """What ``look`` finds in a file that is opened once; ``None`` if it is no file, cannot be read, or ``look`` raises ``errors``.

    Args:
        path: the file.
        look: is given the open file, its size, and its first ``START`` bytes.
        errors: what it may raise.
    """
    try:
        file = os.open(path, OPEN)  # a file object would cost as much as all the rest
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return None
    try:
        about = os.fstat(file)
        return look(file, about.st_size, os.read(file, START)) if stat.S_ISREG(about.st_mode) else None
    except errors:
        return None
    finally:
        os.close(file)


def of_open_file(file: int, size: int, start: bytes) -> tuple[int, int]:
    """``of_file`` of a file that is open, given its size and its first ``START`` bytes. Raises ``OSError``."""
    data = start
    if len(start) <= _WHOLE:
        size = len(start)
    else:
        places = ((size - _BLOCK) * number // (_BLOCKS - 1) for number in range(1, _BLOCKS))
        data = b"".join((size.to_bytes(8), start[:_BLOCK], *(_read(file, place) for place in places)))
    return size, int.from_bytes(blake2b(data, digest_size=8).digest(), signed=True)


def _read(file: int, place: int) -> bytes:
    os.lseek(file, place, os.SEEK_SET)
    return os.read(file, _BLOCK)


def of_places(places: Sequence[str | None]) -> pa.Table:
    """``size`` and ``fingerprint`` of each file; null for what is no file here, as a URI."""
    found = map_files(_of_place, places)
    sizes, contents = zip(*found, strict=True) if found else ((), ())
    return pa.table({"size": pa.array(sizes, pa.int64()), "fingerprint": pa.array(contents, pa.int64())})


def _of_place(place: str | None) -> tuple[int, int] | tuple[None, None]:
    if place is None:
        return _NOTHING
    path = local_path(place) if is_uri(place) else place
    return (of_file(path) if path is not None else None) or _NOTHING


class Fingerprints:
    """The table of what is recorded. Rows of samples that the dataset does not have do not count, and the last of a sample does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Record files (``FILES``); of samples with a row, the new one counts."""
        batches = [batch for batch in rows if batch.num_rows]
        if not batches:
            return
        if _TABLE not in self._database.table_names():
            self._database.create_table(_TABLE)
        self._database.append(_TABLE, pa.Table.from_batches(batches, FILES))

    def record_of(self, sample_ids: pa.Array, files: pa.Table) -> None:
        """Record ``size`` and ``fingerprint`` of the files of samples; rows without a size are left out."""
        rows = files.add_column(0, FILES.field("sample_id"), sample_ids)
        self.record(rows.filter(rows["size"].is_valid()).to_batches())

    def forget(self, sample_ids: pa.Array) -> None:
        """Delete the rows of those of the samples that have one, as a process that was killed may leave it."""
        few = 0 < len(sample_ids) <= _AMONG
        there = as_array(self._rows(in_list("sample_id", sample_ids.to_pylist()) if few else None)["sample_id"])
        found = pc.unique(there.filter(pc.is_in(there, value_set=sample_ids)))
        for at in range(0, len(found), _AT_ONCE):
            self.delete(found.slice(at, _AT_ONCE).to_pylist())

    def table(self, where: str | None = None) -> pa.Table:
        """All records (``FILES``), the last of a sample first."""
        rows = self._rows(where)
        return rows.take(pa.array(np.arange(rows.num_rows)[::-1])).combine_chunks()

    def of(self, sample_ids: pa.Array) -> pa.Table:
        """``size`` and ``fingerprint`` of samples, in the order of the ids; null where nothing is recorded."""
        few = 0 < len(sample_ids) <= _AMONG
        return among(self.table(in_list("sample_id", sample_ids.to_pylist()) if few else None), sample_ids)

    def delete(self, sample_ids: Sequence[str]) -> None:
        """Delete the rows of samples."""
        if _TABLE in self._database.table_names():
            self._database.delete(_TABLE, in_list("sample_id", sample_ids))

    def _rows(self, where: str | None) -> pa.Table:
        try:
            return self._database.read(_TABLE, where=where)
        except (ValueError, OSError):
            if _TABLE in self._database.table_names():
                raise
            return FILES.empty_table()  # a dataset of an earlier version, or without a file that was recorded


def among(records: pa.Table, sample_ids: pa.Array) -> pa.Table:
    """``size`` and ``fingerprint`` of samples among records, of which the first of a sample counts; null where there is none."""
    index = pc.index_in(sample_ids, value_set=as_array(records["sample_id"]))
    return records.select(["size", "fingerprint"]).take(index)
