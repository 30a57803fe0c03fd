"""What Pixano is given of the dataset's own columns, of choices and of keypoint templates; without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from annobridge.core import rows
from annobridge.core.labels import REMOTE, SAMPLES, conform
from annobridge.core.schema import LabelSchema
from annobridge.formats.pixano_library.codec import encode
from annobridge.formats.pixano_library.codec.layout import Layout
from annobridge.formats.pixano_library.codec.tables import AUTO, NOT_DRAWN
from annobridge_pixano import checks, metadata_jsonl, offered_choices, sample_columns, uploads
from annobridge_pixano.task_layout import dataset_spec, task_layout

from . import pixano_cases as cases

NAN = float("nan")


def samples(**columns: Any) -> pa.Table:
    """``SAMPLES`` of as many samples as the columns have values, and these columns."""
    size = len(next(iter(columns.values())))
    tags = columns.pop("tags", None)
    given = {"sample_id": [f"s{i}" for i in range(size)], **({"tags": tags} if tags else {})}
    table = conform(pa.table(given), SAMPLES)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values) if isinstance(values, list) else values)
    return table


def records(table: pa.Table, schema: dict[str, Any] | None = None) -> tuple[Layout, list[dict[str, Any]]]:
    """The layout, and the lines of the records that are sent."""
    layout = task_layout(LabelSchema.parse(schema) if schema else LabelSchema({}), table, cases.table([]))
    none = conform(cases.table([]), REMOTE, remote_id="")
    lines = list(metadata_jsonl.lines(layout, table, none, ["0.jpg"] * len(table)))
    return layout, [json.loads(line) for line in lines[1:]]


def test_splits_are_sent_and_default_to_train() -> None:
    _, sent = records(samples(split=["val", None, " ", "my split/é"]))
    assert [line["split"] for line in sent] == ["val", "train", "train", "my split/é"]
    assert [line["split"] for line in records(samples(other=["a"]))[1]] == ["train"]


def test_a_split_that_is_no_text_is_a_column() -> None:
    _, (line,) = records(samples(split=[3]))
    assert (line["split"], line["attrs"]["attr_split"]) == ("train", 3)


def test_plain_columns_are_attributes_of_the_record_in_their_own_types() -> None:
    table = samples(
        place=["Lyon", None],
        speed=[3, None],
        ratio=[0.5, NAN],
        night=[True, None],
        large=pa.array([1 << 63, 0], pa.uint64()),
        words=[["a", "b"], None],
        tags=[["t"], []],
        status=["seen", ""],
    )
    layout, (first, second) = records(table)
    assert first["attrs"] == {
        "sample_id": "s0", "sample_file": "", "place": "Lyon", "speed": 3, "ratio": 0.5, "night": True, "large": str(1 << 63),
        "words": ["a", "b"], "tags": ["t"], "attr_status": "seen",
    }  # fmt: skip
    assert second["attrs"] == {
        "sample_id": "s1", "sample_file": "", "place": "", "speed": 0, "ratio": 0.0, "night": False, "large": "0",
        "words": [], "tags": [], "attr_status": "",
    }  # fmt: skip
    declared = dataset_spec(layout, "x", "x", overwrite=False)["schema"]["record"]["attrs"]
    assert set(declared) == set(first["attrs"])
    empty, renamed = sample_columns.notes(table, layout)
    assert "no value in speed, ratio, night: Pixano has no empty number or boolean" in empty
    assert "status as attr_status" in renamed


def test_a_column_named_as_a_label_field_keeps_clear_of_it() -> None:
    table = samples(scene=["from the column"])
    layout, (line,) = records(table, {"scene": {"type": "classification", "classes": ["day"]}})
    assert (layout.records["scene"].name, layout.shown["scene"].name) == ("scene", "attr_scene")
    assert line["attrs"]["attr_scene"] == "from the column"


def test_edited_columns_are_told_and_others_not() -> None:
    table = samples(place=["Lyon", "Paris"], split=["val", "val"], id=["x", "y"])
    layout = task_layout(LabelSchema({}), table, cases.table([]))
    there = sample_columns.as_records(table, layout)
    sent = sample_columns.digests(there, layout)
    assert not list(sample_columns.edited_notes(there.take([1, 0]), layout, sent))  # rows move when they are edited
    assert not list(sample_columns.edited_notes(there.slice(1), layout, sent))  # a record was deleted
    assert not list(sample_columns.edited_notes(there, layout, {}))  # sent by a version that had no columns
    at = there.column_names.index("place")
    (note,) = sample_columns.edited_notes(there.set_column(at, "place", pa.array(["Lyon", "Rome"])), layout, sent)
    assert note.startswith("Somebody edited place of samples in Pixano.")


def test_layouts_of_earlier_receipts_are_read() -> None:
    layout = task_layout(LabelSchema({}), samples(place=["a"]), cases.table([]))
    stored = json.loads(json.dumps(layout.to_dict()))
    assert Layout.from_dict(stored) == layout
    del stored["shown"]
    assert Layout.from_dict(stored).shown == {}


# --- choices


def offered(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The constraints by group and name, without their names."""
    parsed = LabelSchema.parse(schema)
    layout = task_layout(parsed, samples(x=["a"]), cases.table([]))
    found = offered_choices.choices_of(parsed, layout)
    assert found["item"]["item"] == found["records"]["records"]
    both = {"entities": found["entities"]["entities"], "records": found["records"]["records"]}
    return {group: {c.pop("name"): tuple(c.values()) for c in group_} for group, group_ in both.items()}


