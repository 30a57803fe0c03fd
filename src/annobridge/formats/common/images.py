"""The image of each item: in the archive, in a folder that the caller names, or already in the dataset."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ...core.media import IMAGES, PICTURES
from ...exceptions import InvalidSource
from ..base import Calls
from ..base import Context as Context
from ..ids import of_paths
from .archive import Archive
from .look import look_at
from .path_lookup import BY_NUMBER, IS_VIDEO, KnownSamples, Names, Numbers, base_name, closeness, original_name

_PIECE = 1 << 20  # bytes of files that are compared at a time
_BY_BASE = "by their base names, in other folders than the labels say"


@dataclass(slots=True)
class Found:
    """The image of each item, by the item's number; ``None`` where there is none."""

    paths: list[str | None]
    sample_ids: list[str | None]
    sizes: list[tuple[int, int] | None]  # as shown
    frames: list[int | None]  # of items that are frames of a video: the number of the frame, from 1
    files: list[tuple[int, int] | None]  # bytes and fingerprint of those that were opened
    how: dict[str, int] = field(default_factory=dict)  # in words, as "by its name in image_dir" → items
    copies: set[str] = field(default_factory=set)  # images in the archive that the dataset has already

    @classmethod
    def nothing(cls, count: int) -> Found:
        """Nothing yet, for so many items."""
        return cls([None] * count, [None] * count, [None] * count, [None] * count, [None] * count)

    def table(self) -> pa.Table:
        """The columns sample_id, filepath, width, height, frame_number, size and fingerprint, with a row for each item."""
        widths = [size and size[0] for size in self.sizes]
        heights = [size and size[1] for size in self.sizes]
        lengths = [file and file[0] for file in self.files]
        contents = [file and file[1] for file in self.files]
        return pa.table({
            "sample_id": pa.array(self.sample_ids, pa.string()),
            "filepath": pa.array(self.paths, pa.string()),
            "width": pa.array(widths, pa.int32()),
            "height": pa.array(heights, pa.int32()),
            "frame_number": pa.array(self.frames, pa.int32()),
            "size": pa.array(lengths, pa.int64()),
            "fingerprint": pa.array(contents, pa.int64()),
        })  # fmt: skip


def image_names(archive: Archive) -> list[str]:
    """The images in an archive, by their suffixes."""
    return [
        name
        for suffix in sorted(archive.by_suffix)
        if suffix in IMAGES | PICTURES
        for name in archive.by_suffix[suffix]
    ]


def video_names(archive: Archive) -> list[str]:
    """The videos in an archive, by their suffixes."""
    return [name for name in archive.names if IS_VIDEO.search(name)]


def resolve(
    archive: Archive, items: pa.Table, images: Sequence[str], image_dir: Path | None, context: Context
) -> Found:
    """Find the image of each item (``ITEMS``). ``images`` are the names of images in the archive that samples can be."""
    count = items.num_rows
    found = Found.nothing(count)
    rows = list(zip(*(items[name].to_pylist() for name in ("name", "split", "frame", "file", "video")), strict=True))
    inside = Names(images)
    videos = Names(video_names(archive))
    sides = (items["width"].to_pylist(), items["height"].to_pylist())
    beside = _folder_names(image_dir) if image_dir is not None else {}
    outside = Names(beside)
    numbered = Numbers(path for path in beside if not IS_VIDEO.search(path))
    here = KnownSamples(context.known)
    for at, (name, split, frame, file, video) in enumerate(rows):
        is_inside = file in archive and not archive.is_embedded(file or "")
        if (member := file if is_inside else inside.find(name, split)) is not None:
            if (row := here.find(name, split, None)) is not None and _is_same_file(archive, member, row[0]):
                found.paths[at], found.sample_ids[at], found.sizes[at], _, how = row
                found.copies.add(member)
                _count(found, f"{how} and content")
            else:
                found.paths[at], found.sizes[at] = _on_disk(archive, member, context), archive.sizes.get(member)
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
        elif frame is not None and (base := numbered.find(frame, video)) is not None:
            found.paths[at] = beside[base]
            _count(found, "in image_dir, by frame number")
        elif (row := here.find(name, split, frame, video)) is not None:
            found.paths[at], found.sample_ids[at], found.sizes[at], found.frames[at], how = row
            _count(found, how)
        elif file is not None and archive.is_embedded(file):  # last: it may be a copy of an image that is elsewhere
            found.paths[at] = _on_disk(archive, file, context)
            _count(found, "in the label files")
    _find_uploads(found, [row[0] for row in rows], inside, outside, beside, here, archive, context)
    _find_bases(found, [row[0] for row in rows], inside, outside, beside, here, archive, context)
    _measure(found, context.calls)
    for at, (number, width, height) in enumerate(zip(found.frames, *sides, strict=True)):
        if number is not None and found.sizes[at] is None and width and height:
            found.sizes[at] = (width, height)  # a video is not opened; the format knows its size
    return found


