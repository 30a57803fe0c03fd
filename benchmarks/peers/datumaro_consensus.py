"""datumaro's merge of the answers in an Arrow file, with the policy "intersect"; prints the figures as JSON.

``consensus.py`` runs this with the Python of datumaro's environment: the file of answers (annotator, sample_id, label, bounding_box
relative to the image), the file to write, and the quorum. The answers become datasets of datumaro's API, of images of 1000 × 1000
pixels, as it rounds coordinates to hundredths. The time is that of the merge alone; the memory is with the datasets. A box whose
class misses the quorum has none in the result, and is left out of the file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import datumaro
import pyarrow as pa
from datumaro.components.annotation import Bbox
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.merge.intersect_merge import IntersectMerge

import measure

SIDE, IOU = 1000, 0.5


def datasets(answers: pa.Table, classes: list[str]) -> list[Dataset]:
    """A dataset of each annotator, with all images."""
    images = answers["sample_id"].unique().to_pylist()
    boxes: dict[str, dict[str, list[Bbox]]] = {
        name: {image: [] for image in images} for name in answers["annotator"].unique().to_pylist()
    }
    for batch in answers.to_batches(max_chunksize=10_000):  # so that the memory is that of the datasets
        for row in batch.to_pylist():
            sides = (SIDE * value for value in row["bounding_box"])
            boxes[row["annotator"]][row["sample_id"]].append(Bbox(*sides, label=classes.index(row["label"])))
    return [
        Dataset.from_iterable(
            [DatasetItem(image, annotations=found) for image, found in of_one.items()], categories=classes
        )
        for of_one in boxes.values()
    ]


def main(source: str, target: str, quorum: str) -> None:
    answers = pa.ipc.open_file(source).read_all().select(["annotator", "sample_id", "label", "bounding_box"])
    classes = sorted(answers["label"].unique().to_pylist())
    figures: dict[str, Any] = {}
    with measure.phase("made", figures):
        given = datasets(answers, classes)
    merger = IntersectMerge(conf=IntersectMerge.Conf(pairwise_dist=IOU, quorum=int(quorum)))
    with measure.phase("case", figures):
        merged = merger(*given)
    figures["case"]["rss_start_mib"] = figures["made"]["rss_start_mib"]
    found = [(item.id, box.label, box.get_bbox()) for item in merged for box in item.annotations]
    rows = [
        {"sample_id": image, "label": classes[label], "bounding_box": [value / SIDE for value in box]}
        for image, label, box in found
        if label is not None
    ]
    schema = pa.schema([answers.schema.field(name) for name in ("sample_id", "label", "bounding_box")])
    with pa.ipc.new_file(target, schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema))
    note = f"{len(found) - len(rows):,} boxes left without a class"
    print(json.dumps({"product": f"datumaro {datumaro.__version__}", "note": note, **figures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
