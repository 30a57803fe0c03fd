"""Unread: the files of a folder that an import leaves out. Label files stop it unless they are ignored; the rest is noted."""

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
# What may hold the labels of an image of the same name; cameras and editors have other companions.
_COMPANIONS = frozenset({
    ".txt", ".xml", ".json", ".jsonl", ".ndjson", ".geojson", ".csv", ".tsv", ".yaml", ".yml", ".caption", ".npy", ".npz",
    ".mat", ".pts",
})  # fmt: skip
_LOOKED_AT = 5  # files of a kind, to say what they are
_VIDEO = re.compile(VIDEO, re.IGNORECASE)


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder on the way to it, is hidden, or left there by a Mac's archive."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def is_image_file(root: Path, name: str) -> bool:
    """Whether a file is an image, by its ending or by its content."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in IMAGES:
        return True
    if suffix in RAW or sniff.is_data(name) or _VIDEO.search(name):
        return False
    return is_image(root / name)


def require_read(
    root: Path, names: Iterable[str], images: Collection[str], read: Collection[str], ignore: bool
) -> list[str]:
    """See that nothing with labels is left out of what lies below a folder; returns notes on what is.

    ``images`` are the files that become samples, and ``read`` others that were read. Raises ``InvalidSource`` for label files,
    unless they are to be ignored.
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
    """The label files by what they are. A file that is called as an image is one of them, whatever is in it."""
    bases = {PurePosixPath(name).name for name in images}
    stems = {PurePosixPath(base).stem for base in bases}
    found: dict[str, list[str]] = defaultdict(list)
    known: dict[tuple[str, str], list[str]] = defaultdict(list)  # companions by folder and ending
    for name in left:
        path = PurePosixPath(name)
        if path.suffix.lower() in _COMPANIONS and (path.stem in stems or path.stem in bases):
            known[str(path.parent), path.suffix.lower()].append(name)
        elif title := sniff.title(root / name, bases):
            found[title].append(name)
    for (_, suffix), names in known.items():
        titles = (sniff.title(root / name, bases) for name in names[:_LOOKED_AT])
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
