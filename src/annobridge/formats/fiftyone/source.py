"""Reads a FiftyOne dataset: its documents once, into tables on disk, and then the tables part by part."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...exceptions import InvalidSource
from ...spill.groups import Groups
from ...spill.tables import Tables
from ...store import media
from .. import ids
from ..base import SKIPPED, Part
from ..names import in_folder, on_disk
from . import documents, sample_columns
from .decode import ID_KEY
from .documents import Document
from .field_reader import FieldReader, SampleContext
from .label_rows import IMPORTED_COLUMNS, LabelRows
from .layout import Layout, Reading

_IMAGES, _VIDEOS = 1_000, 20  # samples of a part, whose documents are in memory with their masks
_FRAMES = 5_000
_SHOWN = 5
_LONGEST_SIDE = 2**31


class FiftyOneSource:
    """The samples and labels of a dataset. Raises ``InvalidSource`` with the file and the document."""

    skipped: pa.Table = SKIPPED.empty_table()

    assumptions = ("Of what FiftyOne finds out by itself, the sizes, frames and frame rates were kept.",)

    def __init__(self, source: Path, options: Reading) -> None:
        self._layout = Layout.of(source)
        self._root = Path(options.rel_dir or self._layout.folder).absolute()
        with documents.naming_errors(f"{self._layout.folder}: the description of the dataset"):
            self._fields = FieldReader(self._layout, options)
            self._layout.check()
        self._tables = Tables()
        self._videos: dict[str, tuple[int, SampleContext]] = {}  # the part and the sample, by FiftyOne's id
        self._parts: list[tuple[int, int]] = []  # samples, labels
        self._frames: list[tuple[int, np.ndarray]] = []  # labels, and the part of each
        self.count = self._turned = self._outside = 0
        self._first_outside = ""
        schemas = [self._add_samples(part) for part in self._samples()]
        for batch in _batches(self._layout.frames, "frames", _FRAMES):
            self._add_frames(batch)
        self._schema = sample_columns.common_schema(schemas, str(self._layout.samples))
        self.notes = self._notes()

    def parts(self) -> Iterator[Part]:
        """The samples and labels, with the labels of the frames at their video."""
        with Groups(IMPORTED_COLUMNS) as frames:
            for rows, numbers in self._frames:
                for batch in self._tables.get(rows).combine_chunks().to_batches():
                    frames.add(batch, numbers)
            for number, (samples, labels) in enumerate(self._parts):
                about = sample_columns.with_columns(self._tables.get(samples), self._schema)
                yield Part(about, pa.concat_tables([self._tables.get(labels), frames.get(number)]))

    def _notes(self) -> list[str]:
        skipped = sorted(self._fields.skipped.items())
        notes = [f"{count} of {name!r} were left out: {why}." for (name, why), count in skipped]
        if unused := self._layout.unused():
            notes.append(f"Of the dataset itself, {', '.join(unused)} were left out.")
        if self._turned:
            notes.append(
                f"{self._turned} images are turned by their EXIF data; their sizes are those of the shown image."
            )
        if self._outside:
            notes.append(
                f"{self._outside} media lie outside of the export, as {self._first_outside!r}; the dataset refers to them there."
            )
        return notes

    def _samples(self) -> Iterator[list[Document]]:
        size = _VIDEOS if self._layout.about.get("media_type") == "video" else _IMAGES
        return _batches(self._layout.samples, "samples", size)

    def _add_samples(self, batch: Sequence[Document]) -> pa.Schema:
        """Decode a part, and keep it on disk; returns the columns of its samples."""
        rows = []
        for document in batch:
            with documents.naming_errors(document.location):
                rows.append(self._row(document))
        self._check_media(batch, rows)
        labels = LabelRows()
        for document, row in zip(batch, rows, strict=True):
            size = (row["width"], row["height"]) if row.get("width") and row.get("height") else None
            sample = SampleContext(row["sample_id"], size)
            if row["media_type"] == "video":
                self._videos[str(document.values.get("_id"))] = (len(self._parts), sample)
            with documents.naming_errors(document.location):
                self._fields.labels(document, sample, labels)
        with documents.naming_errors(str(self._layout.samples)):
            samples = sample_columns.table(rows, str(self._layout.samples))
        self._parts.append((self._tables.add(samples), self._tables.add(labels.table())))
        self.count += len(batch)
        return samples.schema

    def _add_frames(self, batch: Sequence[Document]) -> None:
        labels, parts = LabelRows(), list[int]()
        for document in batch:
            part, sample = self._videos.get(str(document.values.get("_sample_id")), (0, None))
            if sample is None:
                self._fields.skipped["frames", "their sample is not in the dataset"] += 1
                continue
            with documents.naming_errors(document.location):
                self._fields.frame(document, sample, labels)
            parts += [part] * (len(labels) - len(parts))
        self._frames.append((self._tables.add(labels.table()), np.array(parts, np.int64)))

    def _row(self, document: Document) -> dict[str, Any]:
        """The columns of a sample. Raises ``InvalidSource``."""
        values = document.values
        path, about = values.get("filepath"), values.get("metadata") or {}
        if not isinstance(path, str) or not path:
            raise InvalidSource(f"{document.location} has no filepath; export the dataset again.")
        filepath = path if "://" in path else self._place(path)
        if "://" not in path and not Path(filepath).is_relative_to(self._root):
            self._outside += 1
            self._first_outside = self._first_outside or filepath
        size = (about.get("frame_width") or about.get("width"), about.get("frame_height") or about.get("height"))
        if any(side is not None and not 0 < side < _LONGEST_SIDE for side in size):
            raise InvalidSource(
                f"{document.location} has the size {size[0]!r:.20}×{size[1]!r:.20}; correct it, or leave it out."
            )
        row = {
            "sample_id": str(values.get(ID_KEY) or values.get("_id") or "") or ids.of_paths([filepath])[0],
            "media_type": values.get("_media_type") or ("video" if "frame_width" in about else "image"),
            "filepath": filepath,
            "tags": values.get("tags") or [],
            "width": size[0],
            "height": size[1],
            "frames": about.get("total_frame_count"),
            "fps": about.get("frame_rate"),
        }
        if row["media_type"] not in ("image", "video"):
            raise InvalidSource(
                f"{document.location} is of the media type {row['media_type']!r}, and only images and videos can be imported; "
                "export a view without such samples."
            )
        return {name: value for name, value in row.items() if value is not None} | self._fields.cells(document)

    def _place(self, path: str) -> str:
        """The file of a path that is relative to the root, absolute, or of Windows."""
        place = on_disk(os.path.join(self._root, path))
        return os.path.normpath((None if os.path.exists(place) else in_folder(str(self._root), path)) or place)

    def _check_media(self, batch: Sequence[Document], rows: Sequence[dict[str, Any]]) -> None:
        """Require the files of samples, and read the sizes of images from their headers.

        They are used where a document has none, or has the size of the stored image, before its EXIF orientation.
        """
        local = [(d, r, Path(r["filepath"])) for d, r in zip(batch, rows, strict=True) if "://" not in r["filepath"]]
        absent = [f"{document.location}: {row['filepath']!r}" for document, row, path in local if not path.is_file()]
        if absent:
            more = f"; and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
            raise InvalidSource(
                f"Media are missing: {'; '.join(absent[:_SHOWN])}{more}. "
                "Put them there, or say with rel_dir=… where relative paths start."
            )
        images = [(row, path) for _, row, path in local if row["media_type"] == "image"]
        for (row, _), size in zip(images, media.known_sizes([path for _, path in images]), strict=True):
            given = (row.get("width"), row.get("height"))
            if size is not None and (not given[0] or given == size[::-1]):
                self._turned += bool(given[0]) and given != size
                row["width"], row["height"] = size


def _batches(path: Path | None, key: str, size: int) -> Iterator[list[Document]]:
    stream = documents.read_documents(path, key) if path else iter(())
    while batch := list(islice(stream, size)):
        yield batch
