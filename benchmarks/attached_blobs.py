"""How much of an attached table of 100,000 images is read when 1,000 of them are annotated: little more than these.

    python benchmarks/attached_blobs.py [--images 100000] [--bytes 10000]

The table (1 GB) is made in a temporary folder; the tool is in this process, and reads every image that it is sent. What the process
read from files is the kernel's count.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import lance
import numpy as np
import pyarrow as pa
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

import annobridge as ab
import measure
from annobridge.backend.memory import MemoryBackend

VIEW = 1_000
STEP = 1_000


class Reader(MemoryBackend):
    """The memory backend, which also reads the files that it is sent."""

    name: ClassVar[str] = "reader"

    class Config(MemoryBackend.Config):
        """A class in this module, for ``config_cls``."""

    capabilities: ClassVar[ab.Capabilities] = ab.Capabilities(label_types=frozenset({"detections"}))
    read: ClassVar[int] = 0

    def upload(self, task: ab.Task) -> ab.Receipt:
        for sample_id in task.samples["sample_id"].to_pylist():
            with task.media.open(sample_id) as stream:
                Reader.read += len(stream.read())
        return super().upload(task)


Config = Reader.Config


def image(size: int) -> bytes:
    """A JPEG of ``size`` bytes: a small image, and padding after its end, which decoders skip."""
    stream = io.BytesIO()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(stream, "JPEG")
    return stream.getvalue().ljust(size, b"\0")


def table(images: int, size: int) -> pa.RecordBatchReader:
    """Batches of ids and blobs."""
    schema = pa.schema(
        [("id", pa.string()), pa.field("image", pa.large_binary(), metadata={"lance-encoding:blob": "true"})]
    )
    picture = image(size)

    def batches() -> Iterator[pa.RecordBatch]:
        for at in range(0, images, STEP):
            ids = [f"im{n:06d}" for n in range(at, min(at + STEP, images))]
            yield pa.record_batch([pa.array(ids), pa.array([picture] * len(ids), pa.large_binary())], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def read_so_far() -> int:
    """Bytes that this process has read from files so far."""
    return int(dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["rchar"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=10_000)
    given = parser.parse_args()
    out: dict[str, Any] = {}
    os.environ["ANNOBRIDGE_READER_CONFIG_CLS"] = "attached_blobs.Config"
    with tempfile.TemporaryDirectory() as folder:
        lance.write_dataset(table(given.images, given.bytes), f"{folder}/images.lance", data_storage_version="2.1")
        with measure.phase("attach", out):
            ds = ab.attach(folder)
        view = ds.take(VIEW)
        before = read_so_far()
        with measure.phase("annotate", out):
            view.annotate("round", label_field="objects", label_type="detections", classes=["car"], backend="reader")
        read = (read_so_far() - before) / 2**20
    table_mib, images_mib = (count * given.bytes / 2**20 for count in (given.images, VIEW))
    measure.report(f"attach {given.images:,} images of {table_mib:,.0f} MiB", out["attach"], 0)
    note = f"{read:.1f} MiB read, for images of {images_mib:.1f} MiB"
    measure.report(f"annotate {VIEW:,} of these images", out["annotate"], 0, note=note)


if __name__ == "__main__":
    sys.modules["attached_blobs"] = sys.modules["__main__"]
    main()
