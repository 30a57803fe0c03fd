"""Exports are read by the programs that they are for, without changes.

Each test needs one of them, and is skipped without it:
``pip install pycocotools supervision datumaro datasets labelme motmetrics``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import annobridge as ab
from annobridge.core.geometry import decode_rle, encode_rle

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

SIZE = (64, 48)
CLASSES = ["bus", "car"]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> ab.Dataset:
    """Three images with names that are no trouble to anyone; boxes, polygons and masks of two classes on two of them."""
    folder = tmp_path_factory.mktemp("street")
    (folder / "images" / "train").mkdir(parents=True)
    for n in range(3):
        Image.effect_noise(SIZE, 60 + n).convert("RGB").save(folder / "images" / "train" / f"im_{n}.jpg")
    ds = ab.import_dataset(folder / "images", folder / "data.lancedb").dataset
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[10:30, 20:44] = True
    for n, sample_id in enumerate(ds.sample_ids()[:2]):
        label = {"sample_id": sample_id, "label": CLASSES[n]}
        box = {"kind": "box", "bounding_box": [0.125, 0.25, 0.25, 0.5]}
        ring = [[0.25, 0.25], [0.75, 0.25], [0.5, 0.75]]
        polygon = {"kind": "polygon", "points": [ring], "closed": True, "filled": True}
        ds.add_labels(
            "boxes", [{**label, **box}, {**label, **box, "label": "car", "bounding_box": [0.5, 0.5, 0.25, 0.25]}]
        )
        ds.add_labels("polygons", [{**label, **polygon}])
        ds.add_labels("masks", [{**label, "kind": "mask", "mask": encode_rle(mask)}])
        ds.add_labels("classes", [{**label, "kind": "classification"}])
    return ds


def test_pycocotools_reads_boxes_and_masks(street: ab.Dataset, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    street.export(tmp_path / "coco", "coco", fields=["boxes", "masks"], classes=["car", "bus"])
    found = coco.COCO(str(tmp_path / "coco" / "annotations" / "instances_train.json"))
    assert [c["name"] for c in found.loadCats(found.getCatIds())] == ["car", "bus"]
    assert len(found.getImgIds()) == 3
    annotations = found.loadAnns(found.getAnnIds())
    assert (
        sorted(a["bbox"] for a in annotations if not a.get("segmentation"))
        == [[8.0, 12.0, 16.0, 24.0]] * 2 + [[32.0, 24.0, 16.0, 12.0]] * 2
    )
    (mask,) = street.labels("masks").to_arrow().slice(0, 1)["mask"].to_pylist()
    segmented = [found.annToMask(a) for a in annotations if a.get("segmentation")]
    assert len(segmented) == 2
    assert all((one.astype(bool) == decode_rle(mask)).all() for one in segmented)


def test_pycocotools_evaluates_results(street: ab.Dataset, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    street.export(tmp_path / "coco", "coco", fields="boxes")
    truth = coco.COCO(str(tmp_path / "coco" / "annotations" / "instances_train.json"))
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.9}
        for a in truth.loadAnns(truth.getAnnIds())
    ]
    run = evaluation.COCOeval(truth, truth.loadRes(results), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert run.stats[0] == pytest.approx(1.0)


def _from_coco(sv: Any, at: Path) -> Any:
    return sv.DetectionDataset.from_coco(str(at / "images" / "train"), str(at / "annotations" / "instances_train.json"))


def _from_yolo(sv: Any, at: Path, **options: bool) -> Any:
    folders = [str(at / name / "train") for name in ("images", "labels")]
    return sv.DetectionDataset.from_yolo(*folders, str(at / "data.yaml"), **options)


def _from_voc(sv: Any, at: Path) -> Any:
    return sv.DetectionDataset.from_pascal_voc(str(at / "JPEGImages"), str(at / "Annotations"))


def _from_createml(sv: Any, at: Path) -> Any:
    return sv.DetectionDataset.from_createml(str(at / "train"), str(at / "train" / "_annotations.createml.json"))


SUPERVISION = {"coco": _from_coco, "yolo": _from_yolo, "voc": _from_voc, "createml": _from_createml}


@pytest.mark.parametrize("format_name", SUPERVISION)
def test_supervision_reads_boxes(street: ab.Dataset, tmp_path: Path, format_name: str) -> None:
    sv = pytest.importorskip("supervision")
    street.export(tmp_path / "out", format_name, fields="boxes")
    found = SUPERVISION[format_name](sv, tmp_path / "out")
    boxes = sorted(
        (found.classes[detections.class_id[n]], *np.round(detections.xyxy[n]).tolist())
        for _, _, detections in found for n in range(len(detections))
    )  # fmt: skip
    wanted = [("bus", 8, 12, 24, 36), ("car", 8, 12, 24, 36), *[("car", 32, 24, 48, 36)] * 2]
    assert [box[0] for box in boxes] == [box[0] for box in wanted]
    # supervision takes pixels of VOC to count from 1, while CVAT and datumaro, whose files ours are like, count from 0.
    off = np.abs(np.array([box[1:] for box in boxes]) - np.array([box[1:] for box in wanted]))
    assert off.max() <= (format_name == "voc")


def test_supervision_reads_polygons_of_yolo(street: ab.Dataset, tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    street.export(tmp_path / "out", "yolo", fields="polygons")
    found = _from_yolo(sv, tmp_path / "out", force_masks=True)
    areas = [int(mask.sum()) for _, _, detections in found for mask in (detections.mask if len(detections) else ())]
    assert areas == pytest.approx([384, 384], abs=60)


DATUMARO = {  # format → (its name in datumaro, fields, annotations that it finds by class)
    "coco": ("coco", "boxes", {"bus": 1, "car": 3}),
    "datumaro": ("datumaro", "boxes", {"bus": 1, "car": 3}),
    "cvat": ("cvat", "boxes", {"bus": 1, "car": 3}),
    "voc": ("voc", "boxes", {"bus": 1, "car": 3}),
    "yolo-1.1": ("yolo", "boxes", {"bus": 1, "car": 3}),
    "yolo": ("yolo", "boxes", {"bus": 1, "car": 3}),
    "kitti": ("kitti_detection", "boxes", {"bus": 1, "car": 3}),
    "imagenet": ("imagenet_with_subset_dirs", "classes", {"bus": 1, "car": 1}),
    "imagenet-txt": ("imagenet_txt", "classes", {"bus": 1, "car": 1}),
    "labelme-3.0": ("label_me", "polygons", {"bus": 1, "car": 1}),
    "open-images": ("open_images", "boxes", {"bus": 1, "car": 3}),
    "dota": ("dota", "boxes", {"bus": 1, "car": 3}),
    "camvid": ("camvid", "masks", {"bus": 1, "car": 1}),
    "segmentation-mask": ("voc_segmentation", "masks", {"bus": 1, "car": 1}),
    "mot": ("mot_seq", "boxes", {"bus": 1, "car": 3}),
    "mots": ("mots", "masks", {"bus": 1, "car": 1}),
}


@pytest.mark.parametrize("format_name", DATUMARO)
def test_datumaro_reads_it(street: ab.Dataset, tmp_path: Path, format_name: str) -> None:
    dm = pytest.importorskip("datumaro")
    name, field, wanted = DATUMARO[format_name]
    street.export(tmp_path / "out", format_name, fields=field)
    found = dm.Dataset.import_from(str(tmp_path / "out"), name)
    labels = found.categories()[dm.AnnotationType.label]
    counts: dict[str, int] = {}
    for item in found:
        for annotation in item.annotations:
            if annotation.label is not None and labels[annotation.label].name != "background":
                counts[labels[annotation.label].name] = counts.get(labels[annotation.label].name, 0) + 1
    assert counts == wanted


def test_motmetrics_reads_tracks(street: ab.Dataset, tmp_path: Path) -> None:
    motmetrics = pytest.importorskip("motmetrics")
    street.export(tmp_path / "out", "mot", fields="boxes")
    (path,) = (tmp_path / "out").rglob("gt.txt")
    found = motmetrics.io.loadtxt(path, fmt="mot16", min_confidence=-1)
    assert sorted(zip(found["ClassId"], found["Width"], strict=True)) == [(1, 16), (2, 16), (2, 16), (2, 16)]
    assert found.index.get_level_values("FrameId").tolist() == [1, 1, 2, 2]


def test_hugging_face_reads_folders_of_classes(
    street: ab.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", exc_type=ImportError)
    street.match_labels("classes").export(tmp_path / "out", "imagenet", fields="classes")
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    rows = next(iter(found.values()))
    assert sorted(rows.features["label"].int2str(row["label"]) for row in rows) == ["bus", "car"]
