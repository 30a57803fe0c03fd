"""Labels of a schema as results of Label Studio, and back: every label once, with its bits as far as percents keep them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import Classification, Detection, Ellipse, Keypoint, Label, Polyline, Scalar
from annobridge.core.schema import LabelSchema
from annobridge.formats.labelstudio import codec
from annobridge.formats.labelstudio.label_config import parse
from annobridge.formats.labelstudio.layout import Layout, found_fields

SIZE = (64, 48)
SCHEMA = LabelSchema.parse(
    {
        "boxes": {
            "type": "detections", "classes": ["car", "é <&>"],
            "attributes": {"n": {"type": "int"}, "x": {"type": "float"}, "t": {"type": "text"}, "b": {"type": "checkbox"},
                           "s": {"type": "select", "values": ["red", 5]}, "l": {"type": "list"}},
        },
        "rounds": {"type": "ellipses", "classes": ["w"]}, "areas": {"type": "polygons", "classes": ["road"]},
        "lines": {"type": "polylines", "classes": ["edge"]}, "bodies": {"type": "keypoints", "classes": ["p"]},
        "masks": {"type": "instances", "classes": ["m"]}, "scene": {"type": "classification", "classes": ["day", "night"]},
        "words": {"type": "classifications", "classes": ["a", "b"]}, "count": {"type": "scalar"},
    }
)  # fmt: skip
LAYOUT = Layout(SCHEMA, {}, {"count": "int"})
share = st.floats(0, 1, width=64)
side = st.floats(2.0**-10, 1, width=64)
box = st.tuples(share, share, side, side).map(list)
degrees = st.floats(-180, 180, width=64)
ring = st.lists(st.tuples(share, share), min_size=3, max_size=5)
values = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-(2**40), 2**40), "x": st.floats(-1e6, 1e6, width=64), "t": st.text(max_size=5), "b": st.booleans(),
        "s": st.sampled_from(["red", 5]), "l": st.lists(st.text(max_size=3), min_size=1, max_size=3),
    },
)  # fmt: skip


@st.composite
def labels(draw: st.DrawFn) -> list[tuple[str, Label]]:
    """Labels of one image, each with its field."""
    made: list[tuple[str, Label]] = [
        ("boxes", Detection(draw(st.sampled_from(["car", "é <&>"])), draw(box), rotation=draw(degrees), **draw(values)))
        for _ in range(draw(st.integers(0, 3)))
    ]
    made.append(("rounds", Ellipse("w", draw(box), rotation=draw(degrees))))
    made.append(("areas", Polyline("road", draw(st.lists(ring, min_size=1, max_size=3)), filled=True)))
    made.append(("lines", Polyline("edge", draw(st.lists(ring, min_size=1, max_size=2)), closed=draw(st.booleans()))))
    points = draw(st.lists(st.one_of(st.tuples(share, share), st.just((math.nan, math.nan))), min_size=2, max_size=4))
    if not all(math.isnan(x) for x, _ in points):
        made.append(("bodies", Keypoint("p", points)))
    pixels = np.array(draw(st.lists(st.booleans(), min_size=SIZE[0], max_size=SIZE[0]))) & np.ones(SIZE[::-1], bool)
    if pixels.any():
        made.append(("masks", Detection("m", mask=pixels)))
    made += [("scene", Classification(name)) for name in draw(st.lists(st.sampled_from(["day", "night"]), max_size=1))]
    made += [("words", Classification(name)) for name in draw(st.sets(st.sampled_from(["a", "b"])))]
    made.append(("count", Scalar(draw(st.integers(-9, 9)))))
    return made


def table(made: list[tuple[str, Label]]) -> pa.Table:
    rows = [
        one.row() | {"field": field, "label_id": f"l{n}", "sample_id": "s", "rev": 1}
        for n, (field, one) in enumerate(made)
    ]
    return pa.Table.from_pylist(rows, schema=LABELS)


SAMPLE = pa.Table.from_pylist([{"sample_id": "s", "width": SIZE[0], "height": SIZE[1]}], schema=SAMPLES)


def sent_and_back(
    made: list[tuple[str, Label]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, codec.Encoded]]:
    given = table(made)
    encoded = codec.encode_all(given, SAMPLE, LAYOUT, parse(LAYOUT.config()))
    over_the_wire = {s: codec.Encoded(json.loads(json.dumps(e.results)), e.label_ids) for s, e in encoded.items()}
    return given.to_pylist(), codec.as_returned(over_the_wire, LAYOUT).to_pylist(), encoded


@given(labels())
@settings(max_examples=60, deadline=None)
def test_every_label_comes_back_once(made: list[tuple[str, Label]]) -> None:
    given, back, _ = sent_and_back(made)
    found = {row["label_id"]: row for row in back}
    assert len(found) == len(back) == len(given)
    for row in given:
        now = found[row["label_id"]]
        for name in ("field", "kind", "label", "value", "closed", "filled", "visibility", "mask", "attributes"):
            assert (now[name] or None) == (row[name] or None), name
        for name in ("bounding_box", "points"):
            if row["mask"] is None:
                assert np.allclose(flat(now[name]), flat(row[name]), atol=1e-12, equal_nan=True), name
        assert (now["rotation"] or 0) == (row["rotation"] or 0)


@given(labels())
@settings(max_examples=30, deadline=None)
def test_a_label_that_is_replaced_by_itself_changes_nothing(made: list[tuple[str, Label]]) -> None:
    _, back, encoded = sent_and_back(made)
    new = pa.Table.from_pylist([back[0]], codec.REMOTE)
    found = parse(LAYOUT.config())
    again = codec.replace_all({"s": encoded["s"].results}, new, new.slice(0, 0), SAMPLE, LAYOUT, found)
    now = codec.decode_all({"s": again["s"].results}, LAYOUT).to_pylist()
    before = {row["remote_id"]: row for row in back}
    assert {row["remote_id"] for row in now} == before.keys()
    for row in now:
        then = before[row["remote_id"]]
        for name in ("kind", "label", "attributes", "value"):
            assert row[name] == then[name]
        assert np.allclose(flat(row["points"]), flat(then["points"]), atol=1e-12, equal_nan=True)


@given(labels())
@settings(max_examples=20, deadline=None)
def test_what_is_deleted_is_gone_and_nothing_else(made: list[tuple[str, Label]]) -> None:
    _, back, encoded = sent_and_back(made)
    gone = pa.Table.from_pylist([back[-1]], codec.REMOTE)
    found = parse(LAYOUT.config())
    again = codec.replace_all({"s": encoded["s"].results}, gone.slice(0, 0), gone, SAMPLE, LAYOUT, found)
    now = {row["remote_id"] for row in codec.decode_all({"s": again["s"].results}, LAYOUT).to_pylist()}
    assert now == {row["remote_id"] for row in back} - {back[-1]["remote_id"]}


def flat(nested: Any) -> np.ndarray:
    if nested is None:
        return np.zeros(0)
    return np.array([x for part in nested for x in (flat(part) if isinstance(part, list | tuple) else [part])], float)


def _owner(name: str, type_: str) -> dict[str, Any]:
    """A class with an attribute of its own."""
    return {"classes": [name], "attributes": {"k": {"type": type_}}}


def test_a_configuration_says_its_fields() -> None:
    fields, names = found_fields(parse(LAYOUT.config()))
    assert {name: spec["type"] for name, spec in fields.items()} == {
        name: spec.type for name, spec in SCHEMA.fields.items()
    }
    assert fields["boxes"]["classes"] == ["car", "é <&>"]
    types = {name: spec["type"] for name, spec in fields["boxes"]["attributes"].items()}
    assert types == {"n": "number", "x": "number", "t": "text", "b": "checkbox", "s": "select", "l": "list"}
    assert names["boxes.n"] == "boxes.n"


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"a": {"type": "detections", "classes": ["x "]}}, "a: Label Studio cannot hold 'x '; leave out control characters"),
        (
            {"a": {"type": "detections", "classes": [_owner("x", "int"), _owner("y", "text")]}},
            "2 fields or attributes need the control 'a.k'; call them differently, or define them alike",
        ),
        (
            {"a": {"type": "detections", "classes": [_owner("x, y", "int")]}},
            "in Label Studio, a class with attributes of its own has no comma, as 'x, y'; rename it",
        ),
    ],
)  # fmt: skip
def test_what_no_configuration_can_hold_is_said(schema: dict[str, Any], sentence: str) -> None:
    problems = list(Layout(LabelSchema.parse(schema), {}, {}).problems())
    assert len(problems) == 1
    assert sentence in problems[0]
