"""Labels of every kind that nobody changed in CVAT are decoded to exactly what was sent."""

from __future__ import annotations

import copy
import json
import random
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples

from annobridge.core.compare import equal_rows
from annobridge.core.labels import LABELS, REMOTE
from annobridge.core.schema import LabelSchema
from annobridge.testing import strategies
from annobridge_cvat import decode, download, remote_ids
from annobridge_cvat.baseline import keep_unchanged
from annobridge_cvat.encode import encode
from annobridge_cvat.frames import Frames
from annobridge_cvat.vocabulary import Vocabulary

SIZE = strategies.IMAGE_SIZE
TYPES = [
    "classifications", "detections", "instances", "polygons", "polylines", "keypoints", "ellipses", "cuboids", "scalar",
]  # fmt: skip
ATTRIBUTES = {
    "note": {"type": "text"},
    "count": {"type": "int"},
    "ratio": {"type": "float"},
    "seen": {"type": "checkbox"},
    "side": {"type": "select", "values": ["left", "right"]},
}
VALUES = {
    "note": strategies.texts,
    "count": st.integers(-5, 5),
    "ratio": st.floats(-1e9, 1e9),
    "seen": st.booleans(),
    "side": st.sampled_from(["left", "right"]),
}


def numbered(vocabulary: Vocabulary) -> tuple[Vocabulary, list[dict[str, Any]]]:
    """The vocabulary with numbers as a server gives them, and its label set."""
    numbers = count(100)
    labels = [
        {
            "id": next(numbers),
            "name": e.name,
            "attributes": [{"id": next(numbers), "name": a.name} for a in e.definitions],
            "sublabels": [{"id": next(numbers), "name": name} for name in e.skeleton],
        }
        for e in vocabulary.entries
    ]
    return vocabulary.with_ids(labels), labels


def stored(items: dict[str, list[Any]], seed: int) -> dict[str, list[Any]]:
    """What a server answers: the same through JSON, with ids, in another order."""
    numbers, found = count(1), copy.deepcopy(json.loads(json.dumps(items, allow_nan=False)))
    for objects in found.values():
        random.Random(seed).shuffle(objects)
        for one in objects:
            one["id"] = next(numbers)
            random.Random(seed).shuffle(one["attributes"])
    return found


def frames(samples: list[str], size: tuple[int, int] = SIZE) -> Frames:
    sizes = np.tile(np.array(size, np.int64), (len(samples), 1))
    return Frames(pa.array(samples, pa.string()), np.zeros(len(samples), np.int64), sizes)


