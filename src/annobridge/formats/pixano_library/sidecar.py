"""What Pixano's tables cannot hold of an exported dataset, kept beside them in the folder ``annobridge``.

It holds the layout, and the samples and labels as they were. Values that Pixano's tables still have as they were written are
read from here, to the last bit; what was changed in Pixano is read from the tables. Pixano ignores the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...exceptions import InvalidSource
from .codec.layout import Column, Layout

FOLDER = "annobridge"
_LAYOUT, _SAMPLES, _LABELS = "layout.json", "samples.arrow", "labels.arrow"
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True)
class Sidecar:
    """The folder of one dataset.

    Attributes:
        folder: its path.
        layout: the layout of Pixano's tables.
        columns: the record attributes that hold columns of the samples, by the name of the column.
        fields: the field of labels that are added in Pixano, by kind.
    """

    folder: Path
    layout: Layout
    columns: Mapping[str, Column] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Path) -> Sidecar | None:
        """The sidecar of a dataset; ``None`` if it has none, or not all of its files.

        Raises:
            InvalidSource: the layout cannot be read.
        """
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
        return pa.concat_tables(_batches(self.folder / _SAMPLES)).combine_chunks()

    def labels(self) -> Iterator[pa.Table]:
        """The labels as they were written, with their ids in Pixano; one part at a time."""
        return _batches(self.folder / _LABELS)


class SidecarWriter:
    """Writes the samples and labels of a sidecar.

    An export goes over the parts twice. In the first pass they are spilled to this folder (``spill``), in the second they are
    read back (``spilled``), and written for good (``add``) with the ids that they have in Pixano.
    """

    def __init__(self, dataset: Path) -> None:
        self.folder = dataset / FOLDER
        self.folder.mkdir()
        self._drafts = [self.folder / "draft-samples.arrow", self.folder / "draft-labels.arrow"]
        self._spill = [_BatchWriter(path) for path in self._drafts]
        self._files = [_BatchWriter(self.folder / name) for name in (_SAMPLES, _LABELS)]

    def spill(self, samples: pa.Table, labels: pa.Table) -> None:
        """Spill a part."""
        for writer, rows in zip(self._spill, (samples, labels), strict=True):
            writer.add(rows)

    def spilled(self) -> Iterator[tuple[pa.Table, pa.Table]]:
        """The samples and labels of all parts, in order. Nothing can be spilled after this."""
        for writer in self._spill:
            writer.close()
        if all(path.exists() for path in self._drafts):
            yield from zip(*map(_batches, self._drafts), strict=True)

    def add(self, samples: pa.Table, labels: pa.Table) -> None:
        """Write a part. The paths of images on this machine are left out."""
        for writer, rows in zip(self._files, (samples.drop_columns("filepath"), labels), strict=True):
            writer.add(rows)

    def close(self) -> None:
        """Finish the files, and remove what was spilled."""
        for writer in self._files:
            writer.close()
        for path in self._drafts:
            path.unlink(missing_ok=True)


class _BatchWriter:
    """An Arrow file with one batch for each table that is added; it is made by the first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def add(self, rows: pa.Table) -> None:
        if self._file is None:
            self._file = pa.ipc.new_file(str(self._path), rows.schema, options=_OPTIONS)
        empty = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in rows.schema], schema=rows.schema)
        self._file.write_batch(next(iter(rows.combine_chunks().to_batches()), empty))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _batches(path: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for i in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(i)])
