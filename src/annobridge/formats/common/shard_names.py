"""Names of the files that a dataset is cut into, which say the split, and of images that are unpacked from them."""

from __future__ import annotations

import io
import re
from hashlib import blake2b

from ...core.media import PICTURES
from .. import media
from ..names import with_slashes
from .archive import Archive, is_safe_name

SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation"})
_NUMBERED = re.compile(r"(?P<stem>.*?)[-_.]?\d{1,9}(?P<of>[-_]of[-_]\d{1,9})?")
_NO_SPLITS = frozenset({"", "data", "dataset", "default", "part", "shard", "images"})
_HEADS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"BM": "bmp", b"RIFF": "webp", b"II*\0": "tif",
          b"MM\0*": "tif"}  # fmt: skip
_LONGEST = 1024  # characters of a name


def split_of(name: str) -> str | None:
    """The split that the name of a file says; ``None`` if it says none.

    >>> names = ("data/val-00000-of-00001.parquet", "default/test/0000.parquet", "coco-train-000001.tar", "data/0.tar", "all.tar")
    >>> [split_of(name) for name in names]
    ['val', 'test', 'train', None, None]
    """
    *folders, base = name.split("/")
    stem = base.partition(".")[0]
    numbered = _NUMBERED.fullmatch(stem)
    stem = numbered["stem"] if numbered else stem
    of = bool(numbered and numbered["of"])  # then the split is all of it, unless a name is before it
    if (last := re.split("-" if of else "[-_]", stem)[-1]).lower() in SPLITS:
        return last
    if of and stem.lower() not in _NO_SPLITS:
        return stem
    return next((folder for folder in reversed(folders) if folder.lower() in SPLITS), None)


def plain_name(path: str | None) -> str | None:
    """The path of an image as a name that stays in its folder; of an absolute one, its last part; ``None`` for no such name."""
    if not path:
        return None
    path = with_slashes(path)
    name = path if is_safe_name(path) else path.rpartition("/")[2]
    name = "/".join(part for part in name.split("/") if part not in ("", "."))
    is_hidden = any(part.startswith(".") for part in name.split("/"))
    return name if is_safe_name(name) and not is_hidden and len(name) < _LONGEST else None


class Unpacked:
    """Images that are unpacked from other files, each under a name of its own."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._taken: dict[str, bytes] = {}  # names with digests of the content

    def add(self, folder: str, name: str, data: bytes) -> tuple[str, tuple[int, int] | None]:
        """Write an image; returns its name in the archive, and its size if it is one. Of two with one name and other content, the
        second gets a number.
        """
        stem, dot, suffix = name.rpartition(".")
        if f".{suffix.lower()}" not in PICTURES or not dot:
            stem, suffix = name, next((suffix for head, suffix in _HEADS.items() if data.startswith(head)), "img")
        name, number, digest = f"{folder}/{stem}.{suffix}", 1, blake2b(data, digest_size=16).digest()
        while self._taken.get(name, digest) != digest:
            number += 1
            name = f"{folder}/{stem}_{number}.{suffix}"
        if name not in self._taken:
            self._taken[name] = digest
            self._archive.put(name, data, _size(data))
        return name, self._archive.sizes.get(name)


def _size(data: bytes) -> tuple[int, int] | None:
    try:
        return media.read_header(io.BytesIO(data)).shown
    except media.IMAGE_ERRORS:
        return None
