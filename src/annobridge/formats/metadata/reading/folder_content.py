"""The images of a folder, and the lines and labels of each: several lines of one image are merged into one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import Ints
from ....exceptions import InvalidSource
from ....spill.tables import Tables
from ... import ids
from . import boxes
from .chunk import PREFIX
from .folder_files import ImageFolder
from .json_lines import fail
from .label_rows import LabelRowBuilder
from .line_file import LineFile

SIZES = ("width", "height")


def _no_numbers() -> Ints:
    return np.zeros(0, np.int64)


@dataclass
class FolderContent:
    """A folder with what its file says of it. Each sample is an image, named by its number in ``folder.files``.

    Attributes:
        folder: the folder.
        file: its file of lines, if it has one.
        listed: the images that lines name, in the order of the lines.
        unlisted: the other images.
        ids: the sample ids by image, once ``assign_ids`` was called.
        first_chunk: the chunk of each image's first line, by image; -1 for images without one.
        merged: the columns of images with several lines, by image.
        moved_labels: labels of later lines (field and number of the table), by the chunk of their image's first line.
    """

    folder: ImageFolder
    file: LineFile | None
    listed: Ints = field(default_factory=_no_numbers)
    unlisted: Ints = field(default_factory=_no_numbers)
    ids: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    first_chunk: Ints = field(default_factory=_no_numbers)
    merged: dict[int, dict[str, Any]] = field(default_factory=dict)
    moved_labels: dict[int, list[tuple[str, int]]] = field(default_factory=dict)

    @property
    def images(self) -> Ints:
        """All images that become samples."""
        return np.concatenate([self.listed, self.unlisted])


def index_images(content: FolderContent, tables: Tables) -> None:
    """Find the chunk of each image, and merge the lines of one image. Raises ``InvalidSource`` where these differ."""
    folder, file = content.folder, content.file
    chunks = [tables.get(samples)["image"].to_numpy() for samples, _ in file.chunks] if file else []
    images = np.concatenate(chunks) if chunks else np.zeros(0, np.int32)
    chunk = np.repeat(np.arange(len(chunks)), [len(c) for c in chunks])
    unique, first, times = np.unique(images, return_index=True, return_counts=True)
    content.listed = images[np.sort(first)].astype(np.int64)
    content.first_chunk = np.full(len(folder.files), -1)
    content.first_chunk[unique] = chunk[first]
    content.unlisted = np.setdiff1d(np.array(folder.images(), np.int64), unique)
    if file is not None and (times > 1).any():
        _merge_lines(content, file, tables, unique[times > 1])
        _move_labels(content, file, tables)


def _merge_lines(content: FolderContent, file: LineFile, tables: Tables, repeated: np.ndarray) -> None:
    """Merge the columns of images with several lines."""
    for samples, _ in file.chunks:
        table = tables.get(samples)
        for row in table.filter(pc.is_in(table["image"], value_set=pa.array(repeated))).to_pylist():
            line = row.pop("line")
            merged = content.merged.setdefault(row.pop("image"), {"line": line})
            for key, value in row.items():
                name = key.removeprefix(PREFIX)
                if value is not None and merged.setdefault(name, value) != value:
                    fail(
                        file.location(line),
                        f"has {value!r} as {name!r} of an image of which {file.location(merged['line'])} has "
                        f"{merged[name]!r}; lines of one image are put together, so make them equal.",
                    )


def _move_labels(content: FolderContent, file: LineFile, tables: Tables) -> None:
    """Copy labels of later lines to the chunk of the first line of their image; ``FolderSource`` leaves the originals out."""
    for number, (_, labels) in enumerate(file.chunks):
        for name, table_number in labels:
            table = tables.get(table_number)
            chunk = content.first_chunk[table["image"].to_numpy()]
            for other in np.unique(chunk[chunk != number]).tolist():
                moved = tables.add(table.filter(pa.array(chunk == other)))
                content.moved_labels.setdefault(other, []).append((name, moved))


def assign_ids(contents: Sequence[FolderContent], tables: Tables) -> None:
    """Set the sample id of each image: its own, or one derived from its path. Raises ``InvalidSource`` for repeated ids."""
    for content in contents:
        folder = content.folder
        found = np.array(ids.of_paths(folder.paths(range(len(folder.files)))), object)
        for samples, _ in content.file.chunks if content.file else []:
            table = tables.get(samples)
            given = table["sample_id"]
            if given.null_count < len(given):
                with_id = table.filter(given.is_valid())
                found[with_id["image"].to_numpy()] = with_id["sample_id"].to_pylist()
        content.ids = pa.array(found, pa.string())
    used = [c.ids.take(pa.array(c.images)) for c in contents]
    everything = pa.chunked_array(used, pa.string())
    if pc.count_distinct(everything).as_py() < len(everything):
        repeated = next(v["values"].as_py() for v in pc.value_counts(everything) if v["counts"].as_py() > 1)
        _fail_repeated_id(contents, tables, repeated)


def _fail_repeated_id(contents: Sequence[FolderContent], tables: Tables, repeated: str) -> None:
    locations = []
    for content in contents:
        for samples, _ in content.file.chunks if content.file else []:
            table = tables.get(samples)
            for line in table.filter(pc.equal(table["sample_id"], repeated))["line"].to_pylist():
                locations.append(content.file.location(line) if content.file else "")
    raise InvalidSource(
        f"The id {repeated!r} is given to several images, at {' and '.join(locations[:2])}; give each its own."
    )


def check_labels(content: FolderContent, tables: Tables, builder: LabelRowBuilder) -> list[str]:
    """Check all labels and sizes of a folder against its images; returns notes. Raises ``InvalidSource``."""
    file = content.file
    if file is None:
        return []
    box_check = boxes.BoxCheck(file.location, builder.default_box(file), builder.options.clip)
    for samples, labels in file.chunks:
        _check_sizes(tables.get(samples), file)
        for name, table_number in labels:
            builder.check(name, tables.get(table_number), file, box_check)
    return [*box_check.finish(), *file.notes]


def _check_sizes(table: pa.Table, file: LineFile) -> None:
    """Raise ``InvalidSource`` for a width or height of a line that is not that of its image."""
    for axis, name in enumerate(SIZES):
        if PREFIX + name in table.column_names:
            given = table[PREFIX + name].to_pylist()
            sizes = file.folder.sizes[table["image"].to_numpy(), axis].tolist()
            for n, (value, size) in enumerate(zip(given, sizes, strict=True)):
                if value is not None and value != size:
                    fail(
                        file.location(table["line"][n].as_py()),
                        f"says {name}={value!r}, but its image has {size}; correct it.",
                    )


def describe_boxes(content: FolderContent, builder: LabelRowBuilder) -> list[str]:
    """How the boxes of a folder are read, and how many of them Pixano's own import would read differently."""
    file = content.file
    if file is None or not file.units.inside + file.units.outside:
        return []
    form = "[x1, y1, x2, y2]" if builder.default_box(file) & boxes.CORNERS else "[x, y, width, height]"
    if file.unit == boxes.NORMALIZED:
        unit, other = "relative to the image", file.units.outside
    else:
        unit, other = "in pixels", file.units.inside
    sentences = [f"{file.path}: {file.title}; boxes are {form}, {unit}."]
    if other and "Pixano" in file.title:
        sentences.append(f"{other} of these boxes Pixano's own import would take for the other unit.")
    return sentences
