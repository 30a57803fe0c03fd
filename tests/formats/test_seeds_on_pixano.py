"""What the documents of Pixano, opsml and Hugging Face show, imported, sent to a real Pixano server, edited there, and loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import annobridge as ab
from annobridge_pixano.annotator import ScriptedAnnotator

from .metadata_cases import OPSML, OPSML_SIZE, folder, street_objects
from .test_metadata_vqa import VQA

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Seed:
    make: Callable[[Path], Path]
    samples: int
    labels: dict[str, int]
    schema: dict[str, Any]
    options: dict[str, Any]


def vqa_data(root: Path) -> Path:
    folder(root / "train", ("image_001.jpg", "image_002.jpg"), VQA)
    folder(root / "val", ("image_003.jpg",), [{"image": "image_003.jpg", "conversations": []}])
    return root


def opsml(root: Path) -> Path:
    return folder(root, ("0001.png", "0002.png", "0003.png"), OPSML, OPSML_SIZE)


def imagefolder(root: Path) -> Path:
    lines = [
        {
            "file_name": "a.jpg",
            "text": "two",
            "objects": {"bbox": [[4, 8, 16, 12], [0, 0, 64, 48]], "categories": ["x", "y"]},
        },
        {"file_name": "b.jpg", "text": None, "objects": {"bbox": [], "categories": []}},
    ]
    return folder(root, ("a.jpg", "b.jpg"), lines)


BOXES = {"objects": {"type": "detections"}}
SEEDS = {
    "street_objects": Seed(street_objects, 5, {"objects": 3}, BOXES, {}),
    "vqa_data": Seed(vqa_data, 3, {"conversations": 8}, {"conversations": {"type": "messages"}}, {}),
    "opsml": Seed(opsml, 3, {"objects": 4}, BOXES, {"classes": ["mask", "glove", "coverall"]}),
    "imagefolder": Seed(imagefolder, 2, {"objects": 2}, BOXES, {}),
}


@pytest.mark.parametrize("name", SEEDS)
def test_there_and_back(name: str, tmp_path: Path, pixano_url: str) -> None:
    seed = SEEDS[name]
    report = ab.import_dataset(seed.make(tmp_path / name), tmp_path / "ds", **seed.options)
    assert (report.samples, report.labels) == (seed.samples, seed.labels)
    ds = report.dataset
    before = ds.labels().to_pylist()
    run = ds.annotate(name, label_schema=seed.schema, backend="pixano", url=pixano_url)
    assert ds.plan_annotations(name, url=pixano_url).total == 0
    annotator, server = ScriptedAnnotator(pixano_url), str(run.receipts()[0].state["dataset"])
    try:
        if "objects" in seed.labels:
            annotator.move(server, annotator.rows(server, "bboxes")[0]["id"], [0.25, 0.25, 0.5, 0.5])
        else:
            message = next(
                r for r in annotator.rows(server, "messages") if r["type"] == "ANSWER" and r["content"] == "red"
            )
            annotator._edit(server, "messages", message["id"], "content", "green")
    finally:
        annotator.close()
    loaded = ds.load_annotations(name, url=pixano_url, cleanup=True)
    assert (loaded.added, loaded.edited, loaded.deleted) == (0, 1, 0)
    after = {r["label_id"]: r for r in ds.labels().to_pylist()}
    changed = [r for r in before if after[r["label_id"]] != r]
    assert len(changed) == 1
    now = after[changed[0]["label_id"]]
    assert now["bounding_box"] == [0.25, 0.25, 0.5, 0.5] if "objects" in seed.labels else now["value"] == '"green"'
