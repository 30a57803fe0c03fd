"""The image of each item: in the archive, in a folder that the caller names, or already in the dataset."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pyarrow as pa

from ...core.media import IMAGES, PICTURES, VIDEO
from ...exceptions import InvalidSource
from ..base import Context as Context
from ..ids import of_paths
from ..media import known_headers
from ..names import composed
from .archive import Archive

KNOWN = ("sample_id", "filepath", "media_type", "width", "height", "frames")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
_VIDEO = re.compile(VIDEO, re.IGNORECASE)
_BY_BASE = "by their base names, in other folders than the labels say"
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")  # Label Studio's name for a file that was uploaded


@dataclass(slots=True)
class Found:
    """The image of each item, by the item's number; ``None`` where there is none."""

    paths: list[str | None]
    sample_ids: list[str | None]
    sizes: list[tuple[int, int] | None]  # as shown
    frames: list[int | None]  # of items that are frames of a video: the number of the frame, from 1
    how: dict[str, int] = field(default_factory=dict)  # in words, as "by its name in image_dir" → items

    def table(self) -> pa.Table:
        """The columns sample_id, filepath, width, height and frame_number, with a row for each item."""
        widths = [size and size[0] for size in self.sizes]
        heights = [size and size[1] for size in self.sizes]
        return pa.table({
            "sample_id": pa.array(self.sample_ids, pa.string()),
            "filepath": pa.array(self.paths, pa.string()),
            "width": pa.array(widths, pa.int32()),
            "height": pa.array(heights, pa.int32()),
            "frame_number": pa.array(self.frames, pa.int32()),
        })  # fmt: skip


