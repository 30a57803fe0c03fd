"""What the tests of CVAT send: images of one size, and the schema of their boxes."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT = 64, 48
OBJECTS: dict[str, Any] = {
    "type": "detections",
    "classes": ["car", "person"],
    "attributes": {
        "plate": {"type": "text"},
        "hidden": {"type": "checkbox"},
        "side": {"type": "select", "values": ["left", "right"]},
    },
}