def back(table: pa.Table, schema: LabelSchema, where: Frames, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """The baseline of what was sent, and what comes back."""
    vocabulary, labels = numbered(Vocabulary.of(schema, {}))
    sent = encode(table, vocabulary, where)
    there = stored(sent.items, seed)
    baseline = remote_ids.with_remote_ids(table, remote_ids.assign(sent, there, table, vocabulary))
    names = {label["id"]: label["name"] for label in labels}
    found = list(decode.read_labels(there, np.ones(len(where), bool)))
    found = download.join_parts(found, baseline, vocabulary, where)
    found, index = remote_ids.follow_tracks(found, baseline, where)
    scalars: dict[str, str] = {}
    labels_now = decode.Decoder(vocabulary, where, names, scalars).table(found, index, {})
    return baseline, keep_unchanged(labels_now, baseline, vocabulary)


def same(a: pa.Table, b: pa.Table) -> None:
    """Equal by remote id, in every column that a tool has."""
    a, b = (t.sort_by([("remote_id", "ascending")]).combine_chunks() for t in (a, b))
    assert a["remote_id"].to_pylist() == b["remote_id"].to_pylist()
    for name in REMOTE.names:
        if name not in ("label_id", "rev", "confidence", "tags", "run", "tool", "annotator", "time", "field"):
            unlike = np.flatnonzero(~equal_rows(a[name].combine_chunks(), b[name].combine_chunks()))
            assert not unlike.size, (name, a[name][int(unlike[0])], b[name][int(unlike[0])])


def schema_of(label_type: str) -> LabelSchema:
    spec: dict[str, Any] = {"type": label_type, "attributes": ATTRIBUTES}
    if label_type == "scalar":
        spec["attributes"] = {}
    else:
        spec["classes"] = list(strategies.CLASSES)
    return LabelSchema.parse({"field": spec})


@st.composite
def tables(draw: strategies.Draw, label_type: str) -> pa.Table:
    rows = draw(strategies.label_rows(("s1", "s2"), {"field": label_type}))
    for row in rows:
        given = draw(st.fixed_dictionaries({}, optional=VALUES)) if label_type != "scalar" else {}
        row["attributes"] = strategies.rows.attributes(given)
        row.pop("index", None)
        if row["kind"] == "keypoints" and all(np.isnan(p).any() for p in row["points"][0]):
            row["points"][0][0] = [0.5, 0.5]
    return pa.Table.from_pylist(rows, schema=LABELS)


@pytest.mark.parametrize("label_type", TYPES)
@examples(40)
@given(data=st.data())
def test_untouched_labels_come_back_to_the_bit(label_type: str, data: st.DataObject) -> None:
    table = data.draw(tables(label_type))
    baseline, now = back(table, schema_of(label_type), frames(["s1", "s2"]), data.draw(st.integers(0, 3)))
    assert baseline.num_rows == table.num_rows
    same(baseline, now)


def test_missing_points_attributes_and_confidence_stay_with_a_moved_label() -> None:
    """Only what people changed is taken: the keypoint that was missing is still in its place."""
    spec = {"field": {"type": "keypoints", "classes": ["person"], "attributes": {"note": {"type": "text"}}}}
    made = strategies.rows.Keypoint("person", [(0.1, 0.2), (np.nan, np.nan), (0.5, 0.5)], [1, 0, 2], note="007")
    table = pa.Table.from_pylist([made.row() | _place("a")], schema=LABELS)
    vocabulary, labels = numbered(Vocabulary.of(LabelSchema.parse(spec), {}))
    where = frames(["s1"], (100, 100))
    sent = encode(table, vocabulary, where)
    there = stored(sent.items, 0)
    baseline = remote_ids.with_remote_ids(table, remote_ids.assign(sent, there, table, vocabulary))
    there["shapes"][0]["points"][2] = 60.0
    found = list(decode.read_labels(there, np.ones(1, bool)))
    now = decode.Decoder(vocabulary, where, {label["id"]: label["name"] for label in labels}, {}).table(found, {}, {})
    row = keep_unchanged(now, baseline, vocabulary).to_pylist()[0]
    assert [p if p[0] == p[0] else None for p in row["points"][0]] == [[0.1, 0.2], None, [0.6, 0.5]]
    assert (row["visibility"], row["attributes"][0]["value"]) == ([1, 0, 2], '"007"')


def _place(label_id: str, sample_id: str = "s1") -> dict[str, Any]:
    return {"label_id": label_id, "sample_id": sample_id, "field": "field", "rev": 1}


def _skeletons() -> tuple[LabelSchema, pa.Table]:
    spec = {"type": "skeletons", "classes": ["person"], "skeleton": {"labels": ["head", "hand", "foot"]}}
    points = [(0.1, 0.2), (np.nan, np.nan), (1 / 3, 0.5)]
    rows = [strategies.rows.Skeleton("person", points, [2, 0, 1]).row() | _place("a")]
    return LabelSchema.parse({"field": spec}), pa.Table.from_pylist(rows, schema=LABELS)


def test_untouched_skeletons_come_back_to_the_bit() -> None:
    schema, table = _skeletons()
    baseline, now = back(table, schema, frames(["s1"], (100, 100)))
    same(baseline, now)


def test_untouched_segmentations_come_back_to_the_bit() -> None:
    """Also when people drew a class in two pieces: they are one label, with the pixels of both."""
    pixels = np.zeros((48, 64), np.uint8)
    pixels[3:9, 2:7], pixels[20:30, 40:50] = 1, 2
    made = strategies.rows.Segmentation(pixels, {1: "road", 2: "sky"})
    rows = [one.row() | _place(f"m{n}") for n, one in enumerate(made)]
    schema = LabelSchema.parse({"field": {"type": "segmentation", "classes": ["road", "sky"]}})
    baseline, now = back(pa.Table.from_pylist(rows, schema=LABELS), schema, frames(["s1"], (64, 48)))
    assert sorted(now["remote_id"].to_pylist()) == ["field:0:road", "field:0:sky"]
    same(baseline, now)


# Tracks


def video(size: int) -> Frames:
    numbers = np.arange(1, size + 1, dtype=np.int64)
    return Frames(pa.array(["v"] * size), numbers, np.tile(np.array([100, 50], np.int64), (size, 1)))


def track_rows(index: int, seen: list[int], start: int = 0, **more: Any) -> list[dict[str, Any]]:
    """A box that moves by a pixel a frame."""
    return [
        strategies.rows.Detection("car", [(start + n) / 100, 0.1, 0.1, 0.2], index=index, frame_number=n, **more).row()
        | {"label_id": f"{index}-{n}", "sample_id": "v", "field": "frames.field", "rev": 1}
        for n in seen
    ]


TRACKED = LabelSchema.parse(
    {"frames.field": {"type": "detections", "classes": ["car", "bus"], "attributes": {"side": {"type": "text"}}}}
)


class Filled:
    """A task with tracks, as people find it."""

    def __init__(self, rows: list[dict[str, Any]], size: int) -> None:
        self.where, table = video(size), pa.Table.from_pylist(rows, schema=LABELS)
        self.vocabulary, self.labels = numbered(Vocabulary.of(TRACKED, {}))
        sent = encode(table, self.vocabulary, self.where)
        self.there = stored(sent.items, 1)
        self.baseline = remote_ids.with_remote_ids(table, remote_ids.assign(sent, self.there, table, self.vocabulary))

    def now(self) -> list[dict[str, Any]]:
        found = list(decode.read_labels(self.there, np.ones(len(self.where), bool)))
        found, index = remote_ids.follow_tracks(found, self.baseline, self.where)
        names = {label["id"]: label["name"] for label in self.labels}
        table = decode.Decoder(self.vocabulary, self.where, names, {}).table(found, index, {})
        kept = keep_unchanged(table, self.baseline, self.vocabulary)
        rows: list[dict[str, Any]] = kept.sort_by([("index", "ascending"), ("frame_number", "ascending")]).to_pylist()
        return rows

    def known(self) -> dict[str, str]:
        return dict(zip(self.baseline["remote_id"].to_pylist(), self.baseline["label_id"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    "seen", [[1, 2, 3], [1, 2, 5, 6], [4], [9, 10], [1, 3, 5, 10]], ids=["run", "gap", "one", "to the end", "holes"]
)
def test_untouched_tracks_come_back_to_the_bit(seen: list[int]) -> None:
    filled = Filled([*track_rows(7, seen, side="left"), *track_rows(9, [2, 3], 40, side="right")], 10)
    rows = pa.Table.from_pylist(filled.now(), schema=REMOTE)
    same(filled.baseline, rows)


def test_only_keyframes_are_sent_where_labels_name_them() -> None:
    rows = track_rows(1, list(range(1, 11)))
    for row in rows:
        row["keyframe"] = row["frame_number"] in (1, 10)
    filled = Filled(rows, 10)
    assert [s["frame"] for s in filled.there["tracks"][0]["shapes"]] == [0, 9]
    same(filled.baseline, pa.Table.from_pylist(filled.now(), schema=REMOTE))


def test_a_new_track_gets_an_index_of_its_own() -> None:
    filled = Filled(track_rows(3, [1, 2]), 4)
    shape = {**copy.deepcopy(filled.there["tracks"][0]["shapes"][0]), "frame": 2, "points": [50.0, 5.0, 60.0, 9.0]}
    filled.there["tracks"].append({**filled.there["tracks"][0], "id": 99, "frame": 2, "shapes": [shape]})
    rows = filled.now()
    assert [(r["index"], r["frame_number"]) for r in rows] == [(3, 1), (3, 2), (99, 3), (99, 4)]


def test_merged_tracks_keep_their_labels_and_take_one_index() -> None:
    """CVAT removes both tracks and makes a third; only the index of the second part is edited."""
    filled = Filled([*track_rows(1, [1, 2, 3]), *track_rows(2, [4, 5], 10)], 5)
    first, second = sorted(filled.there["tracks"], key=lambda t: t["frame"])
    keys = [s for t in (first, second) for s in t["shapes"] if not s["outside"]]
    filled.there["tracks"] = [{**first, "id": 50, "shapes": keys}]
    rows, known = filled.now(), filled.known()
    assert sorted(known[r["remote_id"]] for r in rows) == ["1-1", "1-2", "1-3", "2-4", "2-5"]
    assert {r["index"] for r in rows} == {1}


def test_a_split_track_keeps_its_labels_and_its_second_part_takes_a_new_index() -> None:
    filled = Filled(track_rows(1, [1, 2, 3, 4, 5]), 5)
    (track,) = filled.there["tracks"]
    end = {**track["shapes"][2], "outside": True}
    filled.there["tracks"] = [
        {**track, "id": 50, "shapes": [*track["shapes"][:2], end]},
        {**track, "id": 51, "frame": 2, "shapes": track["shapes"][2:]},
    ]
    rows, known = filled.now(), filled.known()
    assert sorted(known[r["remote_id"]] for r in rows) == ["1-1", "1-2", "1-3", "1-4", "1-5"]
    assert {(r["frame_number"], r["index"]) for r in rows} == {(1, 50), (2, 50), (3, 1), (4, 1), (5, 1)}


def test_a_moved_keyframe_edits_its_neighbours_by_interpolation() -> None:
    rows = track_rows(1, list(range(1, 6)))
    for row in rows:
        row["keyframe"] = row["frame_number"] in (1, 5)
    filled = Filled(rows, 5)
    (track,) = filled.there["tracks"]
    track["shapes"].append({**track["shapes"][0], "frame": 2, "points": [50.0, 5.0, 60.0, 15.0]})
    boxes = {r["frame_number"]: (r["bounding_box"][0], r["keyframe"]) for r in filled.now()}
    assert boxes[3] == (pytest.approx(0.5), True)
    assert boxes[2] == (pytest.approx((0.01 + 0.5) / 2), False)
    assert boxes[1] == (0.01, True)


# Attributes


def test_text_stays_text() -> None:
    schema = LabelSchema.parse(
        {"field": {"type": "detections", "classes": ["car"], "attributes": {"note": {"type": "text"}}}}
    )
    for word in ("007", "true", "1e5", "null", ""):
        made = strategies.rows.Detection("car", [0, 0, 0.5, 0.5], note=word)
        _, now = back(pa.Table.from_pylist([made.row() | _place("a")], schema=LABELS), schema, frames(["s1"]))
        assert now["attributes"][0].as_py() == [{"name": "note", "type": "str", "value": json.dumps(word)}]