class Names:
    """Paths that can be looked up by less than the whole path, where that is unambiguous."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = paths

    @cached_property
    def _by_base(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._paths:
            found.setdefault(composed(path.replace("\\", "/")).rpartition("/")[2], []).append(path)
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
        name = composed(name.replace("\\", "/")).lstrip("./")
        base = name.rpartition("/")[2]
        for cut in (False, True):
            wanted = stem(name) if cut else name
            paths = self._by_stem.get(stem(base), ()) if cut else self._by_base.get(base, ())
            if len(paths) == 1 and paths[0] == wanted:
                return paths[0]
            fits = [path for path in paths if _ends_with(composed(path.replace("\\", "/")), wanted, cut)]
            if not fits:
                # The item may have folders that the files lack: of a machine where the labels were made. Each of these paths is
                # the end of the name, and the longest says most.
                fits = [path for path in paths if _ends_with(wanted, stem(path) if cut else path, False)]
                fits = [max(fits, key=len)] if fits else []
            if len(fits) > 1 and split is not None:
                fits = [path for path in fits if _is_of_split(path, split)] or fits
            if len(fits) > 1:
                fits = [path for path in fits if path.replace("\\", "/") == wanted] or _at_the_root(fits)
            if len(fits) == 1:
                return fits[0]
        return None

    def find_base(self, name: str) -> str | None:
        """The only path with the base name of a name, whatever its folders; ``None`` if there are several, or none."""
        for base in dict.fromkeys(
            (_base(name), composed(unquote(_base(name))))
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
    match = _UPLOAD.fullmatch(composed(name.replace("\\", "/")).rpartition("/")[2])
    return match[1] if match else None


def _is_of_split(path: str, split: str) -> bool:
    """Whether a folder of a path is called as a split, or ends so, as ``WIDER_train``."""
    return any(part == split or part.endswith(f"_{split}") for part in PurePosixPath(path).parts[:-1])


def _at_the_root(paths: list[str]) -> list[str]:
    """The path of which all others lie in folders beside it, as ``images/a.jpg`` of it and ``images/cam/a.jpg``; else all."""
    folders = {path: path.replace("\\", "/").rpartition("/")[0] for path in paths}
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
    return root if suffix.lower() in PICTURES else name


def _ends_with(path: str, wanted: str, cut: bool) -> bool:
    if cut:
        path = stem(path)
    return path == wanted or path.endswith(f"/{wanted}")


def image_names(archive: Archive) -> list[str]:
    """The images in an archive, by their suffixes."""
    return [
        name
        for suffix in sorted(archive.by_suffix)
        if suffix in IMAGES | PICTURES
        for name in archive.by_suffix[suffix]
    ]


def resolve(
    archive: Archive, items: pa.Table, images: Sequence[str], image_dir: Path | None, context: Context
) -> Found:
    """Find the image of each item (``ITEMS``). ``images`` are the names of images in the archive that samples can be."""
    count = items.num_rows
    found = Found([None] * count, [None] * count, [None] * count, [None] * count)
    rows = list(zip(*(items[name].to_pylist() for name in ("name", "split", "frame", "file", "video")), strict=True))
    inside = Names(images)
    videos = Names([name for name in archive.names if _VIDEO.search(name)])
    beside = _folder_names(image_dir) if image_dir is not None else {}
    outside = Names(beside)
    here = _Known(context.known)
    for at, (name, split, frame, file, video) in enumerate(rows):
        is_inside = file in archive and not archive.is_embedded(file or "")
        if (member := file if is_inside else inside.find(name, split)) is not None:
            found.paths[at] = _on_disk(archive, member, context)
            _count(found, "in the source")
        elif (base := outside.find(name, split)) is not None:
            found.paths[at] = beside[base]
            _count(found, "in image_dir")
        elif video is not None and frame is not None and (member := videos.find(video, split)) is not None:
            found.paths[at], found.frames[at] = _on_disk(archive, member, context), frame + 1
            _count(found, "as frames of a video in the source")
        elif video is not None and frame is not None and (base := outside.find(video, split)) is not None:
            found.paths[at], found.frames[at] = beside[base], frame + 1
            _count(found, "as frames of a video in image_dir")
        elif (row := here.find(name, split, frame, video)) is not None:
            found.paths[at], found.sample_ids[at], found.sizes[at], found.frames[at], how = row
            _count(found, how)
        elif file is not None and archive.is_embedded(file):  # last: it may be a copy of an image that is elsewhere
            found.paths[at] = _on_disk(archive, file, context)
            _count(found, "in the label files")
    _find_uploads(found, [row[0] for row in rows], inside, outside, beside, here, archive, context)
    _find_bases(found, [row[0] for row in rows], inside, outside, beside, here, archive, context)
    _measure(found)
    return found


def resolve_known(items: pa.Table, known: Sequence[pa.Table]) -> Found:
    """Find the sample of each item (``ITEMS``) among samples that are known (tables as in ``Context``). The first table that has
    it counts.
    """
    count = items.num_rows
    found = Found([None] * count, [None] * count, [None] * count, [None] * count)
    tables = [_Known(table) for table in known]
    columns = [items[name].to_pylist() for name in ("name", "split", "frame", "video")]
    for at, (name, split, frame, video) in enumerate(zip(*columns, strict=True)):
        if (row := next(filter(None, (here.find(name, split, frame, video) for here in tables)), None)) is not None:
            found.paths[at], found.sample_ids[at], found.sizes[at], found.frames[at], how = row
            _count(found, how)
        elif (upload := next(filter(None, (here.find_upload(name) for here in tables)), None)) is not None:
            found.paths[at], found.sample_ids[at], found.sizes[at] = upload
            _count(found, "by the name that they had before they were uploaded")
    taken = set(found.sample_ids)
    for name, numbers in _alone(found, columns[0]).items():
        base = next(filter(None, (here.find_base(name) for here in tables)), None)
        for at in numbers if base is not None and base[1] not in taken else ():
            assert base is not None  # noqa: S101 - as the loop says
            found.paths[at], found.sample_ids[at], found.sizes[at] = base
            _count(found, _BY_BASE)
    return found


def _find_uploads(
    found: Found, names: Sequence[str], inside: Names, outside: Names, beside: dict[str, str], here: _Known,
    archive: Archive, context: Context,
) -> None:  # fmt: skip
    """The images of items that are named as Label Studio names uploads. Two of one name are left: which is which is not clear."""
    missing = [at for at, path in enumerate(found.paths) if path is None and original_name(names[at]) is not None]
    counts = Counter(original_name(names[at]) for at in missing)
    for at in missing:
        name = names[at]
        if counts[original_name(name)] > 1:
            continue
        if (member := inside.find_upload(name)) is not None:
            found.paths[at] = _on_disk(archive, member, context)
        elif (base := outside.find_upload(name)) is not None:
            found.paths[at] = beside[base]
        elif (row := here.find_upload(name)) is not None:
            found.paths[at], found.sample_ids[at], found.sizes[at] = row
        else:
            continue
        _count(found, "by the name that they had before they were uploaded")


def _find_bases(
    found: Found, names: Sequence[str], inside: Names, outside: Names, beside: dict[str, str], here: _Known,
    archive: Archive, context: Context,
) -> None:  # fmt: skip
    """The images of items whose folders are other ones than those of the files, where base names are unique on both sides."""
    taken = set(found.paths)
    for name, numbers in _alone(found, names).items():
        if (member := inside.find_base(name)) is not None:
            path, sample_id, size = _on_disk(archive, member, context), None, None
        elif (base := outside.find_base(name)) is not None:
            path, sample_id, size = beside[base], None, None
        elif (row := here.find_base(name)) is not None:
            path, sample_id, size = row
        else:
            continue
        for at in numbers if path not in taken else ():
            found.paths[at], found.sample_ids[at], found.sizes[at] = path, sample_id, size
            _count(found, _BY_BASE)


def _alone(found: Found, names: Sequence[str]) -> dict[str, list[int]]:
    """The items without an image by name, where no other name has the same base name."""
    missing: dict[str, list[int]] = {}
    for at, path in enumerate(found.paths):
        if path is None:
            missing.setdefault(names[at], []).append(at)
    if not missing:
        return {}
    counts = Counter(_base(name) for name in set(names))
    return {name: numbers for name, numbers in missing.items() if counts[_base(name)] == 1}


def _base(name: str) -> str:
    return composed(name.replace("\\", "/")).rpartition("/")[2]


def _measure(found: Found) -> None:
    """The sizes of files, and the ids of samples that are new."""
    new = [at for at, path in enumerate(found.paths) if path is not None and found.sample_ids[at] is None]
    paths = [path for at in new if (path := found.paths[at]) is not None]
    for at, sample_id in zip(new, of_paths(paths), strict=True):
        found.sample_ids[at] = sample_id
    unknown = [
        at
        for at, path in enumerate(found.paths)
        if path is not None and found.sizes[at] is None and found.frames[at] is None
    ]
    headers = known_headers([path for at in unknown if (path := found.paths[at]) is not None])
    for at, header in zip(unknown, headers, strict=True):
        found.sizes[at] = header.shown if header is not None else None


def _count(found: Found, how: str) -> None:
    found.how[how] = found.how.get(how, 0) + 1


def _folder_names(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise InvalidSource(f"image_dir={str(folder)!r} is no folder; correct the path.")
    root, found = str(folder.absolute()), {}
    for place, folders, files in os.walk(root):
        folders.sort()
        within = place[len(root) + 1 :].replace(os.sep, "/")
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in PICTURES or _VIDEO.search(name):
                found[f"{within}/{name}" if within else name] = os.path.join(place, name)
    return found


def _on_disk(archive: Archive, name: str, context: Context) -> str:
    """The path of an image: that of its file, or of a copy of what is inside a zip."""
    path = archive.file_text(name)
    if path is not None:
        return path
    if context.media_folder is None:
        raise InvalidSource(
            f"The images of {str(archive.path)!r} are inside the archive; give media_dir= for the folder to unpack them into, or "
            "unpack the archive."
        )
    target = context.media_folder / name
    if not target.exists() or target.stat().st_size != archive.size(name):
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
    return str(target.absolute())


class _Known:
    """The samples of the dataset, by path, name, stem and frame number."""

    def __init__(self, known: pa.Table | None) -> None:
        rows = [] if known is None else known.select(KNOWN).to_pylist()
        self._rows = {(row["filepath"] or "").replace("\\", "/"): row for row in rows}
        images = [path for path, row in self._rows.items() if row["media_type"] != "video"]
        self._videos = [row for row in rows if row["media_type"] == "video"]
        self._names = Names(images)
        self._video_names = Names([path for path, row in self._rows.items() if row["media_type"] == "video"])
        self._by_frame: dict[int, list[str]] = defaultdict(list)
        for path in images:
            if number := _LAST_NUMBER.search(stem(path.rpartition("/")[2])):
                self._by_frame[int(number[1])].append(path)

    def find(
        self, name: str, split: str | None, frame: int | None, video: str | None = None
    ) -> tuple[str, str, tuple[int, int] | None, int | None, str] | None:
        """Path, id, size, frame number in a video, and how it was found."""
        if (path := self._names.find(name, split)) is not None:
            return (*self._row(path), None, "in the dataset, by name")
        if frame is None:
            return None
        if video is not None and (path := self._video_names.find(video, split)) is not None:
            return (*self._row(path), frame + 1, "in the dataset's videos, by their names")
        if len(self._videos) == 1 and (self._videos[0]["frames"] or frame + 1) > frame:
            return (
                *self._row(self._videos[0]["filepath"].replace("\\", "/")),
                frame + 1,
                "in the dataset's video, by frame number",
            )
        paths = self._by_frame.get(frame, [])
        return (*self._row(paths[0]), None, "in the dataset, by frame number") if len(paths) == 1 else None

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
