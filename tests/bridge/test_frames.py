"""What a tool says of frames and tracks: numbers on images, fields of frames, attributes that may not change in a track."""

from __future__ import annotations

from typing import Any

import pytest

import annobridge as ab

BOX = [0.1, 0.1, 0.2, 0.2]
COLOR = {"color": {"type": "text", "mutable": False}, "pose": {"type": "text", "mutable": True}}
TRACKED = {"frames.f": {"type": "detections", "classes": ["car", "bus"], "attributes": COLOR}}


def video(bridge: Any, *frames: dict[str, Any], schema: Any = TRACKED) -> None:
    """A video, with boxes of its frames that were sent: id, index and color of each."""
    bridge.ds.add_samples([{"filepath": "v.mp4", "sample_id": "v", "media_type": "video"}])
    if frames:
        boxes = [ab.Detection("car", BOX, sample_id="v", frame_number=n + 1, **f) for n, f in enumerate(frames)]
        bridge.ds.add_labels("frames.f", boxes)
    bridge.annotate(schema=schema)


def findings(table: Any) -> list[tuple[str, str]]:
    return sorted((r["component"], r["reason"]) for r in table.to_pylist())


def red(label_id: str, index: int | None = 1, **attributes: Any) -> dict[str, Any]:
    return {"label_id": label_id, "index": index, "color": "red", **attributes}


def test_a_frame_number_on_an_image_is_left_out_and_told(sent):
    before = sent.labels()
    sent.hands.set("car0", frame_number=3, label="person")
    sent.hands.set("man0", frame_number=4)
    sent.hands.add("s1", frame_number=5)
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 1, 0)
    assert sent.label("car0")["label"] == "person"
    assert sent.label("man0") == before["man0"]
    assert all(row["frame_number"] is None for row in sent.labels().values())
    reason = "its sample is an image, which has no frames; the frame number was left out"
    assert findings(report.dropped) == [("spatial", reason)] * 3
    assert len(sent.again_is_nothing().dropped) == 3


def test_a_strange_label_with_a_frame_number_makes_no_field_of_frames_on_an_image(sent):
    sent.hands.add("s1", field=None, kind="polygon", frame_number=2)
    sent.load(unexpected="keep")
    (row,) = sent.labels("polygons").values()
    assert row["frame_number"] is None
    assert not [name for name in sent.ds.label_fields() if name.startswith("frames.")]


def test_a_label_on_no_frame_does_not_enter_a_field_of_frames(empty):
    video(empty, red("a"), red("b"))
    before = empty.labels()
    empty.hands.add("v", field="frames.f", frame_number=None)
    empty.hands.set("a", frame_number=None, label="bus")
    report = empty.load()
    reason = "it is on no frame, and its field is a field of frames"
    assert findings(report.refused) == [("existence", reason), ("spatial", reason)]
    assert (report.total, empty.label("a")["label"]) == (1, "bus")
    assert empty.label("a")["frame_number"] == 1
    assert empty.label("b") == before["b"]


def test_a_label_on_a_frame_does_not_enter_a_field_of_whole_videos(empty):
    schema = {"weather": {"type": "classifications", "classes": ["sun"]}}
    video(empty, schema=schema)
    empty.hands.add("v", "sun", "weather", "classification", frame_number=2)
    report = empty.load()
    assert findings(report.refused) == [("existence", "it is on a frame, and its field is not a field of frames")]
    assert report.total == 0


VARIED = ("attributes.color", "the attribute is not mutable, and the tool returned several values for one track")


def test_one_frame_of_a_track_cannot_have_another_value(empty):
    video(empty, red("a"), red("b", pose="up"), red("c"), red("other", 2), red("alone", None))
    empty.hands.set("b", attributes={"color": "blue", "pose": "down"}, label="bus")
    empty.hands.set("alone", attributes={"color": "blue"})
    empty.hands.set("other", attributes={"color": "blue"})  # the one frame of its track
    report = empty.load()
    assert findings(report.refused) == [VARIED]
    refused = report.refused.to_pylist()[0]
    assert (refused["label_id"], refused["base"], refused["theirs"]) == ("b", '"red"', '"blue"')
    assert empty.values("b") == {"color": '"red"', "pose": '"down"'}
    assert empty.label("b")["label"] == "bus"
    assert [empty.values(i)["color"] for i in ("a", "c", "other", "alone")] == ['"red"', '"red"', '"blue"', '"blue"']
    assert findings(empty.again_is_nothing().refused) == [VARIED]


def test_all_frames_of_a_track_may_have_another_value(empty):
    video(empty, red("a"), red("b"))
    for label in ("a", "b"):
        empty.hands.set(label, attributes={"color": "blue"})
    report = empty.load()
    assert (report.edited, len(report.refused)) == (2, 0)
    assert {empty.values(i)["color"] for i in "ab"} == {'"blue"'}


def test_a_value_that_one_frame_lost_is_another_value(empty):
    video(empty, red("a"), red("b"))
    empty.hands.set("a", attributes={"color": None})
    assert findings(empty.load().refused) == [VARIED]
    assert empty.values("a")["color"] == '"red"'


def test_a_new_frame_has_the_value_of_its_track(empty):
    video(empty, red("a"), red("b"))
    before = empty.labels()
    empty.hands.add("v", field="frames.f", frame_number=7, index=1, attributes={"color": "blue"})
    report = empty.load()
    assert (report.added, findings(report.refused)) == (1, [VARIED])
    (new,) = empty.new(before)
    assert empty.values(new["label_id"]) == {"color": '"red"'}


def test_a_new_track_of_several_values_has_none(empty):
    video(empty)
    for n, color in ((1, "red"), (2, "blue")):
        empty.hands.add("v", field="frames.f", frame_number=n, index=1, attributes={"color": color, "pose": color})
    report = empty.load()
    assert (report.added, findings(report.refused)) == (2, [VARIED, VARIED])
    assert [empty.values(i) for i in empty.labels()] == [{"pose": '"red"'}, {"pose": '"blue"'}]


def test_values_that_were_sent_and_nobody_touched_are_not_told(empty):
    video(empty, red("a"), {"label_id": "b", "index": 1, "color": "blue"}, {"label_id": "c", "index": 1})
    report = empty.again_is_nothing()
    assert len(report.refused) == 0


@pytest.mark.parametrize("mutable", [True, False])
def test_a_class_has_its_own_rule(empty, mutable):
    own = {"color": {"type": "text", "mutable": mutable}}
    classes = [{"classes": ["car"], "attributes": own}, "bus"]
    video(empty, red("a"), red("b"), schema={"frames.f": {"type": "detections", "classes": classes}})
    empty.hands.set("a", attributes={"color": "blue"})
    report = empty.load()
    assert (report.edited, len(report.refused)) == ((1, 0) if mutable else (0, 1))


def test_attributes_of_images_are_not_those_of_tracks(bridge):
    schema = {"objects": {"type": "detections", "attributes": {"color": {"type": "text", "mutable": False}}}}
    bridge.ds.set_labels([{"label_id": i, "index": 1} for i in ("car0", "man0")])
    bridge.annotate(schema=schema)
    bridge.hands.set("car0", attributes={"color": "blue"})
    report = bridge.load()
    assert (report.edited, len(report.refused)) == (1, 0)
