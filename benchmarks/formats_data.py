"""The data sets of ``formats.py``: the same shapes as COCO, CVAT XML and YOLO. Images are hard links to one small JPEG."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 640, 480
CLASSES = tuple(f"class {n:02d}" for n in range(20))
KINDS = ("boxes", "polygons")
FORMATS = ("coco", "cvat", "yolo")
_LINKS = 10_000  # to one file; some file systems allow few more
_POINTS = 12  # of a polygon
_DONE = "done"


def make(folder: Path, images: int, each: int, kind: str) -> dict[str, Path]:
    """Write the data sets, unless they are there; returns the folder of each format."""
    places = {name: folder / f"{kind}-{images}x{each}" / name for name in FORMATS}
    for name, place in places.items():
        if (done := place.parent / f"{name}.{_DONE}").exists():
            continue
        place.mkdir(parents=True)
        pictures = place / "images" / ("train" if name == "yolo" else "")
        _make_images(pictures, images)
        {"coco": _write_coco, "cvat": _write_cvat, "yolo": _write_yolo}[name](place, _shapes(images, each, kind))
        done.touch()
    return places


def _make_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        path = folder / f"{number:06d}.jpg"
        if number % _LINKS == 0:
            Image.new("RGB", (WIDTH, HEIGHT)).save(path, quality=30)
            first = path
        else:
            os.link(first, path)


def _shapes(images: int, each: int, kind: str) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Number, classes and positions of each image: corners of boxes, or points of polygons; pixels with two decimals."""
    rng = np.random.default_rng(0)
    size = np.array([WIDTH, HEIGHT])
    angles = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    for number in range(images):
        start = rng.uniform(0, 0.7, (each, 2))
        end = start + rng.uniform(0.02, 0.29, (each, 2))
        positions = np.stack([start, end], axis=1)
        if kind == "polygons":
            radius = rng.uniform(0.4, 0.5, (each, _POINTS, 1)) * (end - start)[:, None]
            positions = (start + end)[:, None] / 2 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        yield number, rng.integers(0, len(CLASSES), each), np.round(positions * size, 2)


def _write_coco(folder: Path, shapes: Iterator[tuple[int, np.ndarray, np.ndarray]]) -> None:
    images, annotations = [], []
    for number, classes, positions in shapes:
        images.append({"id": number + 1, "file_name": f"{number:06d}.jpg", "width": WIDTH, "height": HEIGHT})
        for name, points in zip(classes.tolist(), positions, strict=True):
            low, extent = points.min(axis=0), np.round(np.ptp(points, axis=0), 2)
            annotations.append({
                "id": len(annotations) + 1, "image_id": number + 1, "category_id": name + 1,
                "segmentation": [] if len(points) == 2 else [points.ravel().tolist()],
                "area": round(float(extent.prod()), 2), "bbox": [*low.tolist(), *extent.tolist()], "iscrowd": 0,
            })  # fmt: skip
    categories = [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(CLASSES, 1)]
    (folder / "annotations").mkdir()
    document = {"images": images, "categories": categories, "annotations": annotations}
    (folder / "annotations" / "instances_default.json").write_bytes(msgspec.json.encode(document))


def _write_cvat(folder: Path, shapes: Iterator[tuple[int, np.ndarray, np.ndarray]]) -> None:
    labels = "".join(f"<label><name>{name}</name><attributes></attributes></label>\n" for name in CLASSES)
    with (folder / "annotations.xml").open("w") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write(f"  <meta><task><name>all</name><labels>\n{labels}</labels></task></meta>\n")
        for number, classes, positions in shapes:
            file.write(f'  <image id="{number}" name="{number:06d}.jpg" width="{WIDTH}" height="{HEIGHT}">\n')
            for name, points in zip(classes.tolist(), positions.tolist(), strict=True):
                tag = "box" if len(points) == 2 else "polygon"
                common = f'<{tag} label="{CLASSES[name]}" source="manual" occluded="0"'
                if tag == "box":
                    (left, top), (right, bottom) = points
                    where = f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"'
                else:
                    where = 'points="' + ";".join(f"{x},{y}" for x, y in points) + '"'
                file.write(f'    {common} {where} z_order="0">\n    </{tag}>\n')
            file.write("  </image>\n")
        file.write("</annotations>\n")


def _write_yolo(folder: Path, shapes: Iterator[tuple[int, np.ndarray, np.ndarray]]) -> None:
    names = "".join(f"  {n}: {name}\n" for n, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/train\nnames:\n{names}")
    (folder / "labels" / "train").mkdir(parents=True)
    for number, classes, positions in shapes:
        relative = positions / (WIDTH, HEIGHT)
        if relative.shape[1] == 2:
            relative = np.stack([relative.mean(axis=1), np.ptp(relative, axis=1)], axis=1)
        values = relative.reshape(len(classes), -1).tolist()
        lines = [
            " ".join([str(name), *(f"{v:.6f}" for v in row)])
            for name, row in zip(classes.tolist(), values, strict=True)
        ]
        (folder / "labels" / "train" / f"{number:06d}.txt").write_text("\n".join(lines) + "\n")
