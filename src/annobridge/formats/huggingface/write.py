"""Writing: Parquet files with images inside, or folders of images with a metadata file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ...core.arrays import as_array
from ..common import features
from ..common.export import ExportData, ExportPart, image_bytes
from ..common.object_table import ObjectColumns, object_lists
from .options import HuggingFaceWriting

_GROUP = 100  # rows of a row group: few, as images are large
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_OWN = frozenset({"image", "objects", "label", "labels", "width", "height", "file_name"})
_KEYS = {"category": "categories", "score": "confidence", "track_id": "index"}  # of a metadata file
_VALUES = {pa.bool_(): "bool", pa.int64(): "int64", pa.float64(): "float64", pa.string(): "string"}


class TableWriter:
    """What both layouts have in common: the rows of the items of a part, without their images."""

    def __init__(self, data: ExportData, options: HuggingFaceWriting) -> None:
        self.data, self.options = data, options
        self._in_tables = options.layout == "parquet"
        self.objects = ObjectColumns.of(data, polygons=self._in_tables)
        kinds = data.kinds
        self._has_objects = bool(set(kinds) - {"classification", "scalar", "message"}) or not kinds["classification"]
        self._classes = "labels" if _several(data) else "label" if kinds["classification"] else None
        self._left: set[str] = set()

    def rows(self, part: ExportPart) -> pa.Table:
        """The rows of a part, with a column ``split``."""
        names = self.data.classes if self._in_tables else None
        found: dict[str, Any] = {"split": part.items["split"]}
        if self._in_tables:
            found |= {name: part.items[name] for name in ("width", "height")}
        for name in part.columns.column_names if part.columns is not None else ():
            if name in _OWN:
                self._left.add(name)
            elif part.columns is not None:
                found[name] = part.columns[name]
        if self._classes is not None:
            found[self._classes] = self._image_classes(part)
        if self._has_objects:
            found["objects"] = object_lists(self.data, part, self.objects, names)
        return pa.table(found)

    def _image_classes(self, part: ExportPart) -> pa.Array:
        rows = part.labels.filter(pc.equal(part.labels["kind"], "classification"))
        label = as_array(rows["label"])
        if self._in_tables:
            label = pc.index_in(label, pa.array(self.data.classes, pa.string())).cast(pa.int64())
        counts = np.bincount(rows["item"].to_numpy() - part.first, minlength=part.items.num_rows)
        starts = np.cumsum(counts) - counts
        if self._classes == "labels":
            return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)), label)
        return label.take(pa.array(np.where(counts > 0, starts, 0), mask=counts == 0))

    def features(self, schema: pa.Schema) -> dict[bytes, bytes]:
        """The metadata of the schema: images, and the names of classes."""
        found: dict[str, Any] = {"image": {"_type": "Image"}}
        label = {"names": self.data.classes, "_type": "ClassLabel"}
        if self._classes is not None:
            found[self._classes] = {"feature": label, "_type": "Sequence"} if self._classes == "labels" else label
        if self._has_objects:
            struct = schema.field("objects").type.value_type
            found["objects"] = [{f.name: label if f.name == "category" else _feature(f.type) for f in struct}]
        return features.to_metadata(found)

    def finish(self) -> None:
        """Note what was left out."""
        for name in sorted(self._left):
            self.data.notes.append(
                f"The column {name!r} of the samples has the name of another column, and is left out."
            )


def write_parquet(data: ExportData, options: HuggingFaceWriting) -> None:
    """Write ``data/SPLIT-00000-of-00001.parquet``."""
    table, shards = TableWriter(data, options), dict[str, _Shards]()
    try:
        for part, (_, samples, files) in zip(data.parts(), data.media_of(), strict=True):
            rows = table.rows(part)
            ids, places = samples["sample_id"].to_pylist(), samples["filepath"].to_pylist()
            names = part.items["name"].to_pylist()
            for split, numbers in _groups(rows["split"].to_pylist()):
                key = _file_split(split, data)
                images = [
                    {"bytes": image_bytes(files, ids[n], places[n]) if options.save_media else None, "path": names[n]}
                    for n in numbers
                ]
                some = rows.drop(["split"]).take(pa.array(numbers)).add_column(0, "image", pa.array(images, _IMAGE))
                some = some.replace_schema_metadata(table.features(some.schema))
                shards.setdefault(key, _Shards(data.folder / "data", key, options.shard_bytes)).write(some)
    finally:
        for one in shards.values():
            one.close()
    for one in shards.values():
        one.name()
    table.finish()


class _Shards:
    """The files of one split. Their names say how many there are, so they get them at the end."""

    def __init__(self, folder: Path, key: str, most: int) -> None:
        self._folder, self._key, self._most = folder, key, most
        self._writer: parquet.ParquetWriter | None = None
        self._paths: list[Path] = []
        self._bytes = 0
        self._schema: pa.Schema | None = None
        self._waiting: list[pa.Table] = []  # rows of a group that is not full

    def write(self, table: pa.Table) -> None:
        """Take rows; groups are full, however the rows come, so that the file is always the same."""
        self._schema = self._schema or table.schema
        self._waiting.append(table.cast(self._schema))
        while sum(map(len, self._waiting)) >= _GROUP:
            rows = pa.concat_tables(self._waiting)
            self._waiting = [rows.slice(_GROUP)]
            self._write(rows.slice(0, _GROUP))

    def _write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._paths.append(self._folder / f"{self._key}-{len(self._paths):05d}.part")
            self._writer = parquet.ParquetWriter(self._paths[-1], self._schema)
        self._writer.write_table(table.combine_chunks(), _GROUP)
        self._bytes += table.nbytes
        if self._bytes >= self._most:
            self._finish()

    def close(self) -> None:
        """Write what is left."""
        if rows := sum(map(len, self._waiting)):
            self._write(pa.concat_tables(self._waiting).slice(0, rows))
        self._waiting = []
        self._finish()

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._bytes = None, 0

    def name(self) -> None:
        for number, path in enumerate(self._paths):
            path.rename(self._folder / f"{self._key}-{number:05d}-of-{len(self._paths):05d}.parquet")


def write_imagefolder(data: ExportData, options: HuggingFaceWriting) -> None:
    """Write a metadata file for each split, beside its images."""
    table, folders = TableWriter(data, options), dict[Path, list[pa.Table]]()
    for part in data.parts():
        rows = table.rows(part)
        rows = rows.add_column(0, "file_name", part.items["name"])
        for split, numbers in _groups(rows["split"].to_pylist(), most=len(rows) or 1):
            folder = data.folder / (split or ".")
            folder.mkdir(parents=True, exist_ok=True)
            some = rows.drop(["split"]).take(pa.array(numbers))
            if options.metadata == "jsonl":
                _append_lines(folder / "metadata.jsonl", some)
            else:
                folders.setdefault(folder, []).append(_struct_of_lists(some))
    for folder, tables in folders.items():
        parquet.write_table(pa.concat_tables(tables), folder / "metadata.parquet")
    table.finish()


def _append_lines(path: Path, rows: pa.Table) -> None:
    with path.open("a", encoding="utf-8") as file:
        for row in rows.to_pylist():
            if "objects" in row:
                # Each object has the keys for which it has a value: pyarrow 26 moves the values of a list that begins with null.
                row["objects"] = [
                    {
                        _KEYS.get(key, key): value
                        for key, value in entry.items()
                        if value is not None and key != "rotation"
                    }
                    for entry in row["objects"]
                ]
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _struct_of_lists(rows: pa.Table) -> pa.Table:
    """The rows with objects as a struct of lists, with the keys that ``folder`` reads."""
    if "objects" not in rows.column_names:
        return rows
    lists = as_array(rows["objects"])
    offsets = lists.offsets
    fields = [f.name for f in lists.type.value_type]
    columns = [pa.ListArray.from_arrays(offsets, values) for values in lists.values.flatten()]
    kept = [at for at, name in enumerate(fields) if name != "rotation"]
    struct = pa.StructArray.from_arrays(
        [columns[at] for at in kept], [_KEYS.get(fields[at], fields[at]) for at in kept]
    )
    return rows.set_column(rows.column_names.index("objects"), "objects", struct)


def _several(data: ExportData) -> bool:
    """Whether an image has more than one class."""
    for labels in data.label_tables():
        ids = labels.filter(pc.equal(labels["kind"], "classification"))["sample_id"]
        if len(ids) and pc.count_distinct(ids).as_py() < len(ids):
            return True
    return False


def _groups(splits: list[str | None], most: int = _GROUP) -> Iterator[tuple[str | None, list[int]]]:
    """The numbers of the rows of each split, at most some at a time."""
    for split in dict.fromkeys(splits):
        numbers = [n for n, other in enumerate(splits) if other == split]
        for at in range(0, len(numbers), most):
            yield split, numbers[at : at + most]


def _file_split(split: str | None, data: ExportData) -> str:
    """A split as the name of a file may have it: ``data`` for none, as then all is one split."""
    if split is None:
        return "data" if data.splits == [None] else "default"
    name = re.sub(r"[^\w.]+", "_", split)
    note = f"The split {split!r} is written as {name!r}, as the name of a file says it."
    if name != split and note not in data.notes:
        data.notes.append(note)
    return name


def _feature(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    return {"dtype": _VALUES.get(kind, str(kind)), "_type": "Value"}
