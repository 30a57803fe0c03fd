"""One stage of the echo benchmark: what the bridge itself costs, with a tool that costs (almost) nothing.

The tool is the neutral ``echo_store`` (a JSON line per image; a fixed rule edits what was sent), which other products are
measured with too. It is looked for in the folder that ECHO_STORE names, else in ``../shared/bench`` beside the project.
``run_echo.py`` there drives all stages, each in a process of its own:

    python ../shared/bench/run_echo.py --target benchmarks/bridge_echo.py --images 1000 10000 100000
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

import measure
from echo_backend import HOOKS, echo_store

FIELD = {"new": "annotated", "edit": "ground_truth"}


def _samples(images: int, workdir: Path) -> pa.Table:
    return pa.table({"sample_id": [f"{i:07d}" for i in range(images)],
                     "filepath": [str(workdir / "img" / f"{i:07d}.jpg") for i in range(images)]})  # fmt: skip


def _labels(images: int, dets: int, step: int = 5_000) -> Iterator[pa.RecordBatch]:
    for at in range(0, images, step):
        numbers = range(at * dets, min(at + step, images) * dets)
        flat = [value for n in numbers for value in echo_store.box(n)]
        yield pa.record_batch({
            "sample_id": pa.array([f"{n // dets:07d}" for n in numbers]),
            "label": pa.array([echo_store.label_name(n) for n in numbers]),
            "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float64()), 4),
        })  # fmt: skip


def build(args: argparse.Namespace, uri: Path) -> None:
    """A dataset of images with ``dets`` boxes each."""
    import annobridge as ab

    dataset = ab.create_dataset(uri)
    dataset.add_samples(_samples(args.images, uri.parent))
    batches = _labels(args.images, args.dets)
    first = next(batches)
    dataset.add_labels("ground_truth", pa.RecordBatchReader.from_batches(first.schema, _chain(first, batches)))


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--stage", required=True, choices=["build", "annotate", "load"])
    p.add_argument("--mode", required=True, choices=["new", "edit"])
    p.add_argument("--images", type=int, required=True)
    p.add_argument("--dets", type=int, default=10)
    p.add_argument("--workdir", type=Path, required=True)
    p.add_argument("--json", type=Path, help="write the figures here (default: standard output)")
    args = p.parse_args(argv)
    figures: dict[str, Any] = {"product": "annobridge", **{k: str(v) for k, v in vars(args).items()}}
    with measure.phase("import", figures):
        import annobridge as ab

        _ = ab.Dataset  # imports LanceDB

    ab.annotation_config.backends["echo"] = {"config_cls": "echo_backend.EchoConfig"}
    uri = args.workdir / f"echo-{args.mode}-{args.images}x{args.dets}"
    field = FIELD[args.mode]
    if args.stage == "build":
        shutil.rmtree(uri, ignore_errors=True)
        with measure.phase("build", figures):
            build(args, uri)
    elif args.stage == "annotate":
        dataset = ab.load_dataset(uri)
        with measure.phase("annotate", figures):
            dataset.annotate(
                "run", label_field=field, label_type="detections", classes=echo_store.CLASSES, attributes=False,
                backend="echo", folder=str(uri), mode=args.mode, dets=args.dets,
            )  # fmt: skip
    else:
        figures |= load(ab.load_dataset(uri), args, field, figures)
        shutil.rmtree(uri)
    figures["hooks"] = {name: round(seconds, 3) for name, seconds in HOOKS.items()}
    text = json.dumps(figures)
    if args.json:
        args.json.write_text(text)
    else:
        print(text)
    return 0 if figures.get("check", {}).get("ok", True) else 1


def load(dataset: Any, args: argparse.Namespace, field: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Load, count what is there, and load again: the second time must write nothing."""
    with measure.phase("load", figures):
        report = dataset.load_annotations("run", unexpected="ignore")
    want = echo_store.expected(args.mode, args.images, args.dets)
    got = dataset.count_labels(field)
    ok = got == want["labels"] and report.edited == want["edited"]
    return {"check": {"labels": got, "want": want["labels"], "edited": report.edited, "ok": ok}}


if __name__ == "__main__":
    sys.exit(main())
