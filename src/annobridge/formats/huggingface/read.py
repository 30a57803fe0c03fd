"""Reading tables with images: these are unpacked, then the form of boxes is decided for all of them, then labels are made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import json_columns
from ...core.arrays import Ints, as_array, as_mask, list_lengths
from ...exceptions import InvalidSource
from ..common import objects
from ..common.archive import Archive
from ..common.items import ITEMS, Items, Shapes
from ..common.mask_images import add_mask
from ..common.objects import BoxForm, Floats, Objects
from ..common.report import ReadReport
from ..common.shard_names import Unpacked, plain_name
from .options import HuggingFaceReading
from .shards import Shard, Table, find, opened

_IMAGES_AT_A_TIME, _ROWS_AT_A_TIME = 64, 4096
_MASKS = re.compile(r"(?i).*(mask|annotation|label|segment|panoptic|instance|target|ground_?truth|\bgt\b).*")
_CLASS_COLUMNS = ("label", "labels")
_OWN = frozenset({"sample_id", "media_type", "filepath", "width", "height", "frames", "fps", "split", "tags"})
_COLUMN = re.compile(r"[^_.][^.]*")


@dataclass
class _Columns:
    """What the columns of one table are."""

    image: str
    masks: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)  # of the whole image
    objects: list[str] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)  # objects as lists beside each other
    sizes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # which become columns of the samples
    left: list[str] = field(default_factory=list)


@dataclass
class _Read:
    """The items of one file: the number of the first, and the sizes of their images."""

    shard: Shard
    first: int
    sizes: Floats


class TableReader:
    """Reads all tables of an archive."""

    def __init__(self, archive: Archive, items: Items, options: HuggingFaceReading, report: ReadReport) -> None:
        self._archive, self._items, self._options, self._report = archive, items, options, report
        self._unpacked = Unpacked(archive)
        self._left: set[str] = set()

    def read(self) -> Iterator[pa.Table]:
        """All shapes (``SHAPES``)."""
        done = []
        for shard in find(self._archive):
            with opened(self._archive, shard.name) as table:
                if (columns := self._columns(table)) is None:
                    continue
                shapes, sizes, first = Shapes(), [], len(self._items)
                for row, batch in table.batches(_used(columns), _IMAGES_AT_A_TIME):
                    sizes.append(self._add(shard, table, columns, row, batch, shapes))
                    yield from shapes.take_full()
                yield shapes.take()
                done.append(_Read(shard, first, np.concatenate([np.zeros((0, 2)), *sizes])))
        if not done:
            raise InvalidSource(f"There is no table with images in {str(self._archive.path)!r}; give another folder.")
        for name in sorted(self._left):
            self._report.note(
                f"column of the table was left out, as it holds neither labels nor plain values: {name!r}"
            )
        form = BoxForm()
        for read, rows, found, _ in self._objects(done):
            form.add(found, read.sizes[rows])
        if said := form.decide(self._options.coordinates, self._options.box_format):
            self._report.assumptions.append(said)
        for read, rows, found, names in self._objects(done):
            where = self._archive.where(read.shard.name)
            yield objects.shapes_of(
                found, form, read.first + rows, read.sizes[rows], [f"{where} row {row}" for row in rows.tolist()], names,
                self._report,
            )  # fmt: skip

    def _columns(self, table: Table) -> _Columns | None:
        images = table.images()
        if not images:
            return None
        first = next((n for name in ("image", "img", "pixel_values") for n in images if n == name), None)
        first = first or next((name for name in images if not _MASKS.fullmatch(name)), images[0])
        found = _Columns(first)
        lists: dict[str, pa.Array] = {}
        for f in table.schema:
            kind = f.type
            if f.name == first:
                continue
            if f.name in images:
                (found.masks if _MASKS.fullmatch(f.name) else found.left).append(f.name)
            elif objects.objects_of(pa.array([], kind)) is not None:
                found.objects.append(f.name)
            elif f.name in ("width", "height") and pa.types.is_integer(kind):
                found.sizes.append(f.name)
            elif (f.name,) in table.features.names or (f.name in _CLASS_COLUMNS and _is_class(kind)):
                found.classes.append(f.name)
            elif json_columns.is_plain_type(kind) and _COLUMN.fullmatch(f.name) and f.name not in _OWN:
                found.others.append(f.name)
            else:
                lists[f.name] = pa.array([], kind)
        if not found.objects:
            lists |= {name: pa.array([], table.schema.field(name).type) for name in (*found.classes, *found.others)}
            flat = objects.objects_of_columns(lists)
            found.flat = list(flat.columns) if flat is not None else []
            found.classes = [name for name in found.classes if name not in found.flat]
            found.others = [name for name in found.others if name not in found.flat]
        found.left += [name for name in lists if name not in (*found.flat, *found.classes, *found.others)]
        self._left.update(found.left)
        return found

    def _add(
        self, shard: Shard, table: Table, columns: _Columns, first_row: int, batch: pa.RecordBatch, shapes: Shapes
    ) -> Floats:
        """Add some rows as items, with their images, masks and classes; returns the sizes of the images."""
        paths, contents = _images(batch[columns.image])
        names, files, sizes = [], [], np.full((batch.num_rows, 2), np.nan)
        given = [batch[name].to_pylist() for name in ("width", "height")] if len(columns.sizes) == 2 else None
        declared: list[tuple[int | None, int | None]] = []
        for n, (path, data) in enumerate(zip(paths, contents, strict=True)):
            name = plain_name(path) or f"{first_row + n:08d}"
            file, shown = (None, None) if data is None else self._unpacked.add(shard.split or "images", name, data)
            said = (given[0][n], given[1][n]) if given is not None else (None, None)
            if shown is not None:
                said = (None, None) if said in (shown, shown[::-1]) else said  # as shown, or as stored
                sizes[n] = shown
            if all(side is not None and 0 < side < 1 << 31 for side in said):
                sizes[n] = said
            else:
                said = (None, None)
            names.append(file.removeprefix(f"{shard.split or 'images'}/") if file else name)
            files.append(file)
            declared.append(said)
        rows = pa.table({
            "name": pa.array(names, ITEMS.field("name").type),
            "split": pa.array([shard.split] * len(names), pa.string()),
            "width": pa.array([size[0] for size in declared], pa.int32()),
            "height": pa.array([size[1] for size in declared], pa.int32()),
            "file": pa.array(files, pa.string()),
        })  # fmt: skip
        more = pa.table({name: batch[name] for name in columns.others}) if columns.others else None
        first = self._items.extend(rows, more)
        where = self._archive.where(shard.name)
        self._add_classes(table, columns, batch, first, f"{where} row", first_row, shapes)
        for name in columns.masks:
            for n, data in enumerate(_images(batch[name])[1]):
                if data is not None:
                    add_mask(
                        shapes,
                        first + n,
                        data,
                        f"{where} row {first_row + n} {name!r}",
                        self._options.classes,
                        self._report,
                        name if len(columns.masks) > 1 else None,
                    )
        return sizes

    def _add_classes(
        self,
        table: Table,
        columns: _Columns,
        batch: pa.RecordBatch,
        first: int,
        where: str,
        first_row: int,
        shapes: Shapes,
    ) -> None:
        for name in columns.classes:
            column = batch[name]
            owner = np.arange(batch.num_rows)
            if pa.types.is_list(column.type):
                owner, column = np.repeat(owner, list_lengths(column)), column.flatten()
            found = objects.class_names(column, self._names(table, (name,)))
            more = {"column": name} if len(columns.classes) > 1 else None
            unknown = as_mask(found.is_null()) & as_mask(column.is_valid())
            is_text = pa.types.is_string(column.type)
            for row, label, wrong in zip(owner.tolist(), found.to_pylist(), unknown.tolist(), strict=True):
                if label is not None:
                    shapes.add(first + row, "classification", label, more, place=f"{where} {first_row + row}")
                elif wrong and not is_text:
                    self._skip_class(column, f"{where} {first_row + row} {name!r}")

    def _skip_class(self, column: pa.Array, place: str) -> None:
        # ``datasets`` writes -1 for images of a test set, whose class nobody is told.
        if not pa.types.is_integer(column.type) or pc.any(pc.greater(column, -1)).as_py():
            self._report.skip(place, "the number of its class has no name")

    def _names(self, table: Table, path: Sequence[str]) -> Sequence[str] | None:
        return self._options.classes or table.features.names.get(tuple(path))

    def _objects(self, done: Sequence[_Read]) -> Iterator[tuple[_Read, Ints, Objects, Mapping[str, Sequence[str]]]]:
        """The objects of all tables, some rows at a time: file, numbers of the rows, objects, names of classes."""
        for read in done:
            with opened(self._archive, read.shard.name) as table:
                columns = self._columns(table)
                wanted = [*columns.objects, *columns.flat] if columns is not None else []
                if columns is None or not wanted:
                    continue
                for first, batch in table.batches(wanted, _ROWS_AT_A_TIME):
                    rows = np.arange(first, first + batch.num_rows)
                    for name in columns.objects:
                        found = objects.objects_of(as_array(batch[name]))
                        if found is not None:
                            yield read, rows, found, self._class_names(table, (name,), found)
                    if columns.flat:
                        found = objects.objects_of_columns({name: batch[name] for name in columns.flat})
                        if found is not None:
                            yield read, rows, found, self._class_names(table, (), found)

    def _class_names(self, table: Table, path: tuple[str, ...], found: Objects) -> dict[str, Sequence[str]]:
        return {name: names for name in found.columns if (names := self._names(table, (*path, name)))}


def _used(columns: _Columns) -> list[str]:
    return [columns.image, *columns.masks, *columns.classes, *columns.sizes, *columns.others]


def _is_class(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_list(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_integer(inner))


def _images(column: pa.Array) -> tuple[list[str | None], list[bytes | None]]:
    """Paths and contents of the images of a column."""
    if pa.types.is_struct(column.type):
        members = dict(zip([f.name for f in column.type], column.flatten(), strict=True))
        paths = members["path"].to_pylist()
        contents = members["bytes"].to_pylist()
        return [p if isinstance(p, str) else None for p in paths], [
            c if isinstance(c, bytes) else None for c in contents
        ]
    values = column.to_pylist()
    is_text = pa.types.is_string(column.type)
    return [v if is_text else None for v in values], [None if is_text else v for v in values]
