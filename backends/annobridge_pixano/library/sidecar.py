"""What Pixano's tables cannot hold of a dataset that was exported: kept beside them, in the folder ``annobridge``.

It holds the layout, and the samples and labels as they were. A reader takes from it what is still in the tables as it was
written, to the last bit; what was changed in Pixano is read from the tables. Pixano does not look at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from annobridge.exceptions import InvalidSource

from ..layout import Column, Layout

FOLDER = "annobridge"
_LAYOUT, _SAMPLES, _LABELS = "layout.json", "samples.arrow", "labels.arrow"
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True)
class Sidecar:
    """The files of one dataset.

    ``columns`` are the record attributes that hold columns of the samples; ``fields`` the label fields of what is drawn
    anew, by kind.
    """

    folder: Path
    layout: Layout
    columns: Mapping[str, Column] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Path) -> Sidecar | None:
        """That of a dataset that annobridge exported, if it is whole."""
        path = dataset / FOLDER / _LAYOUT
        if not all((path.parent / name).is_file() for name in (_LAYOUT, _SAMPLES, _LABELS)):
            return None
        try:
            stored = json.loads(path.read_text("utf-8"))
            columns = Layout.from_dict({"attributes": {}, "records": stored["columns"]}).records
            return cls(path.parent, Layout.from_dict(stored["layout"]), columns, dict(stored["fields"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidSource(
                f"{path} cannot be read ({error}); restore it, or remove the folder {path.parent}: "
                "the dataset is then read from Pixano's tables alone."
            ) from error

    def save(self) -> None:
        """Write the layout."""
        columns = {name: asdict(c) for name, c in self.columns.items()}
        stored = {"layout": self.layout.to_dict(), "columns": columns, "fields": dict(self.fields)}
        (self.folder / _LAYOUT).write_text(json.dumps(stored, ensure_ascii=False, indent=1), "utf-8")

    def samples(self) -> pa.Table:
        """The samples as they were written."""
        return pa.concat_tables(read(self.folder / _SAMPLES)).combine_chunks()

    def labels(self) -> Iterator[pa.Table]:
        """The labels as they were written, with the ids that they have in Pixano; a part at a time."""
        return read(self.folder / _LABELS)


class Draft:
    """Samples and labels put by while a dataset is planned, then kept in its sidecar while it is written."""

    def __init__(self, dataset: Path) -> None:
        self.folder = dataset / FOLDER
        self.folder.mkdir()
        self._drafts = [self.folder / "draft-samples.arrow", self.folder / "draft-labels.arrow"]
        self._planned = [_Writer(path) for path in self._drafts]
        self._kept = [_Writer(self.folder / name) for name in (_SAMPLES, _LABELS)]

    def add(self, samples: pa.Table, labels: pa.Table) -> None:
        """Put a part by."""
        for writer, rows in zip(self._planned, (samples, labels), strict=True):
            writer.add(rows)

    def parts(self) -> Iterator[tuple[pa.Table, pa.Table]]:
        """The parts that were put by."""
        for writer in self._planned:
            writer.close()
        if all(path.exists() for path in self._drafts):
            yield from zip(*map(read, self._drafts), strict=True)

    def keep(self, samples: pa.Table, labels: pa.Table) -> None:
        """A part as a reader shall find it: without the places of images on this machine."""
        for writer, rows in zip(self._kept, (samples.drop_columns("filepath"), labels), strict=True):
            writer.add(rows)

    def close(self) -> None:
        """All parts are kept."""
        for writer in self._kept:
            writer.close()
        for path in self._drafts:
            path.unlink(missing_ok=True)


class _Writer:
    """One batch for each part."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def add(self, rows: pa.Table) -> None:
        if self._file is None:
            self._file = pa.ipc.new_file(str(self._path), rows.schema, options=_OPTIONS)
        none = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in rows.schema], schema=rows.schema)
        self._file.write_batch(next(iter(rows.combine_chunks().to_batches()), none))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read(path: Path) -> Iterator[pa.Table]:
    """The batches of a file, one in memory at a time."""
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for i in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(i)])
