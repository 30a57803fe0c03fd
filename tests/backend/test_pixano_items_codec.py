"""What is sent to the earlier generation of Pixano, without a server: golden, and read back as the labels."""

from __future__ import annotations

import ast
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from annobridge.core.arrays import set_columns
from annobridge.core.labels import REMOTE, conform
from annobridge.core.schema import LabelSchema
from annobridge.formats.pixano_library.codec import values
from annobridge.formats.pixano_library.codec.decode import decode
from annobridge.formats.pixano_library.codec.layout import Layout
from annobridge_pixano.items import columns, import_folder
from annobridge_pixano.items import rows as item_rows
from annobridge_pixano.task_layout import task_layout

from . import pixano_cases as cases
from . import pixano_items_cases as own

GOLDEN = Path(__file__).parent.parent / "golden" / "pixano_items"
ITEMS = [f"item{n}" for n in range(len(cases.SAMPLE_IDS))]
VIEWS = {item: f"view-of-{item}" for item in ITEMS}


def laid_out() -> tuple[Layout, pa.Table]:
    task = own.task()
    layout = columns.with_python_names(task_layout(task.schema, task.samples, task.labels, "annobridge"))
    layout = replace(layout, samples=dict(zip(ITEMS, cases.SAMPLE_IDS, strict=True)))
    labels = conform(task.labels.combine_chunks(), REMOTE, remote_id="")
    return layout, set_columns(labels, remote_id=item_rows.remote_ids(labels, layout)).combine_chunks()


def blank_items(layout: Layout) -> list[dict[str, Any]]:
    return [item_rows.row("item", item, split="train", sample_id="") for item in layout.samples]


def check_golden(name: str, text: str) -> None:
    """Compare with the golden file. ANNOBRIDGE_TEST_GOLDEN=1 rewrites it; look at the difference before you keep it."""
    if os.environ.get("ANNOBRIDGE_TEST_GOLDEN"):
        (GOLDEN / name).write_text(text, "utf-8")
    assert text == (GOLDEN / name).read_text("utf-8")


def test_golden_folder(tmp_path: Path) -> None:
    layout, _ = laid_out()
    import_folder.write(tmp_path, own.task(), layout)
    assert sorted(p.name for p in (tmp_path / "train").iterdir()) == [
        "000000.png", "000001.png", "000002.png", "000003.png", "metadata.jsonl",
    ]  # fmt: skip
    check_golden("schema.py", (tmp_path / "schema.py").read_text("utf-8"))
    check_golden("metadata.jsonl", (tmp_path / "train" / "metadata.jsonl").read_text("utf-8"))


def test_golden_rows() -> None:
    layout, labels = laid_out()
    rows = item_rows.label_rows(layout, labels, VIEWS) | {
        "item": item_rows.complete_items(layout, labels, blank_items(layout))
    }
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for table in rows.values() for r in table)
    check_golden("rows.jsonl", text)


def test_rows_read_back_are_the_labels() -> None:
    layout, labels = laid_out()
    rows: dict[str, Any] = item_rows.label_rows(layout, labels, VIEWS)
    rows["item"] = item_rows.complete_items(layout, labels, blank_items(layout))
    for item in rows["item"]:  # columns that the sample has no label for came with the import
        for c in layout.records.values():
            item["data"].setdefault(c.name, values.EMPTY[c.type])
    found = decode(item_rows.as_tables(layout, rows), layout, labels)
    assert cases.plain(found.labels) == cases.plain(labels)
    assert sorted(found.samples.to_pylist()) == sorted(cases.SAMPLE_IDS)
    assert found.notes == []


def test_names_that_no_python_class_can_have_are_changed() -> None:
    named = ["class", "json", "model_x", "a b", "a_b", "größe", "9", "dataset", "label_id", "Plain", "view"]
    spec = {"type": "detections", "classes": ["c"], "attributes": {n: {"type": "text"} for n in named}}
    whole = ["objects", "messages", "split", "for", "plain"]
    task = own.task({"f": spec, **{n: {"type": "scalar"} for n in whole}}, [])
    layout = columns.with_python_names(task_layout(task.schema, task.samples, task.labels, "annobridge"))
    assert {ours: c.name for ours, c in layout.attributes.items()} == {
        "class": "attr_class", "json": "attr_json", "model_x": "attr_model_x", "a b": "a_b", "a_b": "a_b_", "größe": "gr__e",
        "9": "attr_9", "dataset": "attr_dataset", "label_id": "attr_label_id", "Plain": "Plain", "view": "attr_view",
    }  # fmt: skip
    assert [c.name for c in layout.records.values()] == [
        "attr_objects",
        "attr_messages",
        "attr_split",
        "attr_for",
        "plain",
    ]
    ast.parse(columns.schema_module(layout))


def test_layout_is_json() -> None:
    layout, _ = laid_out()
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


def test_schema_without_attributes_is_python() -> None:
    layout = columns.with_python_names(
        task_layout(LabelSchema({}), own.task().samples, own.task().labels, "annobridge")
    )
    ast.parse(columns.schema_module(layout))


def test_number_of_an_image() -> None:
    assert [import_folder.number_of(u) for u in ("a/train/000012.png", "000001.jpg", "a/train/cat.png", "")] == [
        12,
        1,
        None,
        None,
    ]
