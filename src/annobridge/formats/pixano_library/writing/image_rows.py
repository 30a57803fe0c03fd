"""The rows of the table of images: the bytes or the address of each, its size, and a preview."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow as pa
from PIL import Image, ImageOps

from ....core.arrays import set_columns
from ... import media as formats_media
from ...media import Media
from ..codec import encode
from ..codec.checks import is_shown_unturned
from ..codec.layout import Layout
from .table_rows import NotShown, view_ids

_WEB = ("http://", "https://")  # addresses that a browser can open
_CURE = "mend or replace the file, or leave the sample out of the view"
_BATCH = 16  # images in memory
_PREVIEW = 64  # pixels, the longer side
_PREVIEW_MODES = ("L", "P", "RGB", "RGBA")
_THREADS = 4


def with_paths(samples: pa.Table, in_table: Media | None) -> pa.Table:
    """The samples with an empty ``filepath`` where their media are inside of a table (``in_table``), and so have no path."""
    if in_table is None:
        return samples
    return set_columns(samples, filepath=pa.array([""] * len(samples), pa.string()))


def image_rows(
    samples: pa.Table, media: Media, layout: Layout, schema: pa.Schema, not_shown: NotShown
) -> Iterator[pa.RecordBatch]:
    """The rows of some samples, a few at a time.

    Raises:
        InvalidMedia: an image cannot be read.
    """
    records = encode.record_ids(samples, layout)
    rows = samples.select(["sample_id", "filepath", "width", "height"]).to_pylist()
    for row, record, view in zip(rows, records.to_pylist(), view_ids(records).to_pylist(), strict=True):
        row["columns"] = {"id": view, "record_id": record, "logical_name": "image"}
    with ThreadPoolExecutor(_THREADS) as pool:
        for at in range(0, len(rows), _BATCH):
            found = list(pool.map(partial(_image_row, media), rows[at : at + _BATCH]))
            not_shown.unturned_images += sum(is_unturned for _, is_unturned in found)
            yield pa.RecordBatch.from_pylist([image for image, _ in found], schema=schema)


def _image_row(media: Media, row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The row of an image, and whether Pixano's page shows it unturned."""
    if not row["filepath"].startswith(_WEB):
        return _embedded(media, row)
    size = {"width": row["width"] or 0, "height": row["height"] or 0}
    no_pixels = {"preview": b"", "preview_format": "", "format": ""}
    return {**row["columns"], **size, "uri": row["filepath"], **no_pixels}, False


def _embedded(media: Media, row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    data = b"".join(formats_media.read_chunks(media, row["sample_id"], row["filepath"], _CURE))
    try:
        header = formats_media.read_header(io.BytesIO(data))
        with formats_media.open_image(io.BytesIO(data)) as image:
            format_ = image.format
            image.draft("RGB", (_PREVIEW, _PREVIEW))
            formats_media.decode_pixels(image)
            image.thumbnail((_PREVIEW, _PREVIEW))
            preview = ImageOps.exif_transpose(image) if header.orientation > 1 else image
            png = io.BytesIO()
            (preview if preview.mode in _PREVIEW_MODES else preview.convert("RGB")).save(png, "PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise formats_media.unreadable(row["sample_id"], row["filepath"], error, _CURE) from error
    pixels = {"raw_bytes": data, "preview": png.getvalue(), "preview_format": "png", "uri": ""}
    width, height = header.shown
    size = {"width": width, "height": height}
    return {**row["columns"], **pixels, **size, "format": format_ or ""}, is_shown_unturned(header)
