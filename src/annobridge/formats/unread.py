"""The files of a folder that an import does not read. Label files stop it unless they are ignored; others are noted."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ..core.media import IMAGES, PICTURES, RAW, VIDEO
from ..exceptions import InvalidSource
from ..store.images import is_image
from . import sniff

_SHOWN = 3
# Suffixes of files that may hold the labels of an image with the same name; cameras and editors write other suffixes.
_COMPANIONS = frozenset({
    ".txt", ".xml", ".json", ".jsonl", ".ndjson", ".geojson", ".csv", ".tsv", ".yaml", ".yml", ".caption", ".npy", ".npz",
    ".mat", ".pts",
})  # fmt: skip
_SNIFFED = 5  # files with one suffix whose content is looked at
_VIDEO = re.compile(VIDEO, re.IGNORECASE)


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder on its path, is hidden, or of an archive that macOS made."""
    return name.startswith(".") or "/." in name or ("__MACOSX" in name and "__MACOSX" in name.split("/"))


def is_image_file(root: Path, name: str) -> bool:
    """Whether a file is an image, by its suffix or its content."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in IMAGES:
        return True
    if suffix in RAW or sniff.is_data(name) or _VIDEO.search(name):
        return False
    return is_image(root / name)


def require_read(
    root: Path, names: Iterable[str], images: Collection[str], read: Collection[str], ignore: bool
) -> list[str]:
    """Notes on the files of a folder that an import leaves out.

    Args:
        root: the folder.
        names: all its files, relative to it.
        images: the files that become samples.
        read: other files that were read.
        ignore: whether label files are left out too.

    Raises:
        InvalidSource: label files would be left out, and ``ignore`` is not set.
    """
    left = [name for name in names if name not in images and name not in read and not is_hidden(name)]
    notes = [*_pictures(left), *_videos(left)]
    labels = _labels(root, left, images)
    if not labels:
        return notes
    said = "; ".join(f"{_some(found)} ({title})" for title, found in labels.items())
    count = sum(map(len, labels.values()))
    what = f"{count} label files are" if count > 1 else "1 label file is"
    if not ignore:
        raise InvalidSource(
            f"Below {str(root)!r}, {what} of a kind that an import of a folder does not read: {said}. "
            "Their labels would be lost: write them into a metadata.jsonl, or import the images without them with ignore=True "
            "(on the command line, --ignore)."
        )
    return [*notes, f"{what} not read, and {'their' if count > 1 else 'its'} labels were left out: {said}."]


def _labels(root: Path, left: Sequence[str], images: Collection[str]) -> Mapping[str, list[str]]:
    """The label files by what they are. A file with the name of an image counts as one, whatever its content."""
    if not left:
        return {}
    bases = {name.rpartition("/")[2] for name in images}
    stems = {os.path.splitext(base)[0] for base in bases}
    found: dict[str, list[str]] = defaultdict(list)
    known: dict[tuple[str, str], list[str]] = defaultdict(list)  # files with the name of an image, by folder and suffix
    for name in left:
        path = PurePosixPath(name)
        if path.suffix.lower() in _COMPANIONS and (path.stem in stems or path.stem in bases):
            known[str(path.parent), path.suffix.lower()].append(name)
        elif title := sniff.title(root / name, bases):
            found[title].append(name)
    for (_, suffix), names in known.items():
        titles = (sniff.title(root / name, bases) for name in names[:_SNIFFED])
        found[next(filter(None, titles), f"{suffix} files that are called as the images")] += names
    return found


def _pictures(left: Iterable[str]) -> Iterator[str]:
    named = [name for name in left if (s := os.path.splitext(name)[1].lower()) in PICTURES or s in RAW]
    if named:
        what = "pictures were" if len(named) > 1 else "picture was"
        heic = any(name.lower().endswith((".heic", ".heif", ".hif")) for name in named)
        cure = "install pillow-heif for HEIC, or convert them" if heic else "convert them"
        yield f"{len(named)} {what} left out, as Pillow cannot read them: {_some(named)}; {cure} to JPEG or PNG."


def _videos(left: Iterable[str]) -> Iterator[str]:
    if named := [name for name in left if _VIDEO.search(name)]:
        what = "videos were" if len(named) > 1 else "video was"
        yield f"{len(named)} {what} left out, as the samples of a folder are images: {_some(named)}; add them with add_samples."


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, sorted(names)[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
