"""A folder of images, or of splits of images, with or without ``metadata.jsonl``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from ..exceptions import InvalidSource
from . import sniff
from .base import Context, Options, Part
from .metadata.keys import METADATA
from .metadata.options import Reading, Writing
from .metadata.reading.folder_content import FolderContent
from .metadata.reading.folder_files import ImageFolder, walk_files
from .metadata.reading.source import FolderReader, FolderSource
from .metadata.writing.writer import write
from .unread import is_image_file, require_read

_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation")


class FolderFormat:
    """Images in folders, and the dialects of ``metadata.jsonl``."""

    name: ClassVar[str] = "folder"
    title: ClassVar[str] = "a folder of images"
    reading: ClassVar[type[Options]] = Reading
    writing: ClassVar[type[Options]] = Writing

    def recognises(self, source: Path) -> bool:
        """Whether it is a folder with an image or a ``metadata.jsonl``, or with sub-folders that have one."""
        try:
            return source.is_dir() and _holds(
                source, lambda folder, name: name == METADATA or is_image_file(folder, name)
            )
        except OSError:
            return False

    def open(self, source: Path, options: Options, context: Context | None = None) -> FolderSource:
        """Read and check all of it. Raises ``InvalidSource`` with file and line."""
        assert isinstance(options, Reading)  # noqa: S101 - the options of this format
        return _opened(source, options)

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:
        """Write images and lines. Raises ``Unsupported`` for labels that the dialect cannot hold."""
        assert isinstance(options, Writing)  # noqa: S101 - the options of this format
        return write(parts, folder, options)


def _opened(path: Path, options: Reading) -> FolderSource:
    path = path.absolute()
    if not path.is_dir():
        what = f" (it looks like {title})" if (title := sniff.title(path, ())) else ""
        raise InvalidSource(f"{str(path)!r} is not a folder{what}; unpack it, or give the folder of the images.")
    assumptions: list[str] = []
    reader = FolderReader(options)
    for folder in _folders(path, options.splits, assumptions):
        reader.add(folder, folder.metadata)
    notes = _left_out(path, reader.contents, options)
    if not any(len(content.images) for content in reader.contents):
        raise InvalidSource(" ".join([f"There is no image below {str(path)!r}; give another folder.", *notes]))
    return reader.open(notes, assumptions)


def _holds(folder: Path, wanted: Callable[[Path, str], bool]) -> bool:
    """Whether a folder has such a file, to any depth."""
    return any(wanted(Path(place), name) for place, _, files in os.walk(folder) for name in files)


def _left_out(path: Path, contents: Sequence[FolderContent], options: Reading) -> list[str]:
    """Notes on the files below a folder that were not read. Raises ``InvalidSource`` for label files."""
    images, read = set[str](), set[str]()
    for content in contents:
        folder = content.folder
        prefix = "" if folder.path == path else f"{folder.path.relative_to(path).as_posix()}/"
        images.update(prefix + folder.files[image] for image in content.images.tolist())
        if content.file is not None:
            read.add(f"{prefix}{METADATA}")
    return require_read(path, walk_files(path), images, read, options.ignore)


def _folders(path: Path, splits_option: bool | None, assumptions: list[str]) -> list[ImageFolder]:
    """The folder itself, or its sub-folders if they are splits; appends to ``assumptions`` how that was decided."""
    inside = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    with_lines = [p for p in inside if (p / METADATA).is_file()]
    if (path / METADATA).is_file():
        if with_lines:
            raise InvalidSource(
                f"There is a {METADATA} in {str(path)!r} and in its folder {with_lines[0].name!r}; keep it in one of them."
            )
        return [ImageFolder.of(path, None)]
    with_images = [p for p in inside if _holds(p, is_image_file)]
    here = [p for p in path.iterdir() if p.is_file() and is_image_file(path, p.name)]
    by_name = bool(with_images) and not here and all(p.name.lower() in _SPLITS for p in with_images)
    if not (bool(with_lines) or by_name if splits_option is None else splits_option):
        if splits_option is None and with_images:
            assumptions.append(f"The sub-folders of {str(path)!r} are not taken for splits; splits=True takes them so.")
        return [ImageFolder.of(path, None)]
    splits = [p for p in inside if p in with_lines or p in with_images]
    assumptions.append(f"The sub-folders {', '.join(p.name for p in splits)} are splits.")
    return [ImageFolder.of(p, p.name) for p in splits] + ([ImageFolder.of(path, None, deep=False)] if here else [])
