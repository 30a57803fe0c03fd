"""Sources for the contract, of formats that do not write what it compares: those that are read only, and those of few labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.formats.label_files import files, image
from tests.formats.test_mask_formats import png

from annobridge.core.geometry import encode_rle

_MASK = np.zeros((50, 100), np.uint8)
_MASK[10:20, 30:60] = 255


def _segment_anything(folder: Path) -> Path:
    image(folder / "a.jpg")
    counts = encode_rle(_MASK)["counts"].decode()
    masks = [{"id": n, "segmentation": {"size": [50, 100], "counts": counts}, "predicted_iou": 0.5} for n in (1, 2)]
    about = {"image_id": 1, "file_name": "a.jpg", "width": 100, "height": 50}
    return files(folder, {"a.json": json.dumps({"image": about, "annotations": masks})})


def _mvtec(folder: Path) -> Path:
    for name in ("train/good/000.png", "test/good/000.png", "test/broken/000.png"):
        image(folder / name)
    return files(folder, {"ground_truth/broken/000_mask.png": png(_MASK)})


def _fiftyone_csv(folder: Path) -> Path:
    image(folder / "data/a.jpg")
    return files(folder, {"labels.csv": 'filepath,tags,scene.label,scene.confidence\na.jpg,"train,x",day,0.5\n'})


def _csv_boxes(folder: Path) -> Path:
    image(folder / "train/a.jpg")
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    return files(
        folder, {"train/_annotations.csv": f'{header}a.jpg,100,50,"big, bus",10,5,30,15\na.jpg,100,50,car,1,2,3,4\n'}
    )


def _via(folder: Path) -> Path:
    image(folder / "a.jpg")
    shape = {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 10}
    regions = [{"shape_attributes": shape, "region_attributes": {"label": "car", "colour": "red"}}]
    about = {"filename": "a.jpg", "size": 1, "regions": regions, "file_attributes": {}}
    return files(folder, {"via.json": json.dumps({"_via_settings": {}, "_via_img_metadata": {"a.jpg1": about}})})


def _market_1501(folder: Path) -> Path:
    for name in ("bounding_box_train/0002_c1s3_000151_00.jpg", "query/0002_c2s3_000111_00.jpg"):
        image(folder / name)
    return files(
        folder, {"images_train.txt": "bounding_box_train/0002_c1s3_000151_00.jpg\nquery/0002_c2s3_000111_00.jpg\n"}
    )


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    "segment-anything": _segment_anything, "mvtec": _mvtec, "fiftyone-csv": _fiftyone_csv, "csv-boxes": _csv_boxes,
    "via": _via, "market-1501": _market_1501,
}  # fmt: skip
