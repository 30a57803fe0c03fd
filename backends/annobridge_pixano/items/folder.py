"""The folder that Pixano's command imports: the images of a task, their ``metadata.jsonl``, and ``schema.py``.

It brings the images and the columns; labels follow over REST. The import gives every row a random id, guesses types (a
text such as ``2024-01-01`` becomes a date, and fails), sets every confidence to 1 and writes image by image; a list of
rows sent over REST keeps our ids and values, and is written at once. So each column is empty in ``metadata.jsonl``.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from annobridge.backend import Task

from ..layout import Layout
from ..names import file_name
from ..values import EMPTY
from . import columns

SPLIT = "train"


def write(folder: Path, task: Task, layout: Layout) -> None:
    """Fill an empty folder."""
    split = folder / SPLIT
    split.mkdir(parents=True)
    (folder / "schema.py").write_text(columns.schema(layout), "utf-8")
    empty = {"sample_id": "", **{c.name: EMPTY[c.type] for c in layout.records.values()}}
    rows = task.samples.select(["sample_id", "filepath"]).to_pylist()
    with (split / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for number, sample in enumerate(rows):
            name = file_name(number, sample["filepath"] or "")
            with task.media.open(sample["sample_id"]) as source, (split / name).open("wb") as target:
                shutil.copyfileobj(source, target)
            lines.write(json.dumps({"image": name, **empty}) + "\n")


def number_of(url: str) -> int | None:
    """The number in the task of an image, from the address that Pixano gave it."""
    stem = url.rpartition("/")[2].partition(".")[0]
    return int(stem) if stem.isascii() and stem.isdigit() else None
