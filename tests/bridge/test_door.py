"""Ids, names and frames that mean nothing are refused where labels and samples come in; what is stored already stays usable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.stored import store

import annobridge as ab

BOX = [0.1, 0.1, 0.2, 0.2]
ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "a frame of an image": (
        {"frame_number": 3},
        "has the frame_number 3, and 'objects' is not a field of video frames",
    ),
    "frames without a number": (
        {"field": "frames.objects"},
        "'frames.objects' without a frame_number; give it, from 1",
    ),
    "a field with a space": ({"field": "bad field"}, "the field 'bad field', which is not a field name; use letters"),
    "a field with a dot": ({"field": "a.b"}, "the field 'a.b', which is not a field name"),
    "an empty id": ({"label_id": ""}, "has the label_id ''; give it a text, or none to have one made."),
    "an id of spaces": ({"label_id": "  "}, "has the label_id '  '; give it a text"),
    "an empty class": ({"label": ""}, "has the class ''; give it a name, or none."),
    "a class of spaces": ({"label": " \n"}, "has the class ' \\n'; give it a name"),
}


def row(**columns: Any) -> dict[str, Any]:
    return {"sample_id": "s0", "label": "car", "bounding_box": BOX, **columns}


def sample(given: dict[str, Any], field: str) -> ab.Sample:
    rest = {name: given[name] for name in ("frame_number", "label_id") if name in given}
    return ab.Sample("new.jpg", **{field: ab.Detection(given["label"], BOX, **rest)})


FORMS: dict[str, Any] = {
    "dictionaries": lambda ds, field, given: ds.add_labels(field, [given]),
    "columns": lambda ds, field, given: ds.add_labels(field, {name: [value] for name, value in given.items()}),
    "arrow": lambda ds, field, given: ds.add_labels(field, pa.Table.from_pylist([given])),
    "samples": lambda ds, field, given: ds.add_samples([sample(given, field)]),
}


@pytest.mark.parametrize("what", ROWS)
@pytest.mark.parametrize("form", FORMS)
def test_what_means_nothing_is_refused(bridge, what, form):
    columns, words = ROWS[what]
    field = columns.get("field", "objects")
    given = row(**{name: value for name, value in columns.items() if name != "field"})
    before = bridge.versions()
    with pytest.raises(ab.InvalidLabels) as caught:
        FORMS[form](bridge.ds, field, given)
    assert words in str(caught.value)
    assert bridge.versions() == before


@pytest.mark.parametrize("what", [what for what in ROWS if "id" not in what.split()])
def test_an_edit_may_not_make_it_so(bridge, what):
    columns, words = ROWS[what]
    before = bridge.versions()
    with pytest.raises(ab.InvalidLabels) as caught:
        bridge.ds.set_labels([{"label_id": "car0", **columns}])
    assert words in str(caught.value)
    assert bridge.versions() == before


def test_an_import_refuses_it_too(tmp_path: Path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "in" / "a.png")
    line = {"file_name": "a.png", "objects": {"bbox": [[1, 1, 4, 4]], "categories": [" "]}}
    (tmp_path / "in" / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ab.InvalidLabels, match="nothing was imported:(.|\n)*has the class ' '; give it a name"):
        ab.import_dataset(tmp_path / "in", tmp_path / "ds", progress=False)


def stored(bridge: Any) -> list[str]:
    """One label of each sort, as version 0.1 took them."""
    made = [{**row(field="objects", kind="box", label_id=f"old{n}"), **c} for n, (c, _) in enumerate(ROWS.values())]
    store(bridge.ds, made)
    return [r["label_id"] for r in made]


def test_what_is_stored_already_opens_loads_and_exports(bridge, tmp_path):
    ids = stored(bridge)
    assert set(ids) <= set(bridge.labels())
    bridge.annotate()
    bridge.hands.set("old0", label="person")  # has the frame of an image
    bridge.hands.set("car0", label="person")
    assert bridge.load(unexpected="ignore").edited == 2
    assert bridge.label("old0")["frame_number"] == 3
    report = ab.export_dataset(
        ab.load_dataset(bridge.ds.uri), tmp_path / "out", "fiftyone", progress=False, export_media=False
    )
    assert report.labels > len(ids)


def test_what_is_stored_already_can_be_edited_and_mended(bridge):
    stored(bridge)
    whole = [r for r in bridge.ds.labels().to_pylist() if r["label_id"].startswith("old")]
    assert bridge.ds.set_labels([{**r, "confidence": 0.5} for r in whole]) == len(whole)
    assert (
        bridge.ds.set_labels([{"label_id": "old0", "frame_number": None}, {"label_id": "old2", "field": "objects"}])
        == 2
    )


@pytest.mark.parametrize("number", [7, np.int64(7)])
def test_whole_numbers_are_ids_written_out(bridge, number):
    bridge.ds.add_samples([ab.Sample("7.jpg", sample_id=number), {"filepath": "8.jpg", "sample_id": 8}])
    bridge.ds.add_samples(pa.table({"filepath": ["9.jpg"], "sample_id": pa.array([9])}))
    assert bridge.ds.sample_ids()[-3:] == ["7", "8", "9"]
    bridge.ds.add_labels("numbered", {number: ab.Detection("car", BOX, label_id=number)})
    bridge.ds.add_labels("numbered", [row(sample_id=8, label_id=8)])
    bridge.ds.add_labels(
        "numbered", pa.table({"sample_id": [9], "label_id": [9], "label": ["car"], "bounding_box": [BOX]})
    )
    assert {i: r["sample_id"] for i, r in bridge.labels("numbered").items()} == {"7": "7", "8": "8", "9": "9"}
    assert bridge.ds.set_labels([{"label_id": number, "label": "bus"}]) == 1
    assert bridge.label("7")["label"] == "bus"


@pytest.mark.parametrize("given", [7.0, True, b"7", ("7",)])
def test_no_other_id_is_taken(bridge, given):
    before = bridge.versions()
    words = r"give a text, or a whole number|give texts, or whole numbers"
    for call in (
        lambda: bridge.ds.add_samples([ab.Sample("7.jpg", sample_id=given)]),
        lambda: bridge.ds.add_samples([{"filepath": "7.jpg", "sample_id": given}]),
        lambda: bridge.ds.add_samples(pa.table({"filepath": ["7.jpg"], "sample_id": pa.array([given])})),
        lambda: bridge.ds.add_labels("objects", [row(sample_id=given)]),
        lambda: bridge.ds.add_labels("objects", [row(label_id=given)]),
        lambda: bridge.ds.set_labels([{"label_id": given, "label": "bus"}]),
        lambda: bridge.ds.set_labels(pa.table({"label_id": pa.array([given]), "label": ["bus"]})),
    ):
        with pytest.raises(ab.InvalidLabels, match=words):
            call()
    assert bridge.versions() == before


@pytest.mark.parametrize("given", ["", " "])
def test_no_sample_has_a_blank_id(bridge, given):
    before = bridge.versions()
    for samples in ([ab.Sample("7.jpg", sample_id=given)], pa.table({"filepath": ["7.jpg"], "sample_id": [given]})):
        with pytest.raises(ab.InvalidLabels, match=f"has the sample_id '{given}'; give it a text, or none"):
            bridge.ds.add_samples(samples)
    assert bridge.versions() == before


def test_a_blank_text_of_a_column_is_no_class(bridge):
    bridge.ds.add_samples(
        [
            {"filepath": f"t{n}.jpg", "sample_id": f"t{n}", "scene": text}
            for n, text in enumerate(("day", "", " ", None))
        ]
    )
    assert bridge.ds.adopt_labels("scene", "scenes") == 1
    assert [(r["sample_id"], r["label"]) for r in bridge.labels("scenes").values()] == [("t0", "day")]
