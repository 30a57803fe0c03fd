"""The folder that Pixano's command imports: the images of a task, their ``metadata.jsonl``, and ``schema.py``.

The import makes the images and the columns, all empty; labels are sent over REST. An import of labels would give every row a
random id, guess types (a text such as ``2024-01-01`` becomes a date, and fails), and set every confidence to 1. Rows that
are sent over REST keep our ids and values.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from annobridge.backend import Task
from annobridge.formats.pixano_library.codec.layout import Layout
from annobridge.formats.pixano_library.codec.values import EMPTY

from ..names import file_name
from . import columns

SPLIT = "train"


def write(folder: Path, task: Task, layout: Layout) -> None:
    """Fill an empty folder."""
    split = folder / SPLIT
    split.mkdir(parents=True)
    (folder / "schema.py").write_text(columns.schema_module(layout), "utf-8")
    empty = {"sample_id": "", **{c.name: EMPTY[c.type] for c in layout.records.values()}}
    rows = task.samples.select(["sample_id", "filepath"]).to_pylist()
    with (split / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for number, sample in enumerate(rows):
            name = file_name(number, sample["filepath"] or "")
            with task.media.open(sample["sample_id"]) as source, (split / name).open("wb") as target:
                shutil.copyfileobj(source, target)
            lines.write(json.dumps({"image": name, **empty}) + "\n")


def number_of(url: str) -> int | None:
    """The number of an image in its task, from the URL that Pixano gave it; ``None`` for another URL."""
    stem = url.rpartition("/")[2].partition(".")[0]
    return int(stem) if stem.isascii() and stem.isdigit() else None
