"""Write: images and lines into a new folder. Everything is put by before the first line is written, for each has all keys."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import is_rotated
from ....core.labels import LABELS, SAMPLES
from ....core.schema import infer
from ....exceptions import InvalidMedia
from ....spill.tables import Tables
from ....store.media import FileMedia, Media, without_secrets
from ...base import Part
from ..options import Writing
from ..reading.folder_files import METADATA
from .file_name import Dialect, FileNameOut, unsupported
from .pixano_08 import EightOut
from .quickstart import QuickstartOut

NO_SPLIT = "default"  # Pixano's name for it
_HELD = ("bool", "int", "float", "string", "large_string", "null")


@dataclass
class Facts:
    """What is in all that is to be written."""

    fields: dict[str, infer.FieldStats] = field(default_factory=dict)
    given: dict[str, set[str]] = field(default_factory=dict)  # the columns of LABELS that are not null, by field
    columns: dict[str, pa.DataType] = field(default_factory=dict)  # of the samples
    split: bool = False
    notes: list[str] = field(default_factory=list)
    media: list[Media | None] = field(default_factory=list)  # of each part, unless they are the files at its paths


def write(parts: Iterator[Part], folder: Path, options: Writing) -> list[str]:
    """Write all parts; returns notes. Raises ``Unsupported`` for labels that the dialect cannot hold."""
    put_by, facts = gathered(parts)
    dialect = _dialect(options, facts)
    dialect.check()
    with ExitStack() as stack:
        places = _Places(folder, options, dialect.splits or facts.split, stack, dialect.header)
        for (rows, found), given in zip(put_by, facts.media, strict=True):
            files = given or FileMedia.of(rows)
            splits = [places.split(s) for s in _splits(rows)]
            images = zip(rows["sample_id"].to_pylist(), rows["filepath"].to_pylist(), splits, strict=True)
            names = [places.put(files, *image) for image in images]
            for split, line in zip(splits, dialect.lines(rows, found, names, files), strict=True):
                places.line(split, line)
    for name, text in dialect.files().items():
        (folder / name).write_text(text, encoding="utf-8")
    return [*facts.notes, *dialect.notes]


def gathered(parts: Iterable[Part]) -> tuple[Iterator[tuple[pa.Table, pa.Table]], Facts]:
    """The samples and labels of all parts, put by, and what is in them."""
    tables, facts = Tables(), Facts()
    numbers = []
    for part in parts:
        facts.media.append(None if isinstance(part.media, FileMedia) else part.media)  # paths are in the tables
        numbers.append((tables.add(part.samples), tables.add(part.labels)))
        _note(part, facts)
        _add(facts.fields, infer.describe(part.labels.select(infer.COLUMNS).to_batches()))
    return ((tables.get(samples), tables.get(labels)) for samples, labels in numbers), facts


def _dialect(options: Writing, facts: Facts) -> Dialect:
    if options.dialect == "pixano":
        return QuickstartOut(facts, options)
    return EightOut(facts, options) if options.dialect == "pixano-0.8" else FileNameOut(facts, options)


def _note(part: Part, facts: Facts) -> None:
    samples, labels = part.samples, part.labels
    if "media_type" in samples.column_names and pc.any(pc.equal(samples["media_type"], "video")).as_py():
        raise unsupported(
            "metadata.jsonl is about images, and the view has videos; leave them out with match(\"media_type = 'image'\")."
        )
    facts.split = "split" in samples.column_names
    for column in samples.schema:
        own = column.name in SAMPLES.names or column.name in ("split", *facts.columns)
        if own and not (column.name == "tags" and pc.any(pc.greater(pc.list_value_length(samples["tags"]), 0)).as_py()):
            continue
        inner = column.type.value_type if pa.types.is_list(column.type) else column.type
        if (
            str(inner).rstrip("0123456789").removeprefix("u").replace("double", "float").replace("halffloat", "float")
            in _HELD
        ):
            facts.columns[column.name] = column.type
        elif (
            text := f"The column {column.name!r} is {column.type}, which no line holds; it was left out."
        ) not in facts.notes:
            facts.notes.append(text)
    for name in pc.unique(labels["field"]).to_pylist():
        rows = labels.filter(pc.equal(labels["field"], name))
        found = {c for c in LABELS.names if c in rows.column_names and rows[c].null_count < rows.num_rows}
        if rows["label"].null_count and pc.any(pc.not_equal(rows["kind"], "message")).as_py():
            found.add("no label")
        if "tags" in found and not pc.any(pc.greater(pc.list_value_length(rows["tags"]), 0)).as_py():
            found.discard("tags")
        if "rotation" in found and not is_rotated(rows["rotation"]).any():
            found.discard("rotation")
        facts.given.setdefault(name, set()).update(found)


def _add(fields: dict[str, infer.FieldStats], found: Mapping[str, infer.FieldStats]) -> None:
    for name, stats in found.items():
        known = fields.setdefault(name, infer.FieldStats())
        known.kinds |= stats.kinds
        for attribute, types in stats.attributes.items():
            known.attributes.setdefault(attribute, set()).update(types)


def _splits(samples: pa.Table) -> list[Any]:
    return samples["split"].to_pylist() if "split" in samples.column_names else [None] * samples.num_rows


def _opened(media: Media, sample: str, place: str) -> BinaryIO:
    cure = "or leave the sample out of the view"
    try:
        return media.open(sample)
    except FileNotFoundError:
        raise InvalidMedia(f"The image {place!r} of sample {sample!r} does not exist; put it there, {cure}.") from None
    except (OSError, ValueError) as e:
        why = (getattr(e, "strerror", None) or str(e)).partition("\n")[0]
        why = type(e).__name__ if "://" in why else why  # an address may hold a secret
        raise InvalidMedia(
            f"The image {place!r} of sample {sample!r} cannot be opened ({why}); mend it, {cure}."
        ) from None


class _Places:
    """Where lines and images go: the folder, or its sub-folder for each split."""

    def __init__(self, folder: Path, options: Writing, splits: bool, stack: ExitStack, header: Any) -> None:
        self._folder, self._how, self._by_split, self._stack, self._header = (
            folder,
            options.media,
            splits,
            stack,
            header,
        )
        self._files: dict[str, TextIO] = {}
        self._names: dict[str, set[str]] = {}

    def split(self, value: Any) -> str:
        """The sub-folder of a sample, ``""`` for none."""
        if not self._by_split:
            return ""
        name = NO_SPLIT if value is None else str(value)
        if not name or "/" in name or name.startswith("."):
            raise unsupported(f"The split {name!r} cannot be the name of a folder; rename it.")
        return name

    def put(self, media: Media, sample: str, place: str | None, split: str) -> str:
        """Bring an image to its folder; returns its name there. Raises ``InvalidMedia``."""
        if place is None:
            raise InvalidMedia(
                f"The sample {sample!r} has no filepath, so there is no image to write; leave it out of the view."
            )
        name = self._name(PurePosixPath(without_secrets(place)).name or "image", split)
        target = self._folder / split / name
        target.parent.mkdir(exist_ok=True)
        if self._how != "none":
            self._bring(media, sample, without_secrets(place), target)
        return name

    def _bring(self, media: Media, sample: str, place: str, target: Path) -> None:
        path = media.path(sample)
        if path is not None and self._how == "link":
            try:
                os.link(os.path.realpath(path), target)
            except OSError:  # another disk, or one without links; or no file, which is told below
                pass
            else:
                return
        with _opened(media, sample, place) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)

    def _name(self, name: str, split: str) -> str:
        taken = self._names.setdefault(split, {METADATA})
        stem, suffix = os.path.splitext(name)
        made, number = name, 1
        while made.casefold() in taken:
            number += 1
            made = f"{stem}-{number}{suffix}"
        taken.add(made.casefold())
        return made

    def line(self, split: str, line: dict[str, Any]) -> None:
        """Append a line to the file of a split."""
        if split not in self._files:
            path = self._folder / split / METADATA
            self._files[split] = self._stack.enter_context(path.open("w", encoding="utf-8"))
            if self._header is not None:
                self._write(split, self._header)
        self._write(split, line)

    def _write(self, split: str, line: dict[str, Any]) -> None:
        self._files[split].write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
