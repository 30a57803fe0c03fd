"""A file of labels as the answer of a tool: the same as if the work had come over the tool's API."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import annobridge as ab
from annobridge.backend.memory import SERVERS, MemoryBackend
from annobridge.core.geometry import encode_rle
from annobridge.exceptions import (
    Conflict,
    InvalidOption,
    InvalidSource,
    MergeError,
    StalePlan,
    StoreError,
    UnexpectedLabels,
)

from annobridge.formats import registry
from tests.formats.label_files import image, packed

from .conftest import Bridge

FORMATS = ("coco", "cvat", "yolo", "voc", "datumaro", "createml", "segmentation-mask", "kitti")
SIZE = (200, 100)
ROAD = [(0.05, 0.6), (1 / 3, 0.6), (0.3, 0.9), (0.05, 0.95)]
SCHEMA: dict[str, Any] = {
    "objects": {
        "type": "detections",
        "classes": ["car", "person"],
        "attributes": {
            "color": {"type": "select", "values": ["red", "blue"]},
            "parked": {"type": "checkbox", "default": False},
            "wheels": {"type": "int"},
        },
    },
    "areas": {"type": "polygons", "classes": ["road", "grass"]},
    "lanes": {"type": "polylines", "classes": ["lane", "edge"]},
    "weather": {"type": "classification", "classes": ["sun", "rain"]},
    "things": {"type": "instances", "classes": ["dog", "cat"]},
}


def blob(x: int, y: int, radius: int = 12) -> dict[str, Any]:
    """The mask of a disc."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    return dict(encode_rle((columns - x) ** 2 + (rows - y) ** 2 < radius**2))


def fill(ds: ab.Dataset, folder: Path, names: list[str]) -> None:
    """Images, each with two cars, a person, a piece of road, a lane, the weather and a dog. Ids: car0, bus0, man0, road0, …"""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (40, 90, 60)).save(folder / name)
    ds.add_samples(
        ab.Sample(
            str(folder / name),
            sample_id=f"s{i}",
            objects=[
                ab.Detection("car", [0.1, 0.1, 0.3, 1 / 3], label_id=f"car{i}", color="red", parked=True, wheels=4),
                ab.Detection("car", [0.55, 0.1, 0.3, 1 / 3], label_id=f"bus{i}", color="blue", parked=False, note="x"),
                ab.Detection("person", [0.5, 0.6, 0.1, 0.2], label_id=f"man{i}"),
            ],
            areas=ab.Polyline("road", [ROAD], filled=True, label_id=f"road{i}"),
            lanes=ab.Polyline("lane", [[(0.1, 0.5), (0.4, 2 / 3), (0.9, 0.5)]], label_id=f"lane{i}"),
            weather=ab.Classification("sun", label_id=f"sun{i}"),
            things=ab.Detection("dog", mask=blob(160, 75), label_id=f"dog{i}"),
        )
        for i, name in enumerate(names)
    )  # fmt: skip


@pytest.fixture(scope="module")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    fill(ab.create_dataset(folder / "ds"), folder / "images", [f"cam/{i}.png" for i in range(4)])
    return folder / "ds"


@pytest.fixture
def street(_template: Path, tmp_path: Path) -> Any:
    shutil.copytree(_template, tmp_path / "ds")
    bridge = Bridge(tmp_path / "ds", ab.load_dataset(tmp_path / "ds"))
    yield bridge
    SERVERS.pop(bridge.url, None)


def copied(bridge: Bridge) -> ab.Dataset:
    """The dataset once more: what a person works on at their own desk."""
    target = bridge.path.parent / "desk"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(bridge.path, target)
    return ab.load_dataset(target)


def exported(desk: ab.Dataset, target: Path, format_: str, view: ab.View | None = None, **options: Any) -> Path:
    """A dataset, or a view of it, as a zip in a format, without media."""
    folder = target.with_suffix("")
    ab.export_dataset(view or desk, folder, format=format_, save_media=False, progress=False, **options)
    return packed(folder, target)


