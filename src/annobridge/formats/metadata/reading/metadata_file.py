"""The rows of a metadata file as objects, whatever it is written in: lines of JSON, CSV, or Parquet."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import parquet

from ....core.json_values import DEEPEST, is_deeper
from ....exceptions import InvalidSource
from ...common import features
from ...common.features import Features
from .json_lines import Line, fail, location

_ROWS = 1024  # of a Parquet file at a time
_MOST = 1 << 24  # bytes of a file that describes a dataset
_LARGEST_CELL = 1 << 24  # characters
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d{1,3})?")
Parse = Callable[[str], Any]


TABLES = (".csv", ".parquet")  # suffixes of files whose rows are not lines of JSON


def read_rows(path: Path) -> Iterator[tuple[int, Line]]:
    """The rows of CSV or Parquet with their numbers, from 1; of CSV, that of the line at which the row ends. Raises
    ``InvalidSource``.
    """
    return _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)


def features_of(path: Path) -> Features:
    """What a metadata file, and descriptions in its folder and the one above, say of the columns."""
    found = Features()
    for folder in (path.parent.parent, path.parent):
        found |= features.of_files(partial(_description, folder))
    if path.suffix == ".parquet":
        with _opened(path) as file:
            found |= features.of_schema(file.schema_arrow)
    return found


def _description(folder: Path, name: str) -> bytes | None:
    file = folder / name
    return file.read_bytes() if file.is_file() and file.stat().st_size <= _MOST else None


def _read_csv(path: Path) -> Iterator[tuple[int, Line]]:
    """CSV has texts only: a column whose values are all numbers, or all JSON, has these; an empty cell is null."""
    head, parsers = _column_types(path)
    for number, cells in _cells(path):
        row = {
            name: parse(cell) if cell != "" else None for name, parse, cell in zip(head, parsers, cells, strict=True)
        }
        yield number, row


def _column_types(path: Path) -> tuple[list[str], list[Parse]]:
    """The names of the columns, and what makes values of their texts."""
    rows = _cells(path, with_head=True)
    _, head = next(rows, (0, []))
    if not any(head):
        raise InvalidSource(f"{path} has no header; write the names of the columns into its first line.")
    if repeated := [name for name in head if head.count(name) > 1]:
        fail(location(path, 1), f"has the column {repeated[0]!r} twice; keep one of them.")
    left: list[list[tuple[Parse, Callable[[str], bool]]]] = [list(_TYPES) for _ in head]
    filled = [False] * len(head)
    for _, cells in rows:
        for at, cell in enumerate(cells):
            if cell != "" and left[at]:
                filled[at] = True
                left[at] = [kind for kind in left[at] if kind[1](cell)]
    return head, [kinds[0][0] if kinds and has else str for kinds, has in zip(left, filled, strict=True)]


def _is_json(cell: str) -> bool:
    if cell[0] not in "[{":
        return False
    try:
        return not is_deeper(msgspec.json.decode(cell)) or cell.count("[") + cell.count("{") <= DEEPEST
    except (msgspec.DecodeError, RecursionError):
        return False


_TYPES: tuple[tuple[Parse, Callable[[str], bool]], ...] = (
    (int, lambda cell: bool(_WHOLE.fullmatch(cell))),
    (float, lambda cell: bool(_NUMBER.fullmatch(cell)) and any(c.isdigit() for c in cell)),
    (lambda cell: cell.lower() == "true", lambda cell: cell.lower() in ("true", "false")),
    (msgspec.json.decode, _is_json),
)


def _cells(path: Path, with_head: bool = False) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader, width = csv.reader(file, strict=True), None
            for cells in reader:
                if not cells:
                    continue
                if width is not None and len(cells) != width:
                    fail(
                        location(path, reader.line_num),
                        f"has {len(cells)} cells, and the header {width}; put quotes around values with commas.",
                    )
                if width is not None or with_head:
                    yield reader.line_num, cells
                width = len(cells)
    except UnicodeDecodeError as error:
        raise InvalidSource(f"{path} is not UTF-8 ({error.reason}); save the file as UTF-8.") from None
    except csv.Error as error:
        fail(location(path, reader.line_num), f"cannot be read as CSV ({error}); correct it.")


def _read_parquet(path: Path) -> Iterator[tuple[int, Line]]:
    number = 0
    with _opened(path) as file:
        names = file.schema_arrow.names
        if repeated := [name for name in names if names.count(name) > 1]:
            raise InvalidSource(f"{path} has two columns {repeated[0]!r}; rename one.")
        try:
            for batch in file.iter_batches(_ROWS, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(path, error) from error


def _opened(path: Path) -> parquet.ParquetFile:
    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InvalidSource:
    return InvalidSource(
        f"{path} cannot be read as Parquet ({str(error).partition(chr(10))[0][:200]}); write it again."
    )
