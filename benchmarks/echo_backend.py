"""A backend over the neutral echo store: an annotation tool that costs next to nothing."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from time import process_time
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.environ.get("ECHO_STORE", str(ROOT.parent / "shared" / "bench")))
import echo_store  # noqa: E402

from annobridge.backend import (  # noqa: E402
    AnnotationBackend,
    AnnotationBackendConfig,
    Capabilities,
    Download,
    Receipt,
    Task,
)
from annobridge.core.labels import REMOTE, conform  # noqa: E402

HOOKS: Counter[str] = Counter()  # CPU seconds inside this tool, which are not the bridge's


@contextmanager
def _hook(name: str) -> Iterator[None]:
    start = process_time()
    yield
    HOOKS[name] += process_time() - start


class EchoConfig(AnnotationBackendConfig):
    """Where the echo server keeps its files, and which rule it follows."""

    folder: str = "."
    mode: str = "edit"
    dets: int = 10


class EchoBackend(AnnotationBackend):
    """Writes a task as JSON lines, and reads back what the rule made of it."""

    name: ClassVar[str] = "echo"
    Config = EchoConfig
    capabilities = Capabilities(
        label_types=frozenset({"detections"}), attribute_types=frozenset({"text"}), sends_media=False
    )

    def _path(self, task: str) -> str:
        return str(Path(self.config.folder) / f"{task}.jsonl")  # type: ignore[attr-defined]

    def upload(self, task: Task) -> Receipt:
        with _hook("upload_s"):
            return self._upload(task)

    def _upload(self, task: Task) -> Receipt:
        labels = task.labels
        place = pc.index_in(labels["sample_id"], value_set=task.samples["sample_id"].combine_chunks()).to_numpy()
        ends = np.cumsum(np.bincount(place, minlength=task.samples.num_rows)).tolist()
        rows = labels.select(["label_id", "label", "bounding_box"]).take(pa.array(np.argsort(place, kind="stable")))
        echo_store.write(self._path(task.name), _by_image(task.samples["sample_id"].to_pylist(), ends, rows))
        baseline = labels.append_column(REMOTE.field("remote_id"), labels["label_id"])
        return Receipt(task.name, {}, baseline.cast(REMOTE))

    def download(self, receipt: Receipt) -> Download:
        with _hook("download_s"):
            return self._download(receipt)

    def _download(self, receipt: Receipt) -> Download:
        samples: list[str] = []
        counts, remote, label, boxes = [], [], [], []
        config: Any = self.config
        for image, labels in echo_store.read_annotated(self._path(receipt.task), config.mode, config.dets):
            samples.append(image)
            counts.append(len(labels))
            for label_id, name, box in labels:
                remote.append(label_id)
                label.append(name)
                boxes.append(box)
        flat = np.fromiter(chain.from_iterable(boxes), float, 4 * len(boxes))
        images = pa.array(samples, pa.string())
        sample = images.take(pa.array(np.repeat(np.arange(len(samples)), counts)))
        rows = pa.table({
            "sample_id": sample,
            "label": label,
            "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(flat), 4),
            "remote_id": pc.coalesce(pa.array(remote, pa.string()), _numbered(sample, counts)),
        })  # fmt: skip
        return Download(conform(rows, REMOTE, kind="box"), images)

    def delete(self, receipt: Receipt) -> None:
        Path(self._path(receipt.task)).unlink(missing_ok=True)


def _by_image(images: list[str], ends: list[int], rows: pa.Table) -> Iterator[tuple[str, list[Any]]]:
    """The rows that the store takes, made one image at a time."""
    ids, names = rows["label_id"].to_pylist(), rows["label"].to_pylist()
    boxes = rows["bounding_box"].combine_chunks().flatten().to_numpy().reshape(-1, 4).tolist()
    labels = list(zip(ids, names, boxes, strict=True))
    for image, start, end in zip(images, [0, *ends[:-1]], ends, strict=True):
        yield image, labels[start:end]


def _numbered(sample: pa.Array, counts: list[int]) -> pa.Array:
    """An id for a new label: its image, and its place there."""
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    place = pa.array(np.arange(len(sample)) - starts).cast(pa.string())
    return pc.binary_join_element_wise(sample, place, "+")
