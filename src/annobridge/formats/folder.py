"""A folder of images, or of splits of images, with or without a metadata file; also inside a zip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from ..exceptions import InvalidSource
from . import sniff
from .base import Calls, Context, Options, Part
from .common.archive import Archive
from .common.images import image_names
from .metadata.keys import METADATA_FILES
from .metadata.options import Reading, Writing
from .metadata.reading.folder_content import FolderContent
from .metadata.reading.folder_files import ImageFolder, walk_files
from .metadata.reading.source import FolderReader, FolderSource
from .metadata.writing.writer import write
from .unread import is_hidden, is_image_file, require_read

_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation")


class FolderFormat:
    """Images in folders, and the dialects of ``metadata.jsonl``, ``metadata.csv`` and ``metadata.parquet``."""

    name: ClassVar[str] = "folder"
    title: ClassVar[str] = "a folder of images"
    reading: ClassVar[type[Options]] = Reading
    writing: ClassVar[type[Options]] = Writing

    def recognises(self, source: Path) -> bool:
        """Whether it is a folder with an image or a metadata file, or with sub-folders that have one."""
        try:
            return source.is_dir() and any(
                name in METADATA_FILES or is_image_file(Path(place), name)
                for place, _, files in os.walk(source)
                for name in files
            )
        except OSError:
            return False

    def open(self, source: Path, options: Options, context: Context | None = None) -> FolderSource:
        """Read and check all of it. Raises ``InvalidSource`` with file and line."""
        assert isinstance(options, Reading)  # noqa: S101 - the options of this format
        source, context = source.absolute(), context or Context()
        if source.is_dir():
            return _opened(source, sorted(walk_files(source)), options, context.calls)
        return _opened_zip(source, options, options.media_dir or context.media_folder, context.calls)

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:
        """Write images and lines. Raises ``Unsupported`` for labels that the dialect cannot hold."""
        assert isinstance(options, Writing)  # noqa: S101 - the options of this format
        return write(parts, folder, options)


def _opened(path: Path, names: Sequence[str], options: Reading, calls: Calls) -> FolderSource:
    """Read a folder, given the names of its files."""
    assumptions: list[str] = []
    reader = FolderReader(options, calls)
    for folder in _folders(path, names, options.splits, assumptions):
        reader.add(folder, folder.metadata)
    notes = _left_out(path, names, reader.contents, options)
    if not any(len(content.images) for content in reader.contents):
        raise InvalidSource(" ".join([f"There is no image below {str(path)!r}; give another folder.", *notes]))
    return reader.open(notes, assumptions)


def _opened_zip(path: Path, options: Reading, target: Path | None, calls: Calls) -> FolderSource:
    """Read a zip: its images stay in the folder into which it is unpacked, its other files are removed once they are read."""
    with Archive(path, options.limits) as archive:
        if archive.is_folder or not image_names(archive):
            what = f" (it looks like {title})" if (title := sniff.title(path, ())) else ""
            raise InvalidSource(
                f"{str(path)!r} is not a folder{what}; unpack it, or give the folder of the images, or a zip with images."
            )
        if target is None:
            raise InvalidSource(
                f"The images of {str(path)!r} are inside the archive; give media_dir= for the folder to unpack them into, or "
                "unpack the archive."
            )
        names, others = archive.names, set(archive.names) - set(image_names(archive))
        try:
            for name in names:
                _unpack(archive, name, target / name)
            root = _root(names)
            inner = [name.removeprefix(root) for name in names]
            return _opened((target / root).absolute(), inner, options, calls)
        finally:
            for name in others:
                (target / name).unlink(missing_ok=True)


def _unpack(archive: Archive, name: str, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidSource(
            f"{archive.where(name)} cannot be unpacked to {str(target)!r} ({error.strerror}); give another media_dir=."
        ) from None


def _root(names: Sequence[str]) -> str:
    """The folder that all files of a zip are in, as ``data/``, unless it is a split; ``""`` if there is none."""
    root = ""
    while True:
        first = {name.removeprefix(root).partition("/")[0] for name in names}
        folder = next(iter(first))
        if len(first) > 1 or folder.lower() in _SPLITS or f"{root}{folder}" in names:
            return root
        root += f"{folder}/"


def _left_out(path: Path, names: Sequence[str], contents: Sequence[FolderContent], options: Reading) -> list[str]:
    """Notes on the files below a folder that were not read. Raises ``InvalidSource`` for label files."""
    images, read = set[str](), set[str]()
    for content in contents:
        folder = content.folder
        prefix = "" if folder.path == path else f"{folder.path.relative_to(path).as_posix()}/"
        images.update(prefix + folder.files[image] for image in content.images.tolist())
        if content.file is not None:
            read.add(prefix + content.file.path.name)
    return require_read(path, names, images, read, options.ignore)


def _folders(path: Path, names: Sequence[str], splits_option: bool | None, assumptions: list[str]) -> list[ImageFolder]:
    """The folder itself, or its sub-folders if they are splits; appends to ``assumptions`` how that was decided."""
    inside: dict[str, list[str]] = {}
    here = []
    for name in names:
        folder, slash, rest = name.partition("/")
        if not slash:
            here.append(name)
        elif not folder.startswith("."):
            inside.setdefault(folder, []).append(rest)
    with_lines = [folder for folder, files in inside.items() if _metadata(files)]
    if found := _metadata(here):
        if with_lines:
            raise InvalidSource(
                f"There is a {found} in {str(path)!r} and in its folder {with_lines[0]!r}; keep it in one of them."
            )
        return [ImageFolder(path, None, sorted(names))]
    with_images = [folder for folder, files in inside.items() if _has_image(path / folder, files)]
    images_here = any(is_image_file(path, name) for name in here)
    by_name = bool(with_images) and not images_here and all(folder.lower() in _SPLITS for folder in with_images)
    if not (bool(with_lines) or by_name if splits_option is None else splits_option):
        if splits_option is None and with_images:
            assumptions.append(f"The sub-folders of {str(path)!r} are not taken for splits; splits=True takes them so.")
        return [ImageFolder(path, None, sorted(names))]
    splits = [folder for folder in sorted(inside) if folder in with_lines or folder in with_images]
    assumptions.append(f"The sub-folders {', '.join(splits)} are splits.")
    return [ImageFolder(path / folder, folder, sorted(inside[folder])) for folder in splits] + (
        [ImageFolder(path, None, sorted(here))] if images_here else []
    )


def _metadata(files: Collection[str]) -> str | None:
    return next((name for name in METADATA_FILES if name in files), None)


def _has_image(folder: Path, files: Collection[str]) -> bool:
    return any(not is_hidden(name) and is_image_file(folder, name) for name in files)