def test_choices_are_the_classes_and_the_values_of_selections() -> None:
    attributes = {
        "colour": {"type": "select", "values": ["red", "blue"]},
        "level": {"type": "radio", "values": [1, 2, True]},
        "plate": {"type": "text"},
        "count": {"type": "int"},
        "category": {"type": "select", "values": ["own"]},
    }
    bus = {"classes": ["bus"], "attributes": {"line": {"type": "select", "values": ["a"]}}}
    found = offered(
        {
            "objects": {"type": "detections", "classes": ["car", bus], "attributes": attributes},
            "areas": {"type": "polygons", "classes": ["road", "car"]},
            "scene": {"type": "classification", "classes": ["day", "night"]},
            "tags": {"type": "classifications", "classes": ["a"]},
            "mood": {"type": "scalar", "classes": ["good", "bad"]},
            "mixed": {"type": "scalar", "classes": ["one", 1]},
            "number": {"type": "scalar", "classes": [1, 2]},
        }
    )
    assert found["entities"] == {
        "category": (True, ["car", "bus", "road"]),
        "colour": (True, ["red", "blue"]),
        "level": (True, ["1", "2", "true"]),
        "attr_category": (True, ["own"]),
        "line": (True, ["a"]),
    }
    assert found["records"] == {
        "scene": (True, ["day", "night"]),
        "mood": (True, ["good", "bad"]),
        "mixed": (True, ['"one"', "1"]),
    }


def test_where_an_attribute_is_text_in_another_field_other_values_may_be_typed() -> None:
    two = {
        "a": {"type": "detections", "classes": ["c"], "attributes": {"x": {"type": "select", "values": ["v"]}}},
        "b": {"type": "polygons", "classes": ["c"], "attributes": {"x": {"type": "text"}}},
    }
    assert offered(two)["entities"]["x"] == (False, ["v"])


# --- keypoints


@pytest.mark.parametrize(("points", "template"), [(4, "face"), (7, "person"), (11, "cow"), (5, "annobridge")])
def test_the_template_is_the_one_of_as_many_points(points: int, template: str) -> None:
    pose = cases.table([("s0", "f", rows.Keypoint("c", [[0.1, 0.1]] * points))])
    _, states = encode.keypoints(pose)
    assert encode.templates(states, AUTO).to_pylist() == [template]
    assert encode.templates(states, "cow").to_pylist() == ["cow"]
    found = list(checks.undrawn_notes(pose, AUTO))
    assert bool(found) == (template == NOT_DRAWN)
    assert all("lists them without drawing them" in sentence for sentence in found)
    assert "the option `template` names another one" in next(checks.undrawn_notes(pose, NOT_DRAWN))


def test_where_there_are_no_keypoints_nothing_is_told_of_them() -> None:
    assert not list(checks.undrawn_notes(cases.table([]), NOT_DRAWN))


# --- uploads that were cut off


def test_sessions_of_a_dataset_are_known_by_their_first_file(tmp_path: Path) -> None:
    for name, text in {
        "ours": '{"dataset": {"name": "x"}}',
        "bad": "{",
        "list": "[]",
        "flat": '{"dataset": 1}',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / uploads.SPEC).write_text(text)
    (tmp_path / "empty").mkdir()

    class Api:
        closed: list[str] = []

        def close_upload(self, upload: str) -> None:
            self.closed.append(upload)

    uploads.discard_interrupted(Api(), uploads.Disk(tmp_path, tmp_path), "x")  # type: ignore[arg-type]
    assert Api.closed == ["ours"]
    assert uploads.session_folders(tmp_path / "nowhere") == []
