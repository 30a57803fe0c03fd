"""What the bridge itself costs, with a tool that costs next to nothing: the echo tool of ``echo_backend.py``.

    python benchmarks/bridge_echo.py --images 1000 10000 100000

For each number of images and each mode it runs three stages, each in a process of its own so that their memory is measured apart:
``build`` makes a dataset with boxes, ``annotate`` sends it to the tool, ``load`` loads what the tool's rule made of it, and checks
the counts. With ``--fiftyone``, the same is done in FiftyOne, of which only the labels are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import thread_time
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
    parser.add_argument("--fiftyone", metavar="PYTHON", help="a Python that has FiftyOne, to be measured too")
    parser.add_argument("--most", type=int, default=10_000, help="images up to which FiftyOne is measured (10000)")
    parser.add_argument("--workers", type=int, default=1, help="processes; the tool's time is known with 1 only (1)")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)  # what a process of its own is to run
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        figures = run_stage(args.stage, args.modes[0], args.images[0], args.per_image, args.folder, args.workers)
        print(json.dumps(figures))
        return 0 if figures.get("check", {}).get("ok", True) else 1
    return run_all(args)


def run_all(args: argparse.Namespace) -> int:
    """Run each stage in a process of its own; 1 if one of them fails."""
    own = [sys.executable, __file__, "--workers", str(args.workers)]
    peer = [args.fiftyone, str(Path(__file__).parent / "peers/fiftyone_echo.py")]
    sizes = [(own, images) for images in args.images]
    if args.fiftyone:
        sizes += [(peer, images) for images in args.images if images <= args.most]
    failed = False
    for product, images in sizes:
        for mode in args.modes:
            with tempfile.TemporaryDirectory() as folder:
                options = [
                    "--modes",
                    mode,
                    "--images",
                    str(images),
                    "--per-image",
                    str(args.per_image),
                    "--folder",
                    folder,
                ]
                # The stages after one that failed have nothing to start from.
                failed |= not all(
                    _run([*product, "--stage", stage, *options], mode == args.modes[0]) for stage in STAGES
                )
    return int(failed)


def _run(command: list[str], is_first: bool) -> bool:
    """Run one stage in a process of its own, and report its figures, of ``build`` only once; whether its result was right."""
    # As the command line of annobridge has it, and with bytecode, as an installed package has it.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    if not done.stdout or done.returncode:
        print(f"{' '.join(command[2:6])} failed. {done.stdout}")
        return False
    figures = json.loads(done.stdout.splitlines()[-1])
    stage, images = figures["stage"], figures["images"]
    if stage == "build" and not is_first:
        return True
    what = "build" if stage == "build" else f"{stage}, {'a new field' if figures['mode'] == 'new' else 'edits'}"
    measure.report(
        f"{what}: {images:,} images", figures[stage], images * figures["per_image"], tool_s=sum(figures["tool_s"].values()),
        product=figures.get("product", "annobridge"), note=figures.get("note", ""),
    )  # fmt: skip
    return True


def run_stage(stage: str, mode: str, images: int, per_image: int, folder: Path, workers: int) -> dict[str, Any]:
    """Run one stage in this process, and return its figures."""
    import annobridge as ab

    _ = ab.Dataset  # imports LanceDB, which is not to be measured
    ab.annotation_config.backends["echo"] = {"config_cls": "echo_backend.EchoConfig"}
    figures: dict[str, Any] = {"stage": stage, "mode": mode, "images": images, "per_image": per_image}
    uri = folder / f"{mode}-{images}"
    if stage == "build":
        samples = _samples(uri, images)
        with measure.phase("build", figures):
            _build(uri, samples, per_image)
    elif stage == "annotate":
        dataset = ab.load_dataset(uri)
        with measure.phase("annotate", figures):
            dataset.annotate(
                "run", label_field=FIELD[mode], label_type="detections", classes=echo_store.CLASSES, attributes=False,
                backend="echo", folder=str(uri), mode=mode, per_image=per_image, workers=workers,
            )  # fmt: skip
    else:
        dataset = ab.load_dataset(uri)
        with measure.phase("load", figures):
            report = dataset.load_annotations("run", unexpected="ignore", workers=workers)
        found = {"labels": dataset.count_labels(FIELD[mode]), "edited": report.edited}
        figures["check"] = found | {"ok": found == echo_store.expected(mode, images, per_image)}
        shutil.rmtree(uri)
    return figures | {"tool_s": {method: round(seconds, 3) for method, seconds in TOOL_SECONDS.items()}}


def build(uri: Path, images: int, per_image: int) -> None:
    """A dataset of images with ``per_image`` boxes each in the field ``ground_truth``. Their files are not needed."""
    _build(uri, _samples(uri, images), per_image)


def _samples(uri: Path, images: int) -> pa.Table:
    ids = [f"{i:07d}" for i in range(images)]
    return pa.table({"sample_id": ids, "filepath": [f"{uri.parent}/images/{i}.jpg" for i in ids]})


def _build(uri: Path, samples: pa.Table, per_image: int) -> None:
    import annobridge as ab

    dataset = ab.create_dataset(uri)
    dataset.add_samples(samples)
    schema = pa.schema({
        "sample_id": pa.string(), "label": pa.string(), "bounding_box": pa.list_(pa.float64(), 4),
    })  # fmt: skip
    labels = _labels(schema, samples.num_rows, per_image)
    dataset.add_labels("ground_truth", pa.RecordBatchReader.from_batches(schema, labels))


def _labels(schema: pa.Schema, images: int, per_image: int) -> Iterator[pa.RecordBatch]:
    """The labels. Making them is counted apart, as it is no work of annobridge."""
    batches = _made(schema, images, per_image)
    while True:
        start = thread_time()
        batch = next(batches, None)
        TOOL_SECONDS["rows"] += thread_time() - start
        if batch is None:
            return
        yield batch


def _made(schema: pa.Schema, images: int, per_image: int, step: int = 5_000) -> Iterator[pa.RecordBatch]:
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
