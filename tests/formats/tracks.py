"""Videos and sequences of images with labels on their frames, for tests of formats that have tracks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.formats.label_files import image

from annobridge.core.labels import LABELS
from annobridge.core.rows import attributes
from annobridge.formats.base import Part
from annobridge.formats.common.file_format import FileFormat

SAMPLES = pa.schema([
    ("sample_id", pa.string()), ("filepath", pa.string()), ("media_type", pa.string()), ("width", pa.int32()),
    ("height", pa.int32()), ("frames", pa.int32()), ("fps", pa.float64()), ("split", pa.string()),
])  # fmt: skip


def video(path: Path, sample_id: str = "v", **values: Any) -> dict[str, Any]:
    """A video; its file is none, as no format opens it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no video")
    return {
        "sample_id": sample_id,
        "filepath": str(path),
        "media_type": "video",
        "width": 100,
        "height": 50,
        "frames": 9,
    } | values


def sequence(folder: Path, names: Iterable[str], **values: Any) -> list[dict[str, Any]]:
    """Images in a folder; their ids are not in the order of their names."""
    paths = [image(folder / name) for name in names]
    rows = [
        {"sample_id": f"s{-n % 7}{path.name}", "filepath": str(path), "media_type": "image", "width": 100, "height": 50}
        | values
        for n, path in enumerate(paths)
    ]
    return sorted(rows, key=lambda row: row["sample_id"])


def label(sample: Mapping[str, Any] | str, frame: int | None = None, **values: Any) -> dict[str, Any]:
    """A label, by default a box of a car."""
    given = attributes(values.pop("attributes", {}))
    box = None if "points" in values or "mask" in values else [0.1, 0.2, 0.3, 0.4]
    sample_id = sample if isinstance(sample, str) else sample["sample_id"]
    field = "objects" if frame is None else "frames.objects"
    return {
        "sample_id": sample_id, "field": field, "frame_number": frame, "kind": "box", "label": "car", "bounding_box": box,
        "attributes": given, "rev": 1,
    } | values  # fmt: skip


def part(samples: list[dict[str, Any]], labels: list[dict[str, Any]]) -> Part:
    """Samples with their labels as they come out of a dataset."""
    rows = [{"label_id": f"{n:032x}"} | row for n, row in enumerate(labels)]
    return Part(pa.Table.from_pylist(samples, schema=SAMPLES), pa.Table.from_pylist(rows, schema=LABELS))


def written(format_: FileFormat, folder: Path, parts: Part | list[Part], **options: Any) -> list[str]:
    """Write an export; returns its notes."""
    assert format_.writing is not None
    folder.mkdir(parents=True)
    return format_.write(parts if isinstance(parts, list) else [parts], folder, format_.writing(**options))


def known(*samples: Mapping[str, Any]) -> pa.Table:
    """Samples of a dataset, as ``Context`` has them."""
    return pa.Table.from_pylist([dict(row) for row in samples], schema=SAMPLES)
