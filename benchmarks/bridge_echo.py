"""What the bridge itself costs, with a tool that costs next to nothing: the echo tool of ``echo_backend.py``.

    python benchmarks/bridge_echo.py --images 1000 10000 100000

For each number of images and each mode it runs three stages, each in a process of its own so that their memory is measured apart:
``build`` makes a dataset with boxes, ``annotate`` sends it to the tool, ``load`` loads what the tool's rule made of it, and checks
the counts. It prints a line for each stage, and ``--json FILE`` appends the figures to a file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

import echo_store
import measure
from echo_backend import TOOL_SECONDS

STAGES = ("build", "annotate", "load")
FIELD = {"new": "annotated", "edit": "ground_truth"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000])
    parser.add_argument("--per-image", type=int, default=10, help="labels of each image")
    parser.add_argument("--modes", nargs="+", default=list(FIELD), choices=list(FIELD))
    parser.add_argument("--json", type=Path, help="append the figures of each stage to this file, as lines of JSON")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)  # what a process of its own is to run
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        figures = run_stage(args.stage, args.modes[0], args.images[0], args.per_image, args.folder)
        print(json.dumps(figures))
        return 0 if figures.get("check", {}).get("ok", True) else 1
    return run_all(args)


def run_all(args: argparse.Namespace) -> int:
    """Run each stage in a process of its own; 1 if one of them fails."""
    with tempfile.TemporaryDirectory() as folder:
        for images in args.images:
            for mode in args.modes:
                for stage in STAGES:
                    command = [
                        sys.executable, __file__, "--stage", stage, "--modes", mode, "--images", str(images),
                        "--per-image", str(args.per_image), "--folder", folder,
                    ]  # fmt: skip
                    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
                    if done.returncode:
                        print(f"{mode} {images} {stage} failed. {done.stdout}")
                        return 1
                    figures = json.loads(done.stdout)
                    _print(figures)
                    if args.json:
                        with args.json.open("a") as file:
                            file.write(json.dumps(figures) + "\n")
    return 0


def _print(figures: dict[str, Any]) -> None:
    stage = figures[figures["stage"]]
    memory = stage["rss_peak_mib"] - stage["rss_start_mib"]
    tool = sum(figures["tool_s"].values())
    print(
        f"{figures['images']:>9,} {figures['mode']:5} {figures['stage']:9} {stage['cpu_s']:8.2f} CPU s, "
        f"of which the tool {tool:6.2f}  {memory:6.0f} MiB  {figures.get('check', '')}",
        flush=True,
    )


def run_stage(stage: str, mode: str, images: int, per_image: int, folder: Path) -> dict[str, Any]:
    """Run one stage in this process, and return its figures."""
    import annobridge as ab

    _ = ab.Dataset  # imports LanceDB, which is not to be measured
    ab.annotation_config.backends["echo"] = {"config_cls": "echo_backend.EchoConfig"}
    figures: dict[str, Any] = {"stage": stage, "mode": mode, "images": images, "per_image": per_image}
    uri = folder / f"{mode}-{images}"
    if stage == "build":
        with measure.phase("build", figures):
            build(uri, images, per_image)
    elif stage == "annotate":
        dataset = ab.load_dataset(uri)
        with measure.phase("annotate", figures):
            dataset.annotate(
                "run", label_field=FIELD[mode], label_type="detections", classes=echo_store.CLASSES, attributes=False,
                backend="echo", folder=str(uri), mode=mode, per_image=per_image,
            )  # fmt: skip
    else:
        dataset = ab.load_dataset(uri)
        with measure.phase("load", figures):
            report = dataset.load_annotations("run", unexpected="ignore")
        found = {"labels": dataset.count_labels(FIELD[mode]), "edited": report.edited}
        figures["check"] = found | {"ok": found == echo_store.expected(mode, images, per_image)}
        shutil.rmtree(uri)
    return figures | {"tool_s": {method: round(seconds, 3) for method, seconds in TOOL_SECONDS.items()}}


def build(uri: Path, images: int, per_image: int) -> None:
    """A dataset of images with ``per_image`` boxes each in the field ``ground_truth``. Their files are not needed."""
    import annobridge as ab

    ids = [f"{i:07d}" for i in range(images)]
    paths = [str(uri.parent / "images" / f"{i}.jpg") for i in ids]
    dataset = ab.create_dataset(uri)
    dataset.add_samples(pa.table({"sample_id": ids, "filepath": paths}))
    schema = pa.schema({
        "sample_id": pa.string(), "label": pa.string(), "bounding_box": pa.list_(pa.float64(), 4),
    })  # fmt: skip
    dataset.add_labels("ground_truth", pa.RecordBatchReader.from_batches(schema, _labels(schema, images, per_image)))


def _labels(schema: pa.Schema, images: int, per_image: int, step: int = 5_000) -> Iterator[pa.RecordBatch]:
    for start in range(0, images, step):
        numbers = range(start * per_image, min(start + step, images) * per_image)
        flat = pa.array([value for n in numbers for value in echo_store.box_of(n)], pa.float64())
        columns = [
            pa.array([f"{n // per_image:07d}" for n in numbers]),
            pa.array([echo_store.class_of(n) for n in numbers]),
            pa.FixedSizeListArray.from_arrays(flat, 4),
        ]
        yield pa.record_batch(columns, schema=schema)


if __name__ == "__main__":
    sys.exit(main())