# --- nothing was edited ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_nobody_edited_changes_nothing(street: Bridge, tmp_path: Path, format_: str) -> None:
    street.annotate(schema=SCHEMA)
    before = street.labels()
    report = street.again_is_nothing(path=exported(copied(street), tmp_path / "a.zip", format_))
    assert street.labels() == before
    notes = "\n".join(report.notes)
    assert f"{tmp_path / 'a.zip'}' as {registry.get(format_).title}." in notes
    assert "4 images were found in the dataset, by name." in notes
    assert "by place and class matched with those that were sent, 0 new; 0 that were sent are not in it." in notes
    if format_ == "createml":  # boxes and classes of images
        assert "4 polygons that were sent stay as they are, as the file does not hold such labels" in notes


HARD: dict[str, Any] = {
    "objects": {"type": "detections", "classes": ["car"], "attributes": {"occluded": {"type": "checkbox"}}},
    "areas": {"type": "polygons", "classes": ["road"]},
    "lanes": {"type": "polylines", "classes": ["lane"]},
    "rings": {"type": "ellipses", "classes": ["ring"]},
    "parts": {"type": "keypoints", "classes": ["hand"]},
}
HOLE = [(0.6, 0.6), (0.9, 0.6), (0.9, 0.95), (0.6, 0.95)], [(0.7, 0.7), (0.8, 0.7), (0.8, 0.8), (0.7, 0.8)]
TWO = [(0.05, 0.6), (0.1, 0.6), (0.1, 0.9)], [(0.4, 0.6), (0.45, 0.6), (0.45, 0.9)]


@pytest.fixture
def hard(tmp_path: Path) -> Any:
    """One image with labels of which most formats lose something: turned, in parts, with holes, tracks, hidden points."""
    image(tmp_path / "images" / "a.png", *SIZE)
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample(
        str(tmp_path / "images" / "a.png"), sample_id="s0",
        objects=[
            ab.Detection("car", [0.3, 0.1, 0.3, 0.1], label_id="turned", rotation=33.3333, confidence=0.5),
            ab.Detection("car", [0.7, 0.1, 0.05, 1 / 3], label_id="steep", rotation=90.0, index=7),
            ab.Detection("car", [0.05, 0.1, 0.1, 0.2], label_id="plain", index=3, tags=["mine"]),
        ],
        areas=[ab.Polyline("road", list(HOLE), filled=True, label_id="hole"),
               ab.Polyline("road", list(TWO), filled=True, label_id="two")],
        lanes=[ab.Polyline("lane", [[(0.2, 0.5), (0.4, 0.55), (0.5, 0.4)]], closed=True, label_id="closed")],
        rings=[ab.Ellipse("ring", [0.2, 0.2, 0.1, 0.1], rotation=20.0, label_id="ring")],
        parts=[ab.Keypoint("hand", [(0.6, 0.3), (0.65, 0.5), (0.62, 0.55)], visibility=[2, 1, 2], label_id="hand")],
    )])  # fmt: skip
    bridge = Bridge(tmp_path / "ds", ds)
    yield bridge
    SERVERS.pop(bridge.url, None)


@pytest.mark.parametrize("field", HARD)
@pytest.mark.parametrize("format_", [*FORMATS, "yolo-1.1", "dota"])
def test_what_a_format_cannot_hold_is_no_change(hard: Bridge, tmp_path: Path, format_: str, field: str) -> None:
    hard.annotate(schema={field: HARD[field]})
    desk = copied(hard)
    for other in HARD.keys() - {field}:
        desk.delete_labels(field=other)
    path = exported(desk, tmp_path / "a.zip", format_)
    before = hard.labels()
    report = hard.load(path=path, format=format_, unexpected="ignore")
    assert (report.changes, len(report.refused), len(report.unexpected)) == (0, 0, 0), report
    assert hard.labels() == before
