"""Labels that the tool did not change are left out before the merge: its result is the same as with them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples

from annobridge.core.labels import BASELINE, OURS, REMOTE, SINGLE, conform
from annobridge.core.merge import tracks
from annobridge.core.merge.match import match
from annobridge.core.merge.output import Provenance, TaskNames
from annobridge.core.merge.policy import Policy
from annobridge.core.merge.reconcile import merge
from annobridge.core.merge.route import route
from annobridge.core.merge.unchanged import without_unchanged
from annobridge.core.rows import attribute
from annobridge.core.schema import LabelSchema

RUN = str(uuid.UUID(int=7))
COLOR = {"type": "select", "values": ["red", "blue"]}
SCHEMA = LabelSchema.parse({
    "objects": {"type": "detections", "classes": ["car", "bus"], "attributes": {"color": COLOR}},
    "scene": {"type": "classification", "classes": ["car", "bus"]},
    "frames.objects": {"type": "detections", "classes": ["car", "bus"], "attributes": {"color": {**COLOR, "mutable": False}}},
})  # fmt: skip
SAMPLES = ["a", "b"]
PROVENANCE = Provenance("r", RUN, TaskNames.one("t"), 1, "memory", datetime(2026, 1, 1, tzinfo=UTC), {0: 1})

values = st.fixed_dictionaries({
    "sample_id": st.sampled_from(SAMPLES), "field": st.sampled_from(list(SCHEMA.fields)),
    "label": st.sampled_from(["car", "bus", "ship"]),
    "x": st.sampled_from([0.1, 0.2]), "color": st.sampled_from(["red", "blue", "green", None]), "index": st.integers(0, 1),
})  # fmt: skip
labels = st.lists(values, max_size=8)
edits = st.lists(st.none() | values | st.just("delete") | st.just("twice"), max_size=8)


def row(label_id: str, given: dict[str, Any]) -> dict[str, Any]:
    in_video, is_scene = given["field"].startswith("frames."), given["field"] == "scene"
    color = given["color"] and not is_scene
    return {
        "label_id": label_id, "remote_id": label_id,
        "sample_id": given["sample_id"], "field": given["field"], "label": given["label"],
        "kind": "classification" if is_scene else "box", "frame_number": 1 if in_video else None,
        "index": given["index"] if in_video else None, "bounding_box": None if is_scene else [given["x"], 0.0, 0.5, 0.5],
        "attributes": [attribute("color", given["color"])] if color else [], "rev": 1,
    }  # fmt: skip


def result(base: pa.Table, theirs: pa.Table, ours: pa.Table) -> list[Any]:
    matched = match(RUN, base, theirs, SCHEMA)
    routed = route(matched, base, SCHEMA, "keep")
    found, refused = tracks.restore_fixed_attributes(routed.labels, base, SCHEMA)
    single = [name for name, spec in SCHEMA.fields.items() if spec.type in SINGLE]
    merged = merge(base, found, ours, pa.array(SAMPLES), SCHEMA, single, Policy.parse("theirs"), PROVENANCE)
    parts = [merged.writes, merged.replaced, merged.baseline, merged.refused, merged.conflicts]
    return [
        sorted(map(repr, part.to_pylist()))
        for part in [*parts, refused, routed.refused, routed.unexpected, routed.found]
    ]


@examples(40)
@given(labels, edits, labels, st.lists(st.booleans(), min_size=8, max_size=8))
def test_the_merge_is_the_same_without_them(sent, edited, added, known_field):
    before = [row(f"sent{n}", given) for n, given in enumerate(sent)]
    now = []
    for n, (label, edit) in enumerate(zip(before, [*edited, *[None] * 8], strict=False)):
        if edit == "delete":
            continue
        changed = (
            row(label["label_id"], {**sent[n], **edit, "sample_id": label["sample_id"]})
            if isinstance(edit, dict)
            else label
        )
        now += [changed] * (2 if edit == "twice" else 1)
    now += [row(f"new{n}", given) for n, given in enumerate(added)]
    theirs = [
        {**label, "field": label["field"] if known else None}
        for label, known in zip(now, known_field * 4, strict=False)
    ]
    base = conform(pa.Table.from_pylist(before, REMOTE), BASELINE, run_id=RUN, task="t", load=0, gone=False, rev=1)
    here = pa.Table.from_pylist(before, OURS).drop_columns(["_row_last_updated_at_version"])
    ours = conform(here, OURS, _row_last_updated_at_version=1)
    tool = pa.Table.from_pylist(theirs, REMOTE)
    changed = without_unchanged(base, tool)
    assert result(changed.base, changed.theirs, ours) == result(base, tool, ours)


def test_what_is_left_out():
    given_values = {"sample_id": "a", "field": "objects", "label": "car", "x": 0.1, "color": "red", "index": 0}
    rows = [
        row("same", given_values),
        row("moved", given_values),
        row("track", {**given_values, "field": "frames.objects"}),
    ]
    base = conform(pa.Table.from_pylist(rows, REMOTE), BASELINE, run_id=RUN, task="t", load=0, gone=False, rev=1)
    rows[1] = row("moved", {**given_values, "x": 0.2})
    changed = without_unchanged(base, pa.Table.from_pylist([*rows, row("new", given_values)], REMOTE))
    assert changed.base["label_id"].to_pylist() == ["moved", "track"]
    assert changed.theirs["label_id"].to_pylist() == ["moved", "track", "new"]
