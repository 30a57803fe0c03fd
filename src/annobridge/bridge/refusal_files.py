"""CSV files of refused changes, one for each annotator, for tools that have no place for them."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..exceptions import InvalidOption

COLUMNS = ("file", "frame", "field", "class", "refused", "note", "by", "label_id", "url")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet computes cells that begin with these
_UNSAFE = re.compile(r"[^\w.-]+|^\.+")
_NOBODY = "unknown"
_LONGEST = 80  # characters of an annotator's name in the name of a file


def write(folder: Path, anno_key: str, rows: Iterable[tuple[str | None, Mapping[str, str]]]) -> list[Path]:
    """Write rows (``COLUMNS`` as texts) to ``<anno_key>-<annotator>.csv``, by the annotator, who may be unknown (``None``).

    What is in a file already, from an earlier call, stays, and is not written twice.

    Args:
        folder: where; made if it does not exist.
        anno_key: of the run.
        rows: the annotator, and the cells by column.

    Raises:
        InvalidOption: the folder cannot be written, or a file of that name has other columns. Files before it are written.
    """
    by_name: defaultdict[str, list[list[str]]] = defaultdict(list)
    for annotator, row in rows:
        by_name[_file_name(anno_key, annotator)].append([_neutral(row.get(name) or "") for name in COLUMNS])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(folder / name, found) for name, found in sorted(by_name.items())]
    except OSError as e:
        raise InvalidOption(
            f"The folder {str(folder)!r} cannot be written ({e.strerror or e}); give another folder=."
        ) from e


def _file_name(anno_key: str, annotator: str | None) -> str:
    """Annotators whose names differ only in characters that file names cannot have share a file."""
    return f"{anno_key}-{_UNSAFE.sub('_', annotator or '')[:_LONGEST] or _NOBODY}.csv"


def _neutral(cell: str) -> str:
    """A cell that spreadsheets show as text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _write(path: Path, rows: list[list[str]]) -> Path:
    """Add the rows that a file does not have. The file is replaced at once, so that nobody reads half of it."""
    there = _read(path)
    known = {tuple(row) for row in there}
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([COLUMNS, *there, *(row for row in rows if tuple(row) not in known)])
    part = path.with_name(f".{path.name}.part")
    part.write_text(text.getvalue(), "utf-8-sig", newline="")  # with the mark, spreadsheets read it as UTF-8
    os.replace(part, path)
    return path


def _read(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            found = list(csv.reader(stream))
    except (UnicodeDecodeError, csv.Error):
        found = []
    if not found or tuple(found[0]) != COLUMNS:
        raise InvalidOption(
            f"The file {str(path)!r} is there, and is not one of refused changes; move it, or give another folder=."
        )
    return found[1:]
