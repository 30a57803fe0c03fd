"""A backend over the echo store: an annotation tool that costs next to nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from time import thread_time
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import echo_store
from annobridge.backend import AnnotationBackend, AnnotationBackendConfig, Capabilities, Download, Receipt, Task
from annobridge.core.labels import REMOTE, conform

TOOL_SECONDS: Counter[str] = Counter()  # CPU seconds in this tool, by method


@contextmanager
def _counted(method: str) -> Iterator[None]:
    """Add the CPU time of this thread. That of the process would include the merge of another task, in another thread."""
    start = thread_time()
    yield
    TOOL_SECONDS[method] += thread_time() - start


class EchoConfig(AnnotationBackendConfig):
    """Where the tool keeps its files, and which rule it applies."""

    folder: str = "."
    mode: str = "edit"
    per_image: int = 10


class EchoBackend(AnnotationBackend):
    """Writes a task as JSON lines, and reads them back with the edits of the rule."""

    name: ClassVar[str] = "echo"
    Config = EchoConfig
    capabilities = Capabilities(
        label_types=frozenset({"detections"}),
        attribute_types=frozenset({"text"}),
        sends_media=False,
        parallel_downloads=64,
        parallel_uploads=64,
    )

    def _path(self, task: str) -> Path:
        return Path(self.config.folder) / f"{task}.jsonl"  # type: ignore[attr-defined]

    def upload(self, task: Task) -> Receipt:
        with _counted("upload"):
            return self._upload(task)

    def _upload(self, task: Task) -> Receipt:
        labels = task.labels
        image = pc.index_in(labels["sample_id"], value_set=task.samples["sample_id"].combine_chunks()).to_numpy()
        ends = np.cumsum(np.bincount(image, minlength=task.samples.num_rows)).tolist()
        rows = labels.select(["label_id", "label", "bounding_box"]).take(pa.array(np.argsort(image, kind="stable")))
        echo_store.write(self._path(task.name), _by_image(task.samples["sample_id"].to_pylist(), ends, rows))
        baseline = labels.append_column(REMOTE.field("remote_id"), labels["label_id"])
        return Receipt(task.name, {}, baseline.cast(REMOTE))

    def download(self, receipt: Receipt) -> Download:
        with _counted("download"):
            return self._download(receipt)

    def _download(self, receipt: Receipt) -> Download:
        samples: list[str] = []
        counts, remote, label, boxes = [], [], [], []
        config: Any = self.config
        for image, labels in echo_store.read(self._path(receipt.task), config.mode, config.per_image):
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
        self._path(receipt.task).unlink(missing_ok=True)


def _by_image(images: list[str], ends: list[int], rows: pa.Table) -> Iterator[tuple[str, list[Any]]]:
    """The labels of each image, as the store takes them."""
    ids, names = rows["label_id"].to_pylist(), rows["label"].to_pylist()
    boxes = rows["bounding_box"].combine_chunks().flatten().to_numpy().reshape(-1, 4).tolist()
    labels = list(zip(ids, names, boxes, strict=True))
    for image, start, end in zip(images, [0, *ends[:-1]], ends, strict=True):
        yield image, labels[start:end]


def _numbered(sample: pa.Array, counts: list[int]) -> pa.Array:
    """Remote ids of new labels: the image, and the position among its labels."""
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    position = pa.array(np.arange(len(sample)) - starts).cast(pa.string())
    return pc.binary_join_element_wise(sample, position, "+")