def _is_same_file(archive: Archive, member: str, path: str) -> bool:
    """Whether a file of the archive has the content of a file on disk."""
    if not os.path.isfile(path) or os.path.getsize(path) != archive.size(member):
        return False
    with archive.open(member) as inside, open(path, "rb") as there:
        while piece := inside.read(_PIECE):
            if there.read(len(piece)) != piece:
                return False
    return True


def resolve_known(items: pa.Table, known: Sequence[pa.Table]) -> Found:
    """Find the sample of each item (``ITEMS``) among samples that are known (tables as in ``Context``). The first table that has it
    counts. Of items with different names or splits that fit one sample, the one that fits best is found, and no other. Images are
    found by frame numbers only if all items are found.
    """
    count = items.num_rows
    found = Found.nothing(count)
    first = next(
        (at for at, table in enumerate(known) if table.num_rows), 0
    )  # of which numbers of frames are those of names
    tables = [KnownSamples(table, at == first) for at, table in enumerate(known)]
    columns = [items[name].to_pylist() for name in ("name", "split", "frame", "video")]
    how: list[str | None] = [None] * count
    for at, (name, split, frame, video) in enumerate(zip(*columns, strict=True)):
        if (row := next(filter(None, (here.find(name, split, frame, video) for here in tables)), None)) is not None:
            found.paths[at], found.sample_ids[at], found.sizes[at], found.frames[at], how[at] = row
        elif (upload := next(filter(None, (here.find_upload(name) for here in tables)), None)) is not None:
            found.paths[at], found.sample_ids[at], found.sizes[at] = upload
            how[at] = "by the name that they had before they were uploaded"
    taken = set(found.sample_ids)
    for name, numbers in _alone(found, columns[0]).items():
        base = next(filter(None, (here.find_base(name) for here in tables)), None)
        for at in numbers if base is not None and base[1] not in taken else ():
            assert base is not None  # noqa: S101 - as the loop says
            found.paths[at], found.sample_ids[at], found.sizes[at] = base
            how[at] = _BY_BASE
    for at in {*_rivals(found, columns[0], columns[1]), *_of_other_videos(found, how)}:
        found.paths[at] = found.sample_ids[at] = found.sizes[at] = how[at] = None
    for way in filter(None, how):
        _count(found, way)
    return found


def _of_other_videos(found: Found, how: Sequence[str | None]) -> list[int]:
    """Items that were found by the number of a frame, where others were not found: they are frames of something else."""
    return [at for at, way in enumerate(how) if way == BY_NUMBER] if None in found.sample_ids else []


def _rivals(found: Found, names: Sequence[str], splits: Sequence[str | None]) -> list[int]:
    """Items of which another one fits the same sample better: ``val/a.jpg`` is not the sample ``train/a.jpg``."""
    fits: dict[str, dict[tuple[str, str | None], list[int]]] = {}
    for at, (sample_id, frame) in enumerate(zip(found.sample_ids, found.frames, strict=True)):
        if sample_id is not None and frame is None:
            fits.setdefault(sample_id, {}).setdefault((names[at], splits[at]), []).append(at)
    worse: list[int] = []
    for rivals in fits.values():
        if len(rivals) > 1:
            best = max(rivals, key=lambda key: closeness(key[0], key[1], found.paths[rivals[key][0]] or ""))
            worse += [at for key, group in rivals.items() if key != best for at in group]
    return worse


def _find_uploads(
    found: Found, names: Sequence[str], inside: Names, outside: Names, beside: dict[str, str], here: KnownSamples,
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
    found: Found, names: Sequence[str], inside: Names, outside: Names, beside: dict[str, str], here: KnownSamples,
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
    counts = Counter(base_name(name) for name in set(names))
    return {name: numbers for name, numbers in missing.items() if counts[base_name(name)] == 1}


def _measure(found: Found, calls: Calls) -> None:
    """The sizes and the content of files, and the ids of samples that are new."""
    new = [at for at, path in enumerate(found.paths) if path is not None and found.sample_ids[at] is None]
    paths = [path for at in new if (path := found.paths[at]) is not None]
    for at, sample_id in zip(new, of_paths(paths), strict=True):
        found.sample_ids[at] = sample_id
    unknown = [
        at
        for at, path in enumerate(found.paths)
        if path is not None and found.sizes[at] is None and found.frames[at] is None
    ]
    sizes, files = look_at([path for at in unknown if (path := found.paths[at]) is not None], calls)
    rows = (sizes[:, 0].tolist(), sizes[:, 1].tolist(), files["size"].to_pylist(), files["fingerprint"].to_pylist())
    for at, width, height, length, content in zip(unknown, *rows, strict=True):
        if width:
            found.sizes[at], found.files[at] = (width, height), (length, content)


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
            if os.path.splitext(name)[1].lower() in PICTURES or IS_VIDEO.search(name):
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
