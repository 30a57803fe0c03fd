"""The codec of the Pixano backend, without a server: the wire form is golden, and decoding it gives the labels back."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from annobridge.core import rows
from annobridge.core.arrays import choose, first_rows
from annobridge.core.compare import equal_rows
from annobridge.core.labels import LABELS, REMOTE, SAMPLES, conform
from annobridge.core.schema import LabelSchema
from annobridge.formats.pixano_library.codec import checks, encode, messages, values
from annobridge.formats.pixano_library.codec.decode import decode
from annobridge.formats.pixano_library.codec.layout import Layout, scalar_type
from annobridge.formats.pixano_library.codec.tables import ANNOTATIONS
from annobridge_pixano import PixanoConfig, api, metadata_jsonl, names, rest_tables
from annobridge_pixano.checks import schema_problems
from annobridge_pixano.task_layout import dataset_spec, record_ids, task_layout

from . import pixano_cases as cases

GOLDEN = Path(__file__).parent.parent / "golden" / "pixano"


def laid_out() -> tuple[Layout, pa.Table, pa.Table]:
    task = cases.task()
    layout = task_layout(task.schema, task.samples, task.labels, "annobridge")
    labels = conform(task.labels, REMOTE, remote_id="")
    labels = labels.set_column(
        labels.schema.get_field_index("remote_id"), "remote_id", encode.remote_ids(labels, layout)
    )
    return layout, task.samples, labels.cast(REMOTE)


def sent() -> list[dict[str, Any]]:
    layout, samples, labels = laid_out()
    files = [f"{i:06d}.png" for i in range(len(samples))]
    return [json.loads(line) for line in metadata_jsonl.lines(layout, samples, labels, files)]


def check_golden(name: str, text: str) -> None:
    """Compare with the golden file. ANNOBRIDGE_TEST_GOLDEN=1 rewrites it; look at the difference before you keep it."""
    path = GOLDEN / name
    if os.environ.get("ANNOBRIDGE_TEST_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_golden_metadata() -> None:
    check_golden("metadata.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in sent()))


def test_golden_dataset() -> None:
    layout, *_ = laid_out()
    spec = dataset_spec(layout, "run_00000", "golden", overwrite=False)
    check_golden("dataset.json", json.dumps(spec, indent=1, ensure_ascii=False) + "\n")


def stored(lines: list[dict[str, Any]], layout: Layout) -> dict[str, pa.Table]:
    """The tables that Pixano makes of these lines, as far as we read them."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in rest_tables.schemas(layout)}
    tables = {"bbox": "bboxes", "mask": "masks", "multi_path": "multi-paths", "keypoints": "keypoints"}
    for line in lines[1:]:
        empty = {c.name: values.EMPTY[c.type] for c in layout.records.values()}
        found["records"].append({"id": line["id"], **empty, **line["attrs"]})
        for entity in line["entities"]:
            found["entities"].append({"id": entity["id"], "record_id": line["id"], **entity["attrs"]})
            for a in entity["annotations"]:
                row = {**a, **a.get("rle", {}), "format": "xywh", "is_normalized": True}
                found[tables[a["kind"]]].append({**row, "record_id": line["id"], "entity_id": entity["id"]})
        for thread in line.get("conversations", ()):
            number = -1
            for i, m in enumerate(thread["messages"]):
                number += m["type"] == "QUESTION"
                place = {"id": f"{thread['id']}-{i}", "record_id": line["id"], "conversation_id": thread["id"]}
                counted = 0 if m["type"] == "SYSTEM" else max(number, 0)
                found["messages"].append({"question_type": "", **m, **place, "number": counted})
    return {n: pa.Table.from_pylist(found[n], schema=s) for n, s in rest_tables.schemas(layout).items()}


def test_decode_of_encode_is_exact() -> None:
    layout, _, labels = laid_out()
    tables = stored(sent(), layout)
    ids = messages.match_ids(messages.encode(labels, layout), tables["messages"].to_pylist())
    assert len(ids) == 8
    remote = pa.array([ids.get(i, i) for i in labels["remote_id"].to_pylist()])
    labels = labels.set_column(labels.schema.get_field_index("remote_id"), REMOTE.field("remote_id"), remote)
    found = decode(tables, layout, labels)
    assert found.labels.schema == REMOTE
    assert cases.plain(found.labels) == cases.plain(labels)
    assert found.notes == []


