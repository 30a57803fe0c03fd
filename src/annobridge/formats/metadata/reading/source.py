"""Source: a folder that was looked at as a whole, given part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import as_array
from ....core.labels import LABELS, SAMPLES, conform
from ....exceptions import InvalidSource
from ....spill.tables import Tables
from ... import ids
from ...base import PART, Part
from . import boxes
from .chunk import PREFIX, RECORD_KEYS
from .folder_files import ImageFolder
from .json_lines import fail
from .label_rows import LabelRowBuilder
from .line_file import LineFile
from .value_types import ValueTypes

Ints = npt.NDArray[np.int64]
_SIZES = ("width", "height")
_EMPTY = pa.list_(pa.null())  # no column, where other lines have labels under that name


@dataclass
class FolderContent:
    """A folder with what its file says of it. Each sample is an image; a repeated line adds to the first of its image."""

    folder: ImageFolder
    file: LineFile | None
    listed: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # images, in the order of the lines
    unlisted: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    ids: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # by image
    home: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # the chunk of each image's first line
    merged: dict[int, dict[str, Any]] = field(default_factory=dict)  # columns of the images with several lines
    strays: dict[int, list[tuple[str, int]]] = field(default_factory=dict)  # labels of later lines, by chunk


class FolderSource:
    """A ``Source``."""

    def __init__(
        self,
        contents: Sequence[FolderContent],
        kinds: ValueTypes,
        finish: LabelRowBuilder,
        tables: Tables,
        notes: Sequence[str],
        assumptions: Sequence[str],
    ) -> None:
        self._contents, self._kinds, self._finish, self._tables = contents, kinds, finish, tables
        self.notes, self.assumptions = notes, assumptions
        fields = {name for c in contents if c.file for _, found in c.file.chunks for name, _ in found}
        self._names = [
            n for n in kinds.names("") if n not in _SIZES and not (n in fields and kinds.type("", n) == _EMPTY)
        ]
        self._own = [n for n in RECORD_KEYS[1:] if any(self._has(c, n) for c in contents)]

    @property
    def count(self) -> int:
        """How many samples it has."""
        return sum(len(c.listed) + len(c.unlisted) for c in self._contents)

    def parts(self) -> Iterator[Part]:
        """The samples and labels, chunk by chunk."""
        for content in self._contents:
            for number in range(len(content.file.chunks) if content.file else 0):
                yield from self._chunk(content, number)
            for start in range(0, len(content.unlisted), PART):
                images = content.unlisted[start : start + PART]
                yield Part(self._samples(content, images, {}), LABELS.empty_table())

    def _chunk(self, content: FolderContent, number: int) -> Iterator[Part]:
        assert content.file is not None  # noqa: S101 - chunks are of a file
        samples, fragments = content.file.chunks[number]
        table = self._tables.get(samples)
        images = table["image"].to_numpy()
        first = np.unique(images, return_index=True)[1]
        keep = np.sort(first[content.home[images[first]] == number])
        rows = []
        for name, at in [*fragments, *content.strays.get(number, ())]:
            found = self._tables.get(at)
            if content.merged:
                found = found.filter(pa.array(content.home[found["image"].to_numpy()] == number))
            if found.num_rows:
                made = self._finish.rows(name, found, content.file, content.ids)
                rows.append(conform(made, _LABELS))
        labels = pa.concat_tables(rows) if rows else _LABELS.empty_table()
        yield Part(self._samples(content, images[keep], _columns(table.take(pa.array(keep)))), labels)

    def _samples(self, content: FolderContent, images: Ints, found: dict[str, pa.Array]) -> pa.Table:
        folder, size = content.folder, len(images)
        sizes = folder.sizes[images]
        columns: dict[str, Any] = {
            "sample_id": content.ids.take(pa.array(images)),
            "filepath": pa.array(folder.paths(images.tolist()), pa.string()),
            "width": pa.array(sizes[:, 0]),
            "height": pa.array(sizes[:, 1]),
        }
        for name in self._own:
            columns[name] = found.get(name, pa.nulls(size, pa.string()))
            if name == "split" and folder.split is not None:
                columns[name] = columns[name].fill_null(folder.split)
        for name in self._names:
            kind = self._kinds.type("", name)
            kind = pa.string() if pa.types.is_large_string(kind) else kind
            kind = SAMPLES.field("tags").type if name == "tags" else kind
            columns[name] = found[PREFIX + name].cast(kind) if PREFIX + name in found else pa.nulls(size, kind)
        table = pa.table(columns)
        return self._replaced(table, content, images) if content.merged else table

    def _replaced(self, table: pa.Table, content: FolderContent, images: Ints) -> pa.Table:
        """The columns of images with several lines."""
        if not any(int(at) in content.merged for at in images):
            return table
        rows = table.to_pylist()
        for row, at in zip(rows, images.tolist(), strict=True):
            row.update({k: v for k, v in content.merged.get(at, {}).items() if k in row})
        return pa.Table.from_pylist(rows, table.schema)

    def _has(self, content: FolderContent, name: str) -> bool:
        if name == "split" and content.folder.split is not None:
            return True
        chunks = content.file.chunks if content.file else []
        return any(self._tables.get(s)[name].null_count < len(self._tables.get(s)) for s, _ in chunks)


_LABELS = pa.schema([f.with_nullable(True) for f in LABELS if f.name not in ("rev",)])


def _columns(table: pa.Table) -> dict[str, pa.Array]:
    return {name: as_array(table[name]) for name in table.column_names}


def index_images(content: FolderContent, tables: Tables) -> None:
    """Learn which image is in which chunk, and merge the lines of one image. Raises ``InvalidSource`` where they differ."""
    folder, file = content.folder, content.file
    rows = [tables.get(samples).select(["image", "line"]) for samples, _ in file.chunks] if file else []
    images = np.concatenate([t["image"].to_numpy() for t in rows]) if rows else np.zeros(0, np.int32)
    chunk = np.repeat(np.arange(len(rows)), [t.num_rows for t in rows])
    unique, first, times = np.unique(images, return_index=True, return_counts=True)
    content.listed = images[np.sort(first)].astype(np.int64)
    content.home = np.full(len(folder.files), -1)
    content.home[unique] = chunk[first]
    content.unlisted = np.setdiff1d(np.array(folder.images(), np.int64), unique)
    if file is not None and (times > 1).any():
        _merge_lines(content, file, tables, unique[times > 1])
        _move_labels(content, file, tables)


def _merge_lines(content: FolderContent, file: LineFile, tables: Tables, repeated: npt.NDArray[np.int32]) -> None:
    for samples, _ in file.chunks:
        table = tables.get(samples)
        for row in table.filter(pc.is_in(table["image"], value_set=pa.array(repeated))).to_pylist():
            line = row.pop("line")
            kept = content.merged.setdefault(row.pop("image"), {"line": line})
            for key, value in row.items():
                name = key.removeprefix(PREFIX)
                if value is not None and kept.setdefault(name, value) != value:
                    fail(
                        file.place(line),
                        f"has {value!r} as {name!r} of an image of which {file.place(kept['line'])} has {kept[name]!r}; "
                        "lines of one image are put together, so make them equal.",
                    )


def _move_labels(content: FolderContent, file: LineFile, tables: Tables) -> None:
    """Bring labels of later lines to the chunk in which their image is."""
    for number, (_, fragments) in enumerate(file.chunks):
        for name, at in fragments:
            table = tables.get(at)
            home = content.home[table["image"].to_numpy()]
            for other in np.unique(home[home != number]).tolist():
                moved = tables.add(table.filter(pa.array(home == other)))
                content.strays.setdefault(other, []).append((name, moved))


def assign_ids(contents: Sequence[FolderContent], tables: Tables) -> None:
    """Give each image its sample id: its own, or one derived from its path. Raises ``InvalidSource`` for repeated ids."""
    for content in contents:
        folder = content.folder
        made = np.array(ids.of_paths(folder.paths(range(len(folder.files)))), object)
        for samples, _ in content.file.chunks if content.file else []:
            table = tables.get(samples)
            given = table["sample_id"]
            if given.null_count < len(given):
                some = table.filter(given.is_valid())
                made[some["image"].to_numpy()] = some["sample_id"].to_pylist()
        content.ids = pa.array(made, pa.string())
    used = [c.ids.take(pa.array(np.concatenate([c.listed, c.unlisted]))) for c in contents]
    everything = pa.chunked_array(used, pa.string())
    if pc.count_distinct(everything).as_py() < len(everything):
        twice = next(v["values"].as_py() for v in pc.value_counts(everything) if v["counts"].as_py() > 1)
        raise InvalidSource(_repeated_id(contents, tables, twice))


def _repeated_id(contents: Sequence[FolderContent], tables: Tables, twice: str) -> str:
    places = []
    for content in contents:
        for samples, _ in content.file.chunks if content.file else []:
            table = tables.get(samples)
            for line in table.filter(pc.equal(table["sample_id"], twice))["line"].to_pylist():
                places.append(content.file.place(line) if content.file else "")
    return f"The id {twice!r} is given to several images, at {' and '.join(places[:2])}; give each its own."


def check_labels(content: FolderContent, tables: Tables, finish: LabelRowBuilder) -> list[str]:
    """Look at all labels of a file against their images; what to tell. Raises ``InvalidSource``."""
    file = content.file
    if file is None:
        return []
    check = boxes.BoxCheck(file.place, finish.unit(file), finish.options.clip)
    for samples, fragments in file.chunks:
        _check_sizes(tables.get(samples), file)
        for name, at in fragments:
            finish.look(name, tables.get(at), file, check)
    return [*check.done(), *file.notes]


def _check_sizes(table: pa.Table, file: LineFile) -> None:
    """Width and height that a line gives must be those of the image."""
    for axis, name in enumerate(_SIZES):
        if PREFIX + name in table.column_names:
            told = table[PREFIX + name].to_pylist()
            for n, (value, true) in enumerate(
                zip(told, file.folder.sizes[table["image"].to_numpy(), axis].tolist(), strict=True)
            ):
                if value is not None and value != true:
                    fail(
                        file.place(table["line"][n].as_py()),
                        f"says {name}={value!r}, but its image has {true}; correct it.",
                    )


def describe_boxes(content: FolderContent, finish: LabelRowBuilder) -> list[str]:
    """How the boxes of a file are read, and where Pixano itself would read them otherwise."""
    file = content.file
    if file is None or not file.units.inside + file.units.outside:
        return []
    form = "[x1, y1, x2, y2]" if finish.unit(file) & boxes.CORNERS else "[x, y, width, height]"
    unit, other = (
        ("relative to the image", file.units.outside)
        if file.unit == boxes.NORMALIZED
        else ("in pixels", file.units.inside)
    )
    said = [f"{file.path}: {file.title}; boxes are {form}, {unit}."]
    if other and "Pixano" in file.title:
        said.append(f"{other} of these boxes Pixano's own import would take for the other unit.")
    return said
