"""Images on their way into a table: their bytes or address, their size, and a small picture for lists."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow as pa
from PIL import Image, ImageOps

from annobridge.formats import media as opening
from annobridge.formats.media import Media

from .. import wire
from ..arrays import setting
from ..images import unturned
from ..layout import Layout
from .rows import Told, view_ids

WEB = ("http://", "https://")  # what a browser can show by itself
_CURE = "mend or replace the file, or leave the sample out of the view"
_AT_ONCE = 16  # images in memory
_PREVIEW = 64  # pixels, the longer side
_MODES = ("L", "P", "RGB", "RGBA")
_THREADS = 4


def placed(samples: pa.Table, inside: Media | None) -> pa.Table:
    """Samples whose media lie inside of a table are nowhere else: their ``filepath`` is ``""``."""
    if inside is None:
        return samples
    return setting(samples, filepath=pa.array([""] * len(samples), pa.string()))


def rows(samples: pa.Table, media: Media, layout: Layout, schema: pa.Schema, told: Told) -> Iterator[pa.RecordBatch]:
    """The image rows of some samples, a few at a time. Raises ``InvalidMedia`` for an image that cannot be read."""
    records = wire.record_of(samples, layout)
    plain = samples.select(["sample_id", "filepath", "width", "height"]).to_pylist()
    for row, record, view in zip(plain, records.to_pylist(), view_ids(records).to_pylist(), strict=True):
        row.update(id=view, record_id=record)
    with ThreadPoolExecutor(_THREADS) as pool:
        for at in range(0, len(plain), _AT_ONCE):
            found = list(pool.map(partial(_made, media), plain[at : at + _AT_ONCE]))
            told.unturned += sum(not turns for _, turns in found)
            yield pa.RecordBatch.from_pylist([made for made, _ in found], schema=schema)


def _made(media: Media, row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The row of an image, and whether Pixano's page shows it as it is meant."""
    if not row["filepath"].startswith(WEB):
        return _embedded(media, row)
    size = {"width": row["width"] or 0, "height": row["height"] or 0}
    return {**_row(row), **size, "uri": row["filepath"], "preview": b"", "preview_format": "", "format": ""}, True


def _embedded(media: Media, row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    data = b"".join(opening.pieces(media, row["sample_id"], row["filepath"], _CURE))
    try:
        header = opening.read_header(io.BytesIO(data))
        with opening.open_image(io.BytesIO(data)) as image:
            format_ = image.format
            image.draft("RGB", (_PREVIEW, _PREVIEW))
            opening.decode_pixels(image)
            image.thumbnail((_PREVIEW, _PREVIEW))
            preview = ImageOps.exif_transpose(image) if header.orientation > 1 else image
            small = io.BytesIO()
            (preview if preview.mode in _MODES else preview.convert("RGB")).save(small, "PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise opening.unreadable(row["sample_id"], row["filepath"], error, _CURE) from error
    found = {"raw_bytes": data, "preview": small.getvalue(), "preview_format": "png", "uri": ""}
    width, height = header.shown
    return {**_row(row), **found, "width": width, "height": height, "format": format_ or ""}, not unturned(header)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "record_id": row["record_id"], "logical_name": "image"}
