"""CSV files with a header, read in batches of texts, and their columns as numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ...exceptions import InvalidSource
from .archive import Archive
from .report import ReadReport

_HEAD = 1 << 16  # bytes in which the header is looked for
_BLOCK = 1 << 20  # bytes of a batch, and most of a row
_RAGGED = 100_000  # rows that are kept
_WRONG_COUNT = "its row has another number of cells than the header"
_DELIMITERS = ",;\t"

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def header(archive: Archive, name: str) -> tuple[list[str], str]:
    """The cells of the first line, without spaces around them, and the delimiter; no cells for what is no text."""
    return next(iter(head(archive, name, 1)), ([], ","))


def head(archive: Archive, name: str, count: int) -> list[tuple[list[str], str]]:
    """The cells of the first lines that are not blank, each with the delimiter; up to the first that is no text."""
    was_read = name in archive.opened
    with archive.open(name) as stream:
        data = stream.read(_HEAD)
    if not was_read:
        archive.opened.discard(name)  # a look at the header is no reading
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()
    whole = lines if len(data) < _HEAD else lines[:-1]
    found = []
    for line in [line for line in whole if line.strip()][:count]:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            break
        if "\0" in text:
            break
        found.append(cells(text))
    return found


def cells(line: str) -> tuple[list[str], str]:
    """The cells of a line, and its delimiter: of comma, semicolon and tab, the one that is in it most often.

    >>> cells("a;b c ;d"), cells('"x,y",z')
    ((['a', 'b c', 'd'], ';'), (['x,y', 'z'], ','))
    """
    delimiter = max(_DELIMITERS, key=line.count)
    row = next(csv.reader(io.StringIO(line), delimiter=delimiter, strict=False), [])
    return [cell.strip() for cell in row], delimiter


def batches(
    archive: Archive, name: str, wanted: Sequence[str], report: ReadReport, columns: Sequence[str] | None = None,
    ragged: bool = False,
) -> Iterator[tuple[pa.StringArray, dict[str, pa.StringArray]]]:  # fmt: skip
    """The rows of a file, some thousands at a time: where each row is, for messages, and the wanted columns as texts.

    A column that the file lacks is all ``""``. Rows with another number of cells than the header are skipped in the report, if
    they are not ``ragged``.

    Args:
        archive: The archive.
        name: The file.
        wanted: The names of columns.
        report: Where skipped rows go.
        columns: The names of all columns, in a file without a header.
        ragged: Whether a row may lack cells behind the wanted columns, or have more of them.
    """
    where = archive.where(name)
    found, delimiter = header(archive, name)
    named = list(columns) if columns is not None else found
    if repeated := sorted({column for column in named if column and named.count(column) > 1}):
        raise InvalidSource(f"{where} has the column {repeated[0]!r} twice; rename one of them.")
    if not named:
        if archive.size(name):
            raise InvalidSource(
                f"{where} has no header in UTF-8 text; save it as CSV, with the names of its columns first."
            )
        return
    kept = [column for column in wanted if column in named]
    lines = _Lines(where, 1 if columns is not None else 2, report, ragged)
    with archive.open(name) as stream:
        try:
            for batch in _reader(stream, named, kept, delimiter, lines):
                texts = {column: batch.column(column) for column in kept}
                empty = pa.repeat("", batch.num_rows)
                yield lines.take(batch.num_rows), {column: texts.get(column, empty) for column in wanted}
            if lines.ragged:
                yield lines.parsed(
                    [named.index(column) if column in kept else -1 for column in wanted], delimiter, wanted
                )
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise InvalidSource(
                    f"{where} cannot be read as a table, from about line {lines.next} on ({str(error).split(';')[0][:200]}); "
                    "save it as CSV with UTF-8 text."
                ) from None


def _reader(
    stream: BinaryIO, named: Sequence[str], kept: Sequence[str], delimiter: str, lines: _Lines
) -> arrow_csv.CSVStreamingReader:
    return arrow_csv.open_csv(
        pa.PythonFile(stream, "r"),
        arrow_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK, column_names=named, skip_rows=1 if lines.next == 2 else 0
        ),
        arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=lines.skip),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(kept, pa.string()), include_columns=kept, strings_can_be_null=False
        ),
    )


class _Lines:
    """The numbers of the lines of a file, without those that were skipped."""

    def __init__(self, where: str, first: int, report: ReadReport, keeps: bool) -> None:
        self.next, self._where, self._report, self._keeps = first, where, report, keeps
        self._skipped: list[int] = []
        self.ragged: list[tuple[str, str]] = []  # place and text of rows that are to be parsed by themselves

    def skip(self, row: Any) -> str:
        """Called for a row with a wrong number of cells."""
        place = f"{self._where} line {row.number}"
        if self._keeps and len(self.ragged) < _RAGGED:
            self.ragged.append((place, row.text))
        else:
            self._report.skip(place, _WRONG_COUNT)
        self._skipped.append(row.number)
        return "skip"

    def parsed(
        self, at: Sequence[int], delimiter: str, wanted: Sequence[str]
    ) -> tuple[pa.StringArray, dict[str, pa.StringArray]]:
        """The ragged rows, as a batch."""
        places, rows = [], []
        for place, text in self.ragged:
            found = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
            if max(at) < len(found):
                places.append(place)
                rows.append([found[n] if n >= 0 else "" for n in at])
            else:
                self._report.skip(place, _WRONG_COUNT)
        columns = zip(*rows, strict=True) if rows else [()] * len(wanted)
        texts = {name: pa.array(values, pa.string()) for name, values in zip(wanted, columns, strict=True)}
        return pa.array(places, pa.string()), texts

    def take(self, count: int) -> pa.StringArray:
        """Where the next rows are."""
        numbers = np.arange(self.next, self.next + count + len(self._skipped))
        numbers = numbers[~np.isin(numbers, self._skipped)][:count]
        self.next = int(numbers[-1]) + 1 if count else self.next
        self._skipped = [number for number in self._skipped if number >= self.next]
        return pc.binary_join_element_wise(pa.repeat(self._where, count), pa.array(numbers).cast(pa.string()), " line ")


def floats(texts: pa.StringArray) -> Floats:
    """Texts as numbers; NaN for what is none.

    >>> floats(pa.array(["1.5", "", "x", " 2"])).tolist()
    [1.5, nan, nan, 2.0]
    """
    filled = pc.if_else(pc.equal(texts, ""), None, texts)
    try:
        values: Floats = filled.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        values = np.array([_float(text) for text in filled.to_pylist()], np.float64)
    return values


def good_rows(places: pa.StringArray, wrong: Mapping[str, Bools], report: ReadReport) -> Bools:
    """Which rows of a batch are good. The others are skipped in the report, each with the first reason that holds; those for
    which the reason is ``""``, in silence.
    """
    good = np.ones(len(places), bool)
    for reason, where in wrong.items():
        for at in np.flatnonzero(where & good).tolist() if reason else ():
            report.skip(places[at].as_py(), reason)
        good &= ~where
    return good


def not_finite(values: Floats) -> Bools:
    """Which rows of an array have a value that is no finite number."""
    return np.asarray((~np.isfinite(values)).any(axis=1))


def is_empty(texts: Sequence[pa.StringArray]) -> Bools:
    """Which rows have nothing but empty cells."""
    result: Bools = np.logical_and.reduce([pc.equal(column, "").to_numpy(zero_copy_only=False) for column in texts])
    return result


def _float(text: str | None) -> float:
    try:
        return float(text) if text is not None and "_" not in text else np.nan
    except ValueError:
        return np.nan
