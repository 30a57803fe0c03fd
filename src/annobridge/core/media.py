"""Image or video: what the name of a file says."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})  # endings of file names
VIDEO = r"\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|ts|wmv|flv|3gp)$"


def media_types(places: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """``"image"`` or ``"video"`` for each path or URI.

    >>> media_types(pa.array(["a.jpg", "b.MP4", None])).to_pylist()
    ['image', 'video', 'image']
    """
    is_video = pc.match_substring_regex(places.cast(pa.string()), VIDEO, ignore_case=True)
    return pc.if_else(pc.fill_null(is_video, False), "video", "image")
