"""Ten thousand images with ten shapes of mixed types each, sent to a double of CVAT and loaded without edits: nothing may change.

    python benchmarks/cvat_round_trip.py [--images 10000] [--version 2.73.0]

The double runs in a process of its own, so that the figures are those of the bridge.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import measure

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 64, 48
FIELDS = {
    "boxes": {"type": "detections", "classes": ["car"], "attributes": {"note": {"type": "text"}}},
    "areas": {"type": "polygons", "classes": ["road"]},
    "lines": {"type": "polylines", "classes": ["lane"]},
    "points": {"type": "keypoints", "classes": ["nose"]},
    "masks": {"type": "instances", "classes": ["sign"]},
    "discs": {"type": "ellipses", "classes": ["wheel"]},
    "people": {"type": "skeletons", "classes": ["person"], "skeleton": {"labels": ["head", "foot"]}},
    "weather": {"type": "classification", "classes": ["sun", "rain"]},
    "number": {"type": "scalar"},
}


def sample(path: Path, number: int) -> Any:
    """An image with ten labels that differ from image to image."""
    import annobridge as ab

    at = (number % 97) / 200
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[5 : 15 + number % 20, 7:30] = True
    return ab.Sample(
        path,
        sample_id=f"{number:06d}",
        boxes=[
            ab.Detection("car", [at, 0.1, 1 / 3, 0.2], note=f"00{number}"),
            ab.Detection("car", [at, 0.5, 0.1, 0.2], rotation=33.3),
        ],
        areas=[ab.Polyline("road", [[(at, 0), (1, 0), (1, 1 / 3)], [(0, 0.5), (0.1, 0.5), (0.1, 0.7)]], filled=True)],
        lines=[ab.Polyline("lane", [[(at, 0.1), (0.7, 1 / 7)]])],
        points=[ab.Keypoint("nose", [(at, at), (np.nan, np.nan), (0.5, 0.5)])],
        masks=[ab.Detection("sign", mask=pixels)],
        discs=[ab.Ellipse("wheel", [at, 0.2, 0.1, 0.1])],
        people=[ab.Skeleton("person", [(at, 0.2), (0.3, 0.9)], [2, 1])],
        weather=ab.Classification("sun" if number % 2 else "rain"),
        number=ab.Scalar(number),
    )


@contextmanager
def double(version: str) -> Iterator[dict[str, str]]:
    """The double's address and the token of its administrator."""
    command = [sys.executable, "-m", "tests.doubles.cvat", "--version", version, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url, _, _, token = server.stdout.readline().split()
            yield {"url": url, "token": token}
        finally:
            server.terminate()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--images", type=int, default=10_000)
    p.add_argument("--version", default="2.73.0")
    args = p.parse_args()
    import annobridge as ab

    folder = Path(tempfile.mkdtemp(prefix="annobridge-bench-"))
    figures: dict[str, Any] = {}
    try:
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "one.png")  # one file for all: CVAT is given other names
        dataset = ab.create_dataset(folder / "dataset")
        for at in range(0, args.images, 1000):
            dataset.add_samples([sample(folder / "one.png", n) for n in range(at, min(at + 1000, args.images))])
        labels = dataset.count_labels()
        with double(args.version) as options:
            with measure.phase("annotate", figures):
                dataset.annotate("run", label_schema=FIELDS, backend="cvat", task_size=500, **options)
            with measure.phase("load", figures):
                report = dataset.load_annotations("run", **options)
        assert report.total == 0, report
        assert not report.refused, report
    finally:
        shutil.rmtree(folder)
    for stage in ("annotate", "load"):
        measure.report(f"mixed labels through CVAT {args.version}'s double: {stage}", figures[stage], labels)


if __name__ == "__main__":
    main()
