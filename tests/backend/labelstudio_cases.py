"""What the tests of Label Studio's backend share: a dataset, a run of it on a double, and a person at the tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.contract.labelstudio_hands import Editor
from tests.labelstudio_servers import Server

from annobridge.bridge.results import AnnotationResults
from annobridge.core.rows import Detection, Label, Sample
from annobridge.dataset import Dataset, create_dataset

SCHEMA: dict[str, Any] = {
    "objects": {
        "type": "detections", "classes": ["car", "bus"],
        "attributes": {"colour": {"type": "select", "values": ["red", "blue"]}, "note": {"type": "text"}},
    }
}  # fmt: skip
BOX = [0.1, 0.2, 0.3, 0.4]
SIZE = (64, 48)


def images(folder: Path, count: int) -> list[Path]:
    """Images of different colours, and so of different bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        pixels = np.full((SIZE[1], SIZE[0], 3), (number % 256, number // 256, 9), np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


def dataset(folder: Path, labels: list[Label] | None = None, count: int = 2, field: str = "objects") -> Dataset:
    """A dataset whose every image has these labels; by default a red car."""
    made = create_dataset(folder / "dataset")
    given = [Detection("car", BOX, colour="red", note="a")] if labels is None else labels
    samples = [
        Sample(path, sample_id=f"s{n}", **{field: given} if given else {})
        for n, path in enumerate(images(folder / "images", count))
    ]
    made.add_samples(samples)
    return made


def annotate(server: Server, made: Dataset, schema: dict[str, Any] | None = None, **options: Any) -> AnnotationResults:
    """Send the dataset as the run ``"run"``."""
    return made.annotate(
        "run",
        backend="labelstudio",
        label_schema=SCHEMA if schema is None else schema,
        progress=False,
        **server.options() | options,
    )


def editor(server: Server, results: AnnotationResults) -> Editor:
    """A person at the tool."""
    return Editor(server, results)


def load(server: Server, made: Dataset, **arguments: Any) -> Any:
    """Load the run."""
    return made.load_annotations("run", progress=False, **server.options() | arguments)


def tasks(server: Server, results: AnnotationResults) -> list[dict[str, Any]]:
    """The tasks of the project, with all that they have."""
    project = next(iter(results.receipts())).state["project"]
    found: list[dict[str, Any]] = server.call("GET", f"/api/tasks?project={project}&fields=all&page_size=100000")[
        "tasks"
    ]
    return found


def make_project(server: Server, config: str, title: str = "Streets") -> int:
    """A project that somebody made in the tool."""
    return int(server.call("POST", "/api/projects", json={"title": title, "label_config": config})["id"])
