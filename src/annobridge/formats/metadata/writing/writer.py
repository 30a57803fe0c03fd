"""Images and lines, written into a new folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TextIO

import pyarrow as pa

from ....exceptions import InvalidMedia
from ....store.media import Media, without_secrets
from ...base import Part
from ...media import of as opened_by
from ..keys import METADATA
from ..options import Writing
from .file_name import FileNameWriter
from .line_writer import Line, LineWriter, unsupported
from .pixano_08 import Pixano08Writer
from .quickstart import QuickstartWriter
from .survey import Survey, survey

NO_SPLIT = "default"  # Pixano's name for it


def write(parts: Iterator[Part], folder: Path, options: Writing) -> list[str]:
    """Write all parts; returns notes on what was left out or changed.

    Raises ``Unsupported`` for labels that the dialect cannot hold, before anything is written, and ``InvalidMedia``.
    """
    tables, found = survey(parts)
    writer = _line_writer(options, found)
    writer.check()
    with ExitStack() as stack:
        output = _OutputFolder(folder, options.media, writer.header, stack)
        for (samples, labels), embedded in zip(tables, found.media, strict=True):
            files = opened_by(samples, embedded)
            splits = _splits(samples, writer.needs_splits or found.has_splits)
            images = zip(samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), splits, strict=True)
            names = [output.add_image(files, *image) for image in images]
            for split, line in zip(splits, writer.lines(samples, labels, names, files), strict=True):
                output.add_line(split, line)
    for name, text in writer.files().items():
        (folder / name).write_text(text, encoding="utf-8")
    return [*found.notes, *writer.notes]


def _line_writer(options: Writing, found: Survey) -> LineWriter:
    if options.dialect == "pixano":
        return QuickstartWriter(found, options)
    return Pixano08Writer(found, options) if options.dialect == "pixano-0.8" else FileNameWriter(found, options)


def _splits(samples: pa.Table, needed: bool) -> list[str]:
    """The folder of each sample, ``""`` where images are not in folders of splits. Raises ``Unsupported``."""
    if not needed:
        return [""] * samples.num_rows
    given = samples["split"].to_pylist() if "split" in samples.column_names else [None] * samples.num_rows
    names = [NO_SPLIT if value is None else str(value) for value in given]
    for name in names:
        if not name or "/" in name or name.startswith("."):
            raise unsupported(f"The split {name!r} cannot be the name of a folder; rename it.")
    return names


class _OutputFolder:
    """The folder, with a sub-folder for each split: images, each under a name of its own, and a file of lines."""

    def __init__(self, folder: Path, media_option: str, header: Line | None, stack: ExitStack) -> None:
        self._folder, self._media_option, self._header, self._stack = folder, media_option, header, stack
        self._files: dict[str, TextIO] = {}  # by split
        self._names: dict[str, set[str]] = {}  # by split

    def add_image(self, media: Media, sample_id: str, place: str | None, split: str) -> str:
        """Copy or link an image, if images are wanted; returns its name in the folder. Raises ``InvalidMedia``."""
        if place is None:
            raise InvalidMedia(
                f"The sample {sample_id!r} has no filepath, so there is no image to write; leave it out of the view."
            )
        name = self._free_name(PurePosixPath(without_secrets(place)).name or "image", split)
        target = self._folder / split / name
        target.parent.mkdir(exist_ok=True)
        path = media.path(sample_id) if self._media_option == "link" else None
        if self._media_option != "none" and not (path is not None and _linked(path, target)):
            with _opened(media, sample_id, without_secrets(place)) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        return name

    def _free_name(self, name: str, split: str) -> str:
        taken = self._names.setdefault(split, {METADATA})
        stem, suffix = os.path.splitext(name)
        free, number = name, 1
        while free.casefold() in taken:  # some disks do not distinguish case
            number += 1
            free = f"{stem}-{number}{suffix}"
        taken.add(free.casefold())
        return free

    def add_line(self, split: str, line: Line) -> None:
        """Append a line to the file of a split."""
        if split not in self._files:
            path = self._folder / split / METADATA
            self._files[split] = self._stack.enter_context(path.open("w", encoding="utf-8"))
            if self._header is not None:
                self._write(split, self._header)
        self._write(split, line)

    def _write(self, split: str, line: dict[str, Any]) -> None:
        self._files[split].write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def _linked(path: Path, target: Path) -> bool:
    """Make a hard link; ``False`` across disks, on a disk without links, and if there is no file, which a copy reports."""
    try:
        os.link(os.path.realpath(path), target)
    except OSError:
        return False
    return True


def _opened(media: Media, sample_id: str, place: str) -> BinaryIO:
    cure = "or leave the sample out of the view"
    try:
        return media.open(sample_id)
    except FileNotFoundError:
        raise InvalidMedia(
            f"The image {place!r} of sample {sample_id!r} does not exist; put it there, {cure}."
        ) from None
    except (OSError, ValueError) as e:
        why = (getattr(e, "strerror", None) or str(e)).partition("\n")[0]
        why = type(e).__name__ if "://" in why else why  # an address may hold a secret
        raise InvalidMedia(
            f"The image {place!r} of sample {sample_id!r} cannot be opened ({why}); mend it, {cure}."
        ) from None
