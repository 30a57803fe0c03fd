"""Folders of images with lines, as people have them, and what a reader makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from annobridge.exceptions import InvalidSource
from annobridge.formats.folder import FolderFormat
from annobridge.formats.metadata.options import Reading
from annobridge.formats.metadata.reading.source import FolderSource

SIZE = (64, 48)
STREET = [
    {
        "image": "img_001.jpg",
        "image_source": "dashcam",
        "objects": {"bboxes": [[0.12, 0.25, 0.15, 0.30], [0.55, 0.10, 0.20, 0.45]], "category": ["car", "pedestrian"]},
    },
    {
        "image": "img_002.jpg",
        "image_source": "dashcam",
        "objects": {"bboxes": [[0.30, 0.40, 0.08, 0.12]], "category": ["bicycle"]},
    },
    {"image": "img_003.jpg", "image_source": "drone"},
]
OPSML = [
    {"file_name": "0001.png", "objects": {"bbox": [[302.0, 109.0, 73.0, 52.0]], "categories": [0]}},
    {"file_name": "0002.png", "caption": "This is a second value of a text feature you added to your images"},
    {"file_name": "0002.png", "objects": {"bbox": [[810.0, 100.0, 57.0, 28.0]], "categories": [1]}},
    {
        "file_name": "0003.png",
        "objects": {"bbox": [[160.0, 31.0, 248.0, 616.0], [741.0, 68.0, 202.0, 401.0]], "categories": [2, 2]},
    },
]
OPSML_SIZE = (943, 663)


def image(path: Path, size: tuple[int, int] = SIZE) -> Path:
    """One small image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)
    return path


def folder(
    root: Path,
    names: Sequence[str] = ("a.jpg",),
    lines: Sequence[Any] | str | None = None,
    size: tuple[int, int] = SIZE,
) -> Path:
    """A folder of images, with its lines: objects, or texts as they stand."""
    for name in names:
        image(root / name, size)
    if lines is not None:
        texts = (
            lines
            if isinstance(lines, str)
            else "".join(f"{v if isinstance(v, str) else json.dumps(v)}\n" for v in lines)
        )
        (root / "metadata.jsonl").write_text(texts)
    return root


def street_objects(root: Path) -> Path:
    """The quickstart's folder: two splits, of which one has lines."""
    folder(root / "train", ("img_001.jpg", "img_002.jpg", "img_003.jpg"), STREET)
    folder(root / "val", ("img_004.jpg", "img_005.jpg"))
    return root


def opened(root: Path, **options: Any) -> FolderSource:
    """A folder as the format looks at it."""
    return FolderFormat().open(root, Reading(**options))


def contents(source: FolderSource) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All samples, and all labels less what is null, with the name of their image instead of its id."""
    parts = list(source.parts())
    assert len({tuple(p.samples.schema) for p in parts}) == 1
    samples = pa.concat_tables([p.samples for p in parts]).to_pylist()
    assert len(samples) == source.count
    names = {row["sample_id"]: Path(row["filepath"]).name for row in samples}
    for row in samples:
        row["name"] = names[row["sample_id"]]
    labels = []
    for part in parts:
        inside = set(part.samples["sample_id"].to_pylist())
        for row in part.labels.to_pylist():
            assert row["sample_id"] in inside
            label = {k: v for k, v in row.items() if v is not None and k != "sample_id"}
            labels.append({**label, "image": names[row["sample_id"]], "attributes": attributes(row)})
    return samples, labels


def attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a label as a dictionary."""
    return {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}


def labels_of(root: Path, **options: Any) -> list[dict[str, Any]]:
    """The labels of a folder."""
    return contents(opened(root, **options))[1]


def samples_of(root: Path, **options: Any) -> list[dict[str, Any]]:
    """The samples of a folder."""
    return contents(opened(root, **options))[0]


def refused(root: Path, **options: Any) -> str:
    """The sentence with which a folder is refused."""
    with pytest.raises(InvalidSource) as caught:
        opened(root, **options)
    return str(caught.value)
