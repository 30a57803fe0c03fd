"""Datasets that a user has imported into Pixano by its own means."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image

from annobridge.backend.http import Http
from annobridge_pixano.api import Api

SIZES = {"a": (64, 48), "b": (32, 32), "c": (100, 50)}
SCHEMA: dict[str, Any] = {
    "views": {"image": "image"},
    "record": {"attrs": {"weather": "str", "file": "str", "speed": "int", "keys": {"type": "str", "collection": True}}},
    "entity": {"attrs": {"category": "str", "occluded": "bool", "plate": "str", "n": "int"}},
    "annotations": ["bbox", "multi_path", "mask", "keypoint"],
}
RING = [0.1, 0.1, 0.5, 0.1, 0.5, 0.5]
LINES: list[dict[str, Any]] = [
    {
        "id": "rec-a",
        "views": {"image": "a.png"},
        "attrs": {"weather": "sunny", "file": "drive/a.png", "speed": 3, "keys": ["x", "y"]},
        "entities": [
            {
                "id": "car-1",
                "attrs": {"category": "car", "occluded": True, "plate": "007", "n": 2},
                "annotations": [{"kind": "bbox", "id": "b1", "coords": [8, 12, 16, 6], "is_normalized": False}],
            },
            {
                "id": "bus-1",
                "attrs": {"category": "bus", "occluded": False},
                "annotations": [
                    {
                        "kind": "bbox",
                        "id": "b2",
                        "coords": [0.1, 0.1, 0.4, 0.4],
                        "format": "xyxy",
                        "is_normalized": True,
                    },
                    {"kind": "multi_path", "id": "p2", "coords": RING, "num_points": [3], "is_closed": True},
                ],
            },
        ],
    },
    {"id": "rec-b", "views": {"image": "b.png"}, "attrs": {"weather": "rain", "file": "drive/b.png", "speed": 0}},
    {
        "id": "rec-c",
        "views": {"image": "c.png"},
        "attrs": {"file": "drive/c.png"},
        "entities": [
            {
                "attrs": {"category": "car"},
                "annotations": [{"kind": "bbox", "id": "b3", "coords": [0.5, 0.5, 0.25, 0.25], "is_normalized": True}],
            }
        ],
    },
]


def picture(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (9, 9, 9)).save(stream, "PNG")
    return stream.getvalue()


def imported(
    url: str,
    name: str,
    schema: dict[str, Any] | None = None,
    lines: list[dict[str, Any]] | None = None,
    media: str = "embed",
) -> str:
    """Import a dataset, as Pixano's page does; returns its id."""
    with Http(url, backend="pixano") as http:
        api = Api(http)
        upload, source = api.open_upload()
        spec = {
            "dataset": {"name": name, "workspace": "image"},
            "format": "pixano_jsonl",
            "schema": schema or SCHEMA,
            "media": {"mode": media},
        }
        header = {"$pixano": "jsonl/2", "defaults": {"bbox": {"format": "xywh"}}}
        api.put_file(
            upload, "dataset.yaml", json.dumps({**spec, "ids": {"policy": "explicit", "namespace": "x"}}).encode()
        )
        for file, size in SIZES.items() if media == "embed" else ():
            api.put_file(upload, f"train/{file}.png", picture(size))
        text = "\n".join(map(json.dumps, [header, *(LINES if lines is None else lines)]))
        api.put_file(upload, "train/metadata.jsonl", text.encode())
        return api.finish(api.start(api.analyze(source)), 60.0)