def test_decode_without_a_reference_still_reads_what_the_tool_shows() -> None:
    layout, _, labels = laid_out()
    found = decode(stored(sent(), layout), layout, REMOTE.empty_table()).labels.to_pylist()
    assert len(found) == len(labels) - 2  # of scalars, 0 and False are what an empty column holds
    assert {r["label_id"] for r in found} == {None}
    thing = next(r for r in found if r["remote_id"] == "thing.mask")
    assert (thing["kind"], thing["label"], thing["mask"]["size"]) == ("mask", "car", [cases.HEIGHT, cases.WIDTH])


def test_row_of_pixels_or_corners() -> None:
    layout, _, labels = laid_out()
    tables = stored(sent(), layout)
    boxes = tables["bboxes"].to_pylist()
    for box in boxes:
        if box["id"] == "doomed.bbox":
            box.update(coords=[0.1, 0.1, 0.5, 0.75], format="xyxy")
        if box["record_id"] == "s0":
            box["is_normalized"] = False
    tables["bboxes"] = pa.Table.from_pylist(boxes, schema=ANNOTATIONS["bboxes"])
    found = decode(tables, layout, labels)
    moved = next(r for r in found.labels.to_pylist() if r["label_id"] == "doomed")
    assert moved["bounding_box"] == [0.1, 0.1, 0.4, 0.65]
    assert "s0" not in found.samples.to_pylist()  # boxes in pixels: nothing is said of that image
    assert "s0" not in found.labels["sample_id"].to_pylist()


def test_layout_is_json() -> None:
    layout, *_ = laid_out()
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


def test_names_that_pixano_cannot_have_are_changed() -> None:
    named = ["id", "category", "a.b", "_x", "model_dump", "A", "a", "label_id", "größe"]
    spec = {"type": "detections", "classes": ["c"], "attributes": {n: {"type": "text"} for n in named}}
    layout = task_layout(LabelSchema.parse({"f": spec}), cases.task().samples, cases.table([]), "annobridge")
    columns = [c.name for c in layout.attributes.values()]
    assert columns == [
        "attr_id", "attr_category", "attr_a_b", "attr__x", "attr_model_dump", "A", "attr_a", "attr_label_id", "größe",
    ]  # fmt: skip


def test_record_ids_are_addressable_and_never_clash() -> None:
    assert record_ids(["a", "b/c", "sample.1", ".."]) == {"sample.1_": "b/c", "sample.3": ".."}


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([], "str"),
        (['"a"', '"007"'], "str"),
        (["1", "2"], "int"),
        (["1", "2.5"], "float"),
        (["true"], "bool"),
        (["true", "1"], "json"),
        (['"a"', "1"], "json"),
        (["[1]"], "json"),
        ([str(1 << 63)], "json"),
    ],
)
def test_scalars_are_as_narrow_as_their_values(texts: list[str], kind: str) -> None:
    assert scalar_type(texts) == kind
    there = values.encode(pa.array([*texts, None], pa.string()), kind)
    back = values.decode(there, kind).to_pylist()[: len(texts)]
    assert [json.loads(t) for t in back] == [json.loads(t) for t in texts]


def test_the_members_of_a_checklist_keep_their_types() -> None:
    spec = {"type": "detections", "classes": ["a"], "attributes": {"x": {"type": "list", "values": [1, True, "1 a"]}}}
    column = task_layout(LabelSchema.parse({"f": spec}), SAMPLES.empty_table(), LABELS.empty_table(), "t").attributes[
        "x"
    ]
    texts = ["[1, true]", '["1 a"]', '[1, "new"]']
    there = values.encode(pa.array(texts, pa.string()), column.type)
    assert values.decode(there, column.type, column.choices).to_pylist() == texts


def test_choices_and_letters() -> None:
    choices = ["a", "b", "long, one"]
    pairs = {"a": "[[A]]", "a, b": "[[A,B]]", "b: it is": "[[B]] it is", "long, one": "[[C]]", "else": "else"}
    assert {c: messages.to_letters(c, choices) for c in pairs} == pairs
    assert {c: messages.from_letters(w, choices) for c, w in pairs.items()} == {c: c for c in pairs}
    assert messages.from_letters("[[Z]]", choices) == "[[Z]]"
    assert messages.to_letters("", choices) == ""


