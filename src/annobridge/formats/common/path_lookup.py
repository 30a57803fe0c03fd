"""Paths that are looked up by names that are not quite theirs: without folders or suffix, or by the number of a frame."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow as pa

from ...core.media import PICTURES, VIDEO
from ..names import composed, with_slashes
from .items import frame_of

KNOWN = ("sample_id", "filepath", "media_type", "width", "height", "frames")  # columns of known samples
BY_NUMBER = "in the dataset, by frame number"  # how an image was found
IS_VIDEO = re.compile(VIDEO, re.IGNORECASE)
_FRAME = re.compile(r"frame_\d{6,9}")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")  # Label Studio's name for a file that was uploaded


class Names:
    """Paths that can be looked up by less than the whole path, where that is unambiguous."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = paths

    @cached_property
    def _by_base(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._paths:
            found.setdefault(composed(with_slashes(path)).rpartition("/")[2], []).append(path)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return self._by(stem)

    @cached_property
    def _by_upload(self) -> dict[str, list[str]]:
        return self._by(lambda base: base.replace(" ", "_"))

    def _by(self, key: Callable[[str], str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for base, paths in self._by_base.items():
            found.setdefault(key(base), []).extend(paths)
        return found

    def find(self, name: str, split: str | None = None) -> str | None:
        """The path that ends with a name; else one whose path without suffix does. Of several, the one in the folder of the
        split, or the one that the others lie deeper than; ``None`` if it is not clear which.
        """
        name = composed(with_slashes(name)).lstrip("./")
        base = name.rpartition("/")[2]
        for cut in (False, True):
            wanted = stem(name) if cut else name
            paths = self._by_stem.get(stem(base), ()) if cut else self._by_base.get(base, ())
            if len(paths) == 1 and paths[0] == wanted:
                return paths[0]
            fits = [path for path in paths if _ends_with(composed(with_slashes(path)), wanted, cut)]
            if not fits:
                # The item may have folders that the files lack: of a machine where the labels were made. Each of these paths is
                # the end of the name, and the longest says most.
                fits = [path for path in paths if _ends_with(wanted, stem(path) if cut else path, False)]
                fits = [max(fits, key=len)] if fits else []
            if len(fits) > 1 and split is not None:
                fits = [path for path in fits if _is_of_split(path, split)] or fits
            if len(fits) > 1:
                fits = [path for path in fits if with_slashes(path) == wanted] or _at_the_root(fits)
            if len(fits) == 1:
                return fits[0]
        return None

    def find_base(self, name: str) -> str | None:
        """The only path with the base name of a name, whatever its folders; ``None`` if there are several, or none."""
        for base in dict.fromkeys(
            (base_name(name), composed(unquote(base_name(name))))
        ):  # some tools keep names as URLs have them
            fits = self._by_base.get(base) or self._by_stem.get(stem(base)) or []
            if fits:
                return fits[0] if len(fits) == 1 else None
        return None

    def find_upload(self, name: str) -> str | None:
        """The path whose file was uploaded to Label Studio under a name: its base name after 8 digits, spaces made ``_``."""
        original = original_name(name)
        fits = [] if original is None else self._by_upload.get(original, [])
        return fits[0] if len(fits) == 1 else None


def original_name(name: str) -> str | None:
    """The base name of a file before it was uploaded to Label Studio; ``None`` for names of other kinds.

    >>> original_name("../../data/media/upload/1/4e0bce4e-dock_01.jpg"), original_name("cam/dock_01.jpg")
    ('dock_01.jpg', None)
    """
    match = _UPLOAD.fullmatch(composed(with_slashes(name)).rpartition("/")[2])
    return match[1] if match else None


def _is_of_split(path: str, split: str) -> bool:
    """Whether a folder of a path is called as a split, or ends so, as ``WIDER_train``."""
    return any(part == split or part.endswith(f"_{split}") for part in PurePosixPath(path).parts[:-1])


def _at_the_root(paths: list[str]) -> list[str]:
    """The path of which all others lie in folders beside it, as ``images/a.jpg`` of it and ``images/cam/a.jpg``; else all."""
    folders = {path: with_slashes(path).rpartition("/")[0] for path in paths}
    first = min(paths, key=lambda path: len(folders[path]))
    prefix = f"{folders[first]}/" if folders[first] else ""
    inner = [path for path in paths if path != first]
    return (
        [first]
        if all(folders[path].startswith(prefix) and folders[path] != folders[first] for path in inner)
        else paths
    )


def stem(name: str) -> str:
    """A name without the suffix of a picture; other suffixes stay.

    >>> stem("a.b.jpg"), stem("a.b")
    ('a.b', 'a.b')
    """
    root, suffix = os.path.splitext(name)
    return root if suffix.lower() in PICTURES or IS_VIDEO.search(suffix) else name


def _ends_with(path: str, wanted: str, cut: bool) -> bool:
    if cut:
        path = stem(path)
    return path == wanted or path.endswith(f"/{wanted}")


def base_name(name: str) -> str:
    return composed(with_slashes(name)).rpartition("/")[2]


def closeness(name: str, split: str | None, path: str) -> tuple[bool, int]:
    """How well a name and a split fit a path: by the split, and by how many parts they share at the end.

    >>> closeness("cam/a.jpg", "val", "/data/val/cam/a.jpg"), closeness("a.jpg", None, "/data/val/cam/a.jpg")
    ((True, 2), (False, 1))
    """
    wanted, there = (PurePosixPath(composed(with_slashes(text))).parts for text in (name, path))
    shared = next((n for n, (a, b) in enumerate(zip(wanted[::-1], there[::-1], strict=False)) if a != b), len(wanted))
    return split is not None and _is_of_split(path, split), shared


class Numbers:
    """Images by the last number in their names. Where some are called as frames of videos, others have no number."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths: dict[int, list[str]] = defaultdict(list)
        paths = list(paths)
        paths = [path for path in paths if _FRAME.fullmatch(stem(path.rpartition("/")[2]))] or paths
        for path in paths:
            if number := _LAST_NUMBER.search(stem(path.rpartition("/")[2])):
                self._paths[int(number[1])].append(path)
        self._first = 1 if 1 in self._paths and 0 not in self._paths else 0

    def find(self, frame: int, video: str | None) -> str | None:
        """The image of a frame. Frames of a video are counted from 0, and images perhaps from 1. Of several images with one number,
        that in the folder called as the video.
        """
        paths = self._paths.get(frame if video is None else frame + self._first, [])
        if len(paths) > 1 and video is not None:
            folder = composed(stem(video).rpartition("/")[2])
            paths = [path for path in paths if folder in composed(path).split("/")[:-1]]
        return paths[0] if len(paths) == 1 else None


class KnownSamples:
    """The samples of the dataset, by path, name, stem and frame number."""

    def __init__(self, known: pa.Table | None, has_numbers: bool = True) -> None:
        rows = [] if known is None else known.select(KNOWN).to_pylist()
        self._rows = {with_slashes(row["filepath"] or ""): row for row in rows}
        images = [path for path, row in self._rows.items() if row["media_type"] != "video"]
        self._videos = [path for path, row in self._rows.items() if row["media_type"] == "video"]
        self._names, self._video_names = Names(images), Names(self._videos)
        self._numbers = Numbers(images if has_numbers else ())

    def find(
        self, name: str, split: str | None, frame: int | None, video: str | None = None
    ) -> tuple[str, str, tuple[int, int] | None, int | None, str] | None:
        """Path, id, size, frame number in a video, and how it was found."""
        if not self._rows:
            return None
        if (path := self._names.find(name, split)) is not None:
            return (*self._row(path), None, "in the dataset, by name")
        if frame is None and _FRAME.fullmatch(stem(name.rpartition("/")[2])):
            frame = frame_of(name.rpartition("/")[2])
        if frame is None:
            return None
        if video is not None and (path := self._video_names.find(video, split)) is not None:
            return (*self._row(path), frame + 1, "in the dataset's videos, by their names")
        if len(self._videos) == 1 and (self._rows[self._videos[0]]["frames"] or frame + 1) > frame:
            return (*self._row(self._videos[0]), frame + 1, "in the dataset's video, by frame number")
        path = self._numbers.find(frame, video)
        return (*self._row(path), None, BY_NUMBER) if path is not None else None

    def find_upload(self, name: str) -> tuple[str, str, tuple[int, int] | None] | None:
        """Path, id and size of the image that was uploaded under a name."""
        path = self._names.find_upload(name)
        return None if path is None else self._row(path)

    def find_base(self, name: str) -> tuple[str, str, tuple[int, int] | None] | None:
        """Path, id and size of the only image with a base name."""
        path = self._names.find_base(name)
        return None if path is None else self._row(path)

    def _row(self, path: str) -> tuple[str, str, tuple[int, int] | None]:
        row = self._rows[path]
        size = (row["width"], row["height"]) if row["width"] and row["height"] else None
        return row["filepath"], row["sample_id"], size
