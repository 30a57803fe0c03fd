"""An archive that a person exported in CVAT, in the place of CVAT itself: "CVAT for images 1.1" and COCO as CVAT writes them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, OBJECTS, WIDTH
from tests.cvat_servers import Server

import annobridge as ab
from annobridge_cvat import CvatBackend


@pytest.fixture
def results(tmp_path: Path, server: Server) -> Iterator[ab.AnnotationResults]:
    """Three images with a car and a person each, sent to CVAT."""
    ds = ab.create_dataset(tmp_path / "dataset")
    for n in range(3):
        Image.new("RGB", (WIDTH, HEIGHT), (60 * n, 90, 120)).save(tmp_path / f"view {n}.png")
    ds.add_samples(
        ab.Sample(
            tmp_path / f"view {n}.png",
            sample_id=f"s{n}",
            objects=[
                ab.Detection("car", [0.1, 0.1, 1 / 3, 0.3], label_id=f"car{n}", plate="007", hidden=True),
                ab.Detection("person", [0.6, 0.2, 0.123456789, 0.5], label_id=f"man{n}", rotation=12.5),
            ],
        )
        for n in range(3)
    )
    options = {"url": server.url, "token": server.token}
    yield ds.annotate("run", label_schema={"objects": OBJECTS}, backend="cvat", progress=False, **options)
    ds.abort_annotation("run", **options)


def names(results: ab.AnnotationResults) -> dict[str, str]:
    """The name of each sample's file, which has the number of its frame before its own."""
    return {sample: name for name, sample in file_names(results).items() if not name.startswith("frame_")}


def file_names(results: ab.AnnotationResults) -> dict[str, str]:
    (receipt,) = results.receipts()
    return dict(CvatBackend.file_names(receipt))


def box(label: str, x: float, y: float, width: float, height: float, turn: float = 0, **values: str) -> str:
    """An element as CVAT writes it: two digits, and every attribute, set or not."""
    given = {"plate": "", "hidden": "false", "side": "", **values}
    numbers = {"xtl": x * WIDTH, "ytl": y * HEIGHT, "xbr": (x + width) * WIDTH, "ybr": (y + height) * HEIGHT}
    places = " ".join(f'{name}="{number:.2f}"' for name, number in numbers.items())
    rotation = f' rotation="{turn:.2f}"' if turn else ""
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in given.items())
    return f'<box label="{label}" source="manual" occluded="0" {places}{rotation} z_order="0">{inner}</box>'


def exported(path: Path, images: dict[str, list[str]]) -> Path:
    elements = "".join(
        f'<image id="{n}" name="{name}" width="{WIDTH}" height="{HEIGHT}">{"".join(boxes)}</image>'
        for n, (name, boxes) in enumerate(images.items())
    )
    with zipfile.ZipFile(path, "w") as archive:
        text = f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{elements}</annotations>'
        archive.writestr("annotations.xml", text)
    return path


CAR = box("car", 0.1, 0.1, 1 / 3, 0.3, plate="007", hidden="true")
MAN = box("person", 0.6, 0.2, 0.123456789, 0.5, turn=12.5)


def test_names_are_those_of_the_files_in_cvat(results: ab.AnnotationResults) -> None:
    assert names(results) == {f"s{n}": f"00000{n}_view {n}.png" for n in range(3)}
    assert {f"frame_00000{n}": f"s{n}" for n in range(3)}.items() <= file_names(results).items()


def test_an_export_that_nobody_edited_changes_nothing(
    results: ab.AnnotationResults, tmp_path: Path, ds: ab.Dataset
) -> None:
    path = exported(tmp_path / "a.zip", {name: [MAN, CAR] for name in names(results).values()})
    report = ds.load_annotations("run", path=path)
    assert (report.total, len(report.unexpected), len(report.refused), report.version) == (0, 0, 0, None)


def test_edits_in_an_export(results: ab.AnnotationResults, tmp_path: Path, ds: ab.Dataset) -> None:
    first, second, third = names(results).values()
    moved = box("car", 0.12, 0.1, 1 / 3, 0.3, plate="008", hidden="false", side="left")
    turned = box("person", 0.6, 0.2, 0.123456789, 0.5, turn=40)
    images = {first: [moved, MAN], second: [CAR, turned, box("car", 0.3, 0.6, 0.2, 0.2)], third: [CAR]}
    report = ds.load_annotations("run", path=exported(tmp_path / "a.zip", images))
    assert (report.added, report.edited, report.deleted) == (1, 2, 1)
    rows = {row["label_id"]: row for row in ds.labels().to_pylist()}
    assert {a["name"]: json.loads(a["value"]) for a in rows["car0"]["attributes"]} == {
        "plate": "008", "hidden": False, "side": "left"
    }  # fmt: skip
    assert rows["car0"]["bounding_box"][1:] == [0.1, pytest.approx(1 / 3, abs=2e-4), 0.3]
    assert (rows["man1"]["rotation"], rows["man1"]["bounding_box"]) == (40.0, [0.6, 0.2, 0.123456789, 0.5])
    assert "man2" not in rows
    assert ds.load_annotations("run", path=tmp_path / "a.zip").version is None


def test_a_coco_export_has_no_rotation_and_no_attributes(
    results: ab.AnnotationResults, tmp_path: Path, ds: ab.Dataset
) -> None:
    """Other tools write COCO without them; the classes and boxes are taken."""
    boxes = {"car": (1, [6.4, 4.8, 21.33, 14.4]), "person": (2, [38.4, 9.6, 7.9, 24.0])}
    images = [
        {"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT} for n, name in enumerate(names(results).values())
    ]
    annotations = [
        {"id": 2 * n + k, "image_id": n, "category_id": category, "bbox": bbox, "iscrowd": 0, "area": 1}
        for n in range(3) for k, (category, bbox) in enumerate(boxes.values())
    ]  # fmt: skip
    annotations[0]["category_id"] = 2
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "person"}]
    path = tmp_path / "instances_default.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    report = ds.load_annotations("run", path=path)
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    rows = {row["label_id"]: row for row in ds.labels().to_pylist()}
    assert (rows["car0"]["label"], rows["car0"]["bounding_box"]) == ("person", [0.1, 0.1, 1 / 3, 0.3])
    assert all(rows[f"man{n}"]["rotation"] == 12.5 for n in range(3))
    assert len(rows["car1"]["attributes"]) == 2


@pytest.fixture
def ds(results: ab.AnnotationResults, tmp_path: Path) -> ab.Dataset:
    return ab.load_dataset(tmp_path / "dataset")
