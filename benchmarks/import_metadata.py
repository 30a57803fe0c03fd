"""Import 100,000 images with a million boxes from ``metadata.jsonl`` into a new dataset.

    python benchmarks/import_metadata.py --images 100000 --boxes 10 [--dialect file_name] [--folder /tmp/images]

The images are hard links to one JPEG of 64×48 pixels; a folder that is given is made once and kept. CPU is that of all
processes, with the sizes from the headers, all checks, and what Lance writes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loky import get_reusable_executor
from PIL import Image

import measure
from annobridge.io.import_dataset import import_dataset

WIDTH, HEIGHT = 64, 48
LINKS = 10_000  # to one file; some file systems allow few more
DIALECTS = ("file_name", "pixano", "pixano-0.8")
CLASSES = ("car", "person", "bicycle", "traffic light")


def make(folder: Path, images: int, boxes: int, dialect: str) -> Path:
    """Write the images and ``metadata.jsonl`` into a folder, unless it exists."""
    target = folder / f"{dialect}-{images}-{boxes}"
    if (target / "metadata.jsonl").is_file():
        return target
    (target / "images").mkdir(parents=True, exist_ok=True)
    for number in range(images):
        path = target / "images" / f"{number:06d}.jpg"
        if number % LINKS == 0:
            Image.new("RGB", (WIDTH, HEIGHT)).save(path)
            first = path
        else:
            os.link(first, path)
    with (target / "metadata.jsonl").open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines(images, boxes, dialect))
    return target


def lines(images: int, boxes: int, dialect: str) -> Iterator[dict[str, Any]]:
    """A line for each image: boxes with a class and one attribute, in the coordinates that are usual in the dialect."""
    rng = random.Random(0)
    for number in range(images):
        found = [
            [x := rng.uniform(0, 0.8), y := rng.uniform(0, 0.8), rng.uniform(0.01, 1 - x), rng.uniform(0.01, 1 - y)]
            for _ in range(boxes)
        ]
        named = rng.choices(CLASSES, k=boxes)
        hidden = [rng.random() < 0.2 for _ in range(boxes)]
        image, source = f"images/{number:06d}.jpg", ("dashcam", "drone")[number % 2]
        if dialect == "pixano":
            rounded = [[round(v, 4) for v in box] for box in found]
            yield {
                "image": image,
                "source": source,
                "objects": {"bboxes": rounded, "category": named, "hidden": hidden},
            }
        elif dialect == "file_name":
            pixels = [[round(v * s, 2) for v, s in zip(box, (WIDTH, HEIGHT) * 2, strict=True)] for box in found]
            yield {
                "file_name": image,
                "source": source,
                "objects": {"bbox": pixels, "categories": named, "hidden": hidden},
            }
        else:
            entities = [
                {"attrs": {"category": c, "hidden": h}, "annotations": [{"kind": "bbox", "coords": b, **_EXPLICIT}]}
                for b, c, h in zip(found, named, hidden, strict=True)
            ]
            yield {"id": f"{number:06d}", "attrs": {"source": source}, "views": {"image": image}, "entities": entities}


_EXPLICIT = {"format": "xywh", "is_normalized": True}


def run(dialect: str, args: argparse.Namespace) -> None:
    """Import one dialect in this process, and report the figures."""
    with tempfile.TemporaryDirectory() as scratch:
        source = make(args.folder or Path(scratch) / "source", args.images, args.boxes, dialect)
        import_dataset(
            make(Path(scratch) / "warm", 1, 1, dialect), Path(scratch) / "warmed", format="folder", progress=False
        )
        figures: dict[str, Any] = {}
        with measure.phase("import", figures):
            report = import_dataset(
                source, Path(scratch) / "dataset", format="folder", workers=args.workers, progress=False
            )
    get_reusable_executor().shutdown()
    figures["import"]["cpu_s"] = round(figures["import"]["cpu_s"] + measure.cpu_of_children(), 3)
    count = sum(report.labels.values())
    note = f"{count / figures['import']['cpu_s']:,.0f} boxes per CPU second"
    several = f", {args.workers} workers" if args.workers > 1 else ""
    measure.report(f"import of {dialect}: {report.samples:,} images{several}", figures["import"], count, note=note)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--images", type=int, default=100_000)
    p.add_argument("--boxes", type=int, default=10)
    p.add_argument("--dialect", choices=DIALECTS, help="one of them; by default all, each in a process of its own")
    p.add_argument("--workers", type=int, default=1, help="of one dialect; of all, with one and with two")
    p.add_argument("--folder", type=Path, help="where the images are made, and kept")
    args = p.parse_args()
    if args.dialect:
        run(args.dialect, args)
        return
    for dialect in DIALECTS:
        for workers in ("1", "2"):
            command = [sys.executable, __file__, "--dialect", dialect, "--workers", workers, *sys.argv[1:]]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