def test_sentences_about_values() -> None:
    detection, line = rows.Detection, rows.Polyline
    wrong = [
        ("s0", "f", detection("c", [0, 0, 1, 1], rotation=3.0, label_id="turned")),
        ("s0", "f", detection("c", [0, 0, 1.1, 1], label_id="wide")),
        ("s0", "f", line("c", [[[0, 0], [1, 1]]], closed=True, label_id="ring")),
        ("s0", "f", line("c", [[[0, 0], [-1, 1]]], label_id="left")),
        ("s0", "f", rows.Message("robot", "hi", label_id="robot")),
        ("s0", "f", rows.Message("question", "hi", question_type="HARD")),
        ("s0", "f", rows.Classification("twice")),
        ("s0", "f", rows.Classification("twice")),
        ("s0", "f", rows.Scalar(float("nan"))),
    ]
    found = "\n".join(checks.label_problems(cases.table(wrong)))
    for word in ("turned", "wide", "ring", "left", "robot", "HARD", "'twice'", "NaN"):
        assert word in found
    assert len(found.splitlines()) == 8
    assert list(checks.label_problems(cases.table([]))) == []


def test_rounding_errors_outside_of_the_image_are_pulled_in() -> None:
    near = cases.table([("s0", "f", rows.Detection("c", [-1e-9, 0, 1 + 1e-12, 1]))])
    assert list(checks.label_problems(near)) == []
    assert encode.boxes(near).to_pylist() == [[0, 0, 1, 1]]


def test_sentences_about_schemas() -> None:
    schema = {
        "a": {"type": "detections", "classes": ["c"], "attributes": {"x": {"type": "int"}}},
        "b": {"type": "polygons", "classes": ["c"], "attributes": {"x": {"type": "text"}}},
        "q": {"type": "messages", "attributes": {"mood": {"type": "text"}}},
    }
    found = list(schema_problems(LabelSchema.parse(schema)))
    assert [t.split(":")[0] for t in found] == ["b.attributes.x", "q.attributes.mood"]


def test_keypoints_that_are_not_of_the_template() -> None:
    pose = cases.table([("s0", "f", rows.Keypoint("c", [[0, 0]] * 4))])
    assert list(checks.template_problems(pose, "face")) == []
    assert "7 points" in next(iter(checks.template_problems(pose, "person")))


@pytest.mark.parametrize(
    ("openapi", "expected"),
    [
        ({"info": {"title": "Pixano", "version": "0.8.3"}, "paths": {"/io/imports": {}}}, "0.8"),
        ({"info": {"title": "Pixano", "version": "1.0.0"}, "paths": {"/io/imports": {}}}, "1.0"),
        ({"paths": {"/datasets/{dataset_id}/records": {}}}, "0.7"),
        ({"paths": {"/items/{dataset_id}": {}}}, "0.6"),
        ({"paths": {}}, ""),
        (None, ""),
    ],
)
def test_generation(openapi: Any, expected: str) -> None:
    assert api.generation(openapi) == expected


def test_dataset_names_are_folder_names_and_stay_apart() -> None:
    name = names.dataset_name
    assert name("round1-3f2a9c1e-00000") == "round1_3f2a9c1e_00000"
    assert len({name("Round-1"), name("round-1"), name("round_1_"), name("round__1")}) == 4


def test_options() -> None:
    with pytest.raises(ValidationError, match="librarry"):
        PixanoConfig(librarry="x")
    stored = PixanoConfig(url="http://ada:pw@localhost:1", template="face", timeout=3).stored()
    assert stored == {"url": "http://localhost:1", "template": "face"}


def test_arrays() -> None:
    nested = pa.array([[1.0], [1.0, 2.0], None, []], pa.list_(pa.float64()))
    other = pa.array([[1.0], [1.0, 3.0], None, None], pa.list_(pa.float64()))
    assert equal_rows(nested, other).tolist() == [True, False, True, False]
    mixed = choose(np.array([True, False, True, False]), nested, other)
    assert mixed.to_pylist() == [[1.0], [1.0, 3.0], None, None]
    assert first_rows(pa.array(["b", "a", "b"])).to_pylist() == [0, 1]


def test_reading_a_table_again_when_people_write_to_it() -> None:
    schema = pa.schema([("id", pa.string())])

    @dataclasses.dataclass
    class Moving:
        """A list whose second page begins one row late, the first time."""

        calls: int = 0

        def get(self, path: str, params: dict[str, int], expect: Any) -> dict[str, Any]:
            self.calls += 1
            skip = params["offset"] + (self.calls == 2)
            items = [{"id": str(i)} for i in range(1500)][skip : skip + params["limit"]]
            return {"items": items, "total": 1500}

    http = Moving()
    assert len(api.Api(http).table("d", "bboxes", schema)) == 1500
    assert http.calls == 4
