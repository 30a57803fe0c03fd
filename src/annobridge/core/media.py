"""Media: how files of samples are opened, and which are images or videos by their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc


class Media(Protocol):
    """The media of some samples, wherever they are."""

    def open(self, sample_id: str) -> BinaryIO:
        """A binary stream of the file's bytes; the caller closes it. Raises ``FileNotFoundError``."""

    def path(self, sample_id: str) -> Path | None:
        """The local file, or ``None`` when it is not on this machine's disk."""


IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})  # endings of file names
MAX_PIXELS = "ANNOBRIDGE_MAX_IMAGE_PIXELS"  # the setting: how many pixels of an image may be decoded
CACHE = "ANNOBRIDGE_MEDIA_CACHE"  # the setting: the folder of files that are read by URI, or "off"
CACHE_SIZE = "ANNOBRIDGE_MEDIA_CACHE_SIZE"  # the setting: how large it may be, as "20GB"
# Endings of image files, whether or not Pillow can decode them (some need plug-ins).
PICTURES = IMAGES | {
    *(
        ".apng",
        ".avif",
        ".avifs",
        ".cur",
        ".dds",
        ".dib",
        ".exr",
        ".fits",
        ".hdr",
        ".heic",
        ".heics",
        ".heif",
        ".hif",
        ".icns",
    ),
    *(
        ".ico",
        ".j2c",
        ".j2k",
        ".jfi",
        ".jfif",
        ".jif",
        ".jp2",
        ".jpc",
        ".jpe",
        ".jpf",
        ".jpx",
        ".jxl",
        ".pbm",
        ".pcx",
        ".pfm",
    ),
    *(".pgm", ".pnm", ".ppm", ".psd", ".qoi", ".sgi", ".svg", ".tga", ".wbmp", ".xbm", ".xpm", ".dcm", ".nii"),
}
# Raw files of cameras, of which Pillow decodes only a small preview.
RAW = frozenset({
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef"),
    *(".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
})  # fmt: skip
VIDEO = r"\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|ts|wmv|flv|3gp)$"
_LOGIN = re.compile(r"://[^/]*@")


def media_types(places: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """``"image"`` or ``"video"`` for each path or URI.

    >>> media_types(pa.array(["a.jpg", "b.MP4", None])).to_pylist()
    ['image', 'video', 'image']
    """
    is_video = pc.match_substring_regex(places.cast(pa.string()), VIDEO, ignore_case=True)
    return pc.if_else(pc.fill_null(is_video, False), "video", "image")


def without_secrets(place: str) -> str:
    """A path, or a URI without its query and login, which may be secrets; for messages.

    >>> without_secrets("https://me:word@host/a.png?signature=s")
    'https://host/a.png'
    """
    return _LOGIN.sub("://", re.split(r"[?#]", place, maxsplit=1)[0], 1) if "://" in place else place
