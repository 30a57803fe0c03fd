"""Folders of images as one source: all of it is read and checked, and then the samples and labels are returned part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....core.arrays import Ints, as_array
from ....core.labels import LABELS, SAMPLES, conform
from ....spill.tables import Tables
from ...base import PART, SKIPPED, Calls, CallsHere, Part
from ..options import Reading
from .chunk import PREFIX, RECORD_KEYS
from .folder_content import SIZES, FolderContent, assign_ids, check_labels, describe_boxes, index_images
from .folder_files import ImageFolder
from .json_lines import Line
from .label_rows import LabelRowBuilder
from .line_file import read_line_file
from .line_keys import ClassKeys
from .schema import ValueSchema
from .value_types import ValueTypes

_NO_VALUES = pa.list_(pa.null())  # the type of a column that is an empty list on each line
_LABELS = pa.schema([f.with_nullable(True) for f in LABELS if f.name != "rev"])


class FolderReader:
    """Reads folders with ``add``, and then makes a source of them with ``open``.

    Args:
        options: what the user said of the folders.
        calls: where lines are read and images are opened.

    Attributes:
        contents: the folders that were read.
    """

    def __init__(self, options: Reading, calls: Calls) -> None:
        self._options, self._calls = options, calls
        self._types, self._class_keys = ValueTypes(ValueSchema(options.schema)), ClassKeys(options.class_key)
        self._tables = Tables()
        self.contents: list[FolderContent] = []

    def add(
        self, folder: ImageFolder, path: Path | None, lines: Iterable[tuple[int, Line]] | None = None
    ) -> FolderContent:
        """Read a folder. Raises ``InvalidSource`` with file and line.

        Args:
            folder: the folder.
            path: its file of lines, if it has one.
            lines: lines with their numbers that are read instead of the file.
        """
        file = None
        if path is not None:
            # A model cannot be pickled; the lines that follow one are read here.
            calls = self._calls if self._options.schema is None else CallsHere()
            file = read_line_file(
                folder, path, self._options, self._types, self._class_keys, self._tables, calls, lines
            )
        content = FolderContent(folder, file)
        index_images(content, self._tables)
        self.contents.append(content)
        return content

    def open(self, notes: Sequence[str] = (), assumptions: Sequence[str] = ()) -> FolderSource:
        """Read the sizes of all images, and check all labels against them. Raises ``InvalidSource``.

        ``notes`` and ``assumptions`` are put before those of the source.
        """
        notes, assumptions = list(notes), list(assumptions)
        builder = LabelRowBuilder(self._options, self._types, self._class_keys)
        for content in self.contents:
            content.folder.look_at(content.images, self._calls)
        assign_ids(self.contents, self._tables)
        for content in self.contents:
            notes += check_labels(content, self._tables, builder)
            assumptions += describe_boxes(content, builder)
            if content.file is not None and len(content.unlisted):
                assumptions.append(
                    f"{len(content.unlisted)} images of {str(content.folder.path)!r} are on no line, and have no labels."
                )
        return FolderSource(self.contents, self._types, builder, self._tables, notes, assumptions)


class FolderSource:
    """A ``Source`` of folders that were read and checked."""

    skipped: pa.Table = SKIPPED.empty_table()

    def __init__(
        self,
        contents: Sequence[FolderContent],
        types: ValueTypes,
        builder: LabelRowBuilder,
        tables: Tables,
        notes: Sequence[str],
        assumptions: Sequence[str],
    ) -> None:
        self._contents, self._types, self._builder, self._tables = contents, types, builder, tables
        self.notes, self.assumptions = notes, assumptions
        fields = {name for c in contents if c.file for _, labels in c.file.chunks for name, _ in labels}
        self._columns = [
            name
            for name in types.names("")
            if name not in SIZES and not (name in fields and types.type("", name) == _NO_VALUES)
        ]
        self._record_keys = [n for n in RECORD_KEYS if n != "sample_id" and any(self._has(c, n) for c in contents)]

    @property
    def count(self) -> int:
        """How many samples it has."""
        return sum(len(c.listed) + len(c.unlisted) for c in self._contents)

    def parts(self) -> Iterator[Part]:
        """The samples and labels, chunk by chunk."""
        for content in self._contents:
            for number in range(len(content.file.chunks) if content.file else 0):
                yield self._chunk(content, number)
            for start in range(0, len(content.unlisted), PART):
                images = content.unlisted[start : start + PART]
                files = content.folder.file_table(images)
                yield Part(self._samples(content, images, {}), LABELS.empty_table(), files=files)

    def _chunk(self, content: FolderContent, number: int) -> Part:
        assert content.file is not None  # noqa: S101 - only a file has chunks
        samples, labels = content.file.chunks[number]
        table = self._tables.get(samples)
        images = table["image"].to_numpy()
        first = np.unique(images, return_index=True)[1]
        kept = np.sort(first[content.first_chunk[images[first]] == number])
        rows = []
        for name, table_number in [*labels, *content.moved_labels.get(number, ())]:
            found = self._tables.get(table_number)
            if content.merged:
                found = found.filter(pa.array(content.first_chunk[found["image"].to_numpy()] == number))
            if found.num_rows:
                rows.append(conform(self._builder.rows(name, found, content.file, content.ids), _LABELS))
        of_kept = table.take(pa.array(kept))
        columns = {name: as_array(of_kept[name]) for name in of_kept.column_names}
        return Part(
            self._samples(content, images[kept], columns),
            pa.concat_tables(rows) if rows else _LABELS.empty_table(),
            files=content.folder.file_table(images[kept]),
        )

    def _samples(self, content: FolderContent, images: Ints, found: dict[str, pa.Array]) -> pa.Table:
        """The samples of some images, with the columns of all parts; ``found`` are those of their lines."""
        folder, count = content.folder, len(images)
        sizes = folder.sizes[images]
        columns: dict[str, Any] = {
            "sample_id": content.ids.take(pa.array(images)),
            "filepath": pa.array(folder.paths(images.tolist()), pa.string()),
            "width": pa.array(sizes[:, 0]),
            "height": pa.array(sizes[:, 1]),
        }
        for name in self._record_keys:
            columns[name] = found.get(name, pa.nulls(count, pa.string()))
            if name == "split" and folder.split is not None:
                columns[name] = columns[name].fill_null(folder.split)
        for name in self._columns:
            kind = self._types.type("", name)
            kind = pa.string() if pa.types.is_large_string(kind) else kind
            kind = SAMPLES.field("tags").type if name == "tags" else kind
            columns[name] = found[PREFIX + name].cast(kind) if PREFIX + name in found else pa.nulls(count, kind)
        table = pa.table(columns)
        if not content.merged or not any(image in content.merged for image in images.tolist()):
            return table
        rows = table.to_pylist()
        for row, image in zip(rows, images.tolist(), strict=True):
            row.update({k: v for k, v in content.merged.get(image, {}).items() if k in row})
        return pa.Table.from_pylist(rows, table.schema)

    def _has(self, content: FolderContent, name: str) -> bool:
        if name == "split" and content.folder.split is not None:
            return True
        columns = (self._tables.get(s)[name] for s, _ in (content.file.chunks if content.file else ()))
        return any(column.null_count < len(column) for column in columns)
