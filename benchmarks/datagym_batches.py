"""The two expensive steps of the DataGym backend, offline: writing 10,000 images × 10 labels as imports, and reading an export.

    python benchmarks/datagym_batches.py [--images 10000]

The files are those of ``transport="files"``, which are made and read by the same code as what goes over the API. The export is
written as the server writes one: pretty-printed, whole pixels, in another order.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))

import measure
from annobridge.backend import Task
from annobridge.core.labels import LABELS, SAMPLES, conform
from annobridge.core.schema import LabelSchema
from annobridge_datagym import DatagymBackend, DatagymConfig
from annobridge_datagym.config import DatagymConfig as Config

LABELS_EACH, PER_TASK = 10, 2_000
WIDTH, HEIGHT = 1920, 1080
SCHEMA = LabelSchema.parse(
    {
        "objects": {
            "type": "detections",
            "classes": ["car", "person", "bus", "tram"],
            "attributes": {"occluded": {"type": "checkbox"}, "color": {"type": "select", "values": ["red", "blue"]}},
        }
    }
)


class _NoMedia:
    def open(self, sample_id: str) -> Any:
        raise FileNotFoundError(sample_id)

    def path(self, sample_id: str) -> None:  # noqa: ARG002
        return None


def task(number: int) -> Task:
    """One task's samples and labels."""
    rng = np.random.default_rng(number)
    ids = [f"s{number * PER_TASK + n:06d}" for n in range(PER_TASK)]
    paths = [f"images/{i}.jpg" for i in ids]
    columns = {"sample_id": ids, "filepath": paths, "media_type": ["image"] * PER_TASK}
    samples = conform(pa.table(columns), SAMPLES, width=WIDTH, height=HEIGHT)
    size = PER_TASK * LABELS_EACH
    corner, side = rng.random((size, 2)) * 0.7, 0.01 + rng.random((size, 2)) * 0.25
    attributes = [
        [{"name": "color", "type": "str", "value": '"red"'}, {"name": "occluded", "type": "bool", "value": "false"}]
    ] * size
    rows = {
        "label_id": [f"l{number * size + n:08d}" for n in range(size)],
        "sample_id": np.repeat(ids, LABELS_EACH).tolist(),
        "label": [SCHEMA.fields["objects"].classes[n % 4] for n in range(size)],
        "bounding_box": np.hstack([corner, side]).tolist(),
        "attributes": pa.array(attributes, LABELS.field("attributes").type),
    }
    labels = conform(pa.table(rows), LABELS, field="objects", kind="box", rev=1)
    return Task(f"bench-12345678-{number:05d}", SCHEMA, samples, labels, _NoMedia())  # type: ignore[arg-type]


def export(folder: Path, path: Path) -> None:
    """The export of what was imported, as the server writes it."""
    classes = [{"class_name": c, "geometry_type": "rectangle"} for c in SCHEMA.fields["objects"].classes]
    with path.open("w") as out:
        out.write("[ " + json.dumps({"label_classes": classes}, indent=2))
        for file in sorted(folder.glob("*.labels.json"), reverse=True):
            for item in json.loads(file.read_text()):
                labels = {key: [_whole(one) for one in reversed(of)] for key, of in item["labels"].items()}
                made = {
                    "internal_media_ID": item["internal_media_ID"],
                    "external_media_ID": item["internal_media_ID"].replace("m-", ""),
                    "labeler": "user-7", "status": "completed", "global_classifications": {}, "labels": labels,
                }  # fmt: skip
                out.write(", " + json.dumps(made, indent=2))
        out.write(" ]")


def _whole(label: dict[str, Any]) -> dict[str, Any]:
    box = {name: int(n) for name, n in label["rectangle"][0].items()}
    return {"rectangle": [box], "classifications": label["classifications"], "nested_geometries": {}}


def ids(path: Path, images: int) -> None:
    """DataGym's ids of all images."""
    names = [f"s{n:06d}.jpg" for n in range(images)]
    path.write_text(json.dumps([{"id": f"m-{name}", "mediaName": name} for name in names]))


def main() -> None:
    """Write the imports, then read the export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000, help=f"a multiple of {PER_TASK}")
    images = parser.parse_args().images
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids(folder / "ids.json", images)
        options = {"transport": "files", "folder": str(folder / "out"), "media_ids": str(folder / "ids.json")}
        writer = DatagymBackend(DatagymConfig(**options))
        assert not list(writer.check_task(task(0)))
        receipts = []
        with measure.phase("write", out):
            for number in range(images // PER_TASK):
                receipts.append(writer.upload(task(number)))
        written = _size(*(folder / "out").glob("*.labels.json"))
        export(folder / "out", folder / "export.json")
        reader = DatagymBackend(Config(**options, path=str(folder / "export.json")))
        with measure.phase("read", out):
            found = _read(reader, receipts)
        reader.close()
        assert found == [PER_TASK * LABELS_EACH] * len(receipts), found
        labels = images * LABELS_EACH
        measure.report("DataGym: imports built, validated, written", out["write"], labels, note=written)
        measure.report(
            "DataGym: export read, matched, compared", out["read"], labels, note=_size(folder / "export.json")
        )


def _size(*files: Path) -> str:
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB on disk"


def _read(reader: DatagymBackend, receipts: list[Any]) -> list[int]:
    def counts() -> Iterator[int]:
        for receipt in receipts:
            download = reader.download(receipt)
            assert download.labels["bounding_box"].equals(
                receipt.baseline["bounding_box"].take(_order(receipt, download))
            )
            yield download.labels.num_rows

    return list(counts())


def _order(receipt: Any, download: Any) -> pa.Array:
    import pyarrow.compute as pc

    ours = receipt.baseline["remote_id"].combine_chunks()
    return pc.index_in(download.labels["remote_id"].combine_chunks(), value_set=ours)


if __name__ == "__main__":
    main()
