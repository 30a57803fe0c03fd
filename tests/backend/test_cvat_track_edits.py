"""Edits of single frames of a track: the frames that are edited are as wanted, and all the others are where they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.schema import Attribute
from annobridge_cvat import track_edits
from annobridge_cvat.object_edits import Changes
from annobridge_cvat.track_edits import FrameEdit, edit_track, visible
from annobridge_cvat.tracks import Shape
from annobridge_cvat.vocabulary import Entry, Vocabulary

SIZE = 12  # frames of the job
COLOUR = Attribute("colour", "text", mutable=True)
PLATE = Attribute("plate", "text")
KINDS = {"rectangle": 4, "polygon": 6, "points": 2, "mask": 0}
MASKS = ([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 2.0, 3.0, 3.0, 4.0, 3.0])

Json = dict[str, Any]


def entry(kind: str) -> Entry:
    return Entry("car", "car", {kind: "f"}, (COLOUR, PLATE), number=1, attributes={"colour": 5, "plate": 6})


coordinates = st.integers(0, 99).map(float)


@st.composite
def points(draw: Any, kind: str) -> list[float]:
    return list(
        draw(st.sampled_from(MASKS))
        if kind == "mask"
        else draw(st.lists(coordinates, min_size=KINDS[kind], max_size=KINDS[kind]))
    )


@st.composite
def tracks(draw: Any, kind: str) -> Json:
    """A track as the server has it: keyframes, some outside; colours on some of them."""
    frames = sorted(draw(st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=6)))
    shapes = []
    for n, frame in enumerate(frames):
        # The server fills in what a keyframe does not set, from the one before or by default.
        colour = [{"spec_id": 5, "value": draw(st.sampled_from(["red", "blue"]))}]
        shapes.append({
            "id": 100 + n, "type": kind, "frame": frame, "points": draw(points(kind)), "rotation": 0.0, "z_order": 0,
            "occluded": draw(st.booleans()), "outside": bool(n) and draw(st.booleans()), "attributes": colour,
        })  # fmt: skip
    return {
        "id": 7, "label_id": 1, "frame": frames[0], "group": 0, "source": "manual", "attributes": [{"spec_id": 6, "value": "A"}],
        "shapes": shapes, "elements": [], "first": 0, "last": SIZE - 1, "job": 3,
    }  # fmt: skip


def shape(kind: str, frame: int, xy: list[float], colour: str, plate: str = "A") -> Shape:
    attributes = [{"spec_id": 5, "value": colour}, {"spec_id": 6, "value": plate}]
    builtin = {"occluded": False, "group": 0, "z_order": 0, "source": "manual"}
    return Shape(entry(kind), kind, frame, [xy], 0.0, None, attributes, builtin, 1, None)


def values(track: Json | None, removed: frozenset[int]) -> dict[int, tuple[list[float], bool, str]]:
    """Points, occluded and colour by frame."""
    if track is None:
        return {}
    return {
        frame: (list(s.points), bool(s.shape["occluded"]), {a["spec_id"]: a["value"] for a in s.attributes}.get(5, ""))
        for frame, s in visible(track, removed).items()
    }


@pytest.mark.parametrize("kind", list(KINDS))
@given(data=st.data())
def test_edited_frames_are_as_wanted_and_the_others_stay(kind: str, data: st.DataObject) -> None:
    track = data.draw(tracks(kind))
    removed = frozenset(data.draw(st.sets(st.integers(1, SIZE - 1), max_size=2)))
    before = values(track, removed)
    frames = [f for f in range(SIZE) if f not in removed]
    hidden = data.draw(st.sets(st.sampled_from([*before, -1]), max_size=3)) - {-1}
    chosen = data.draw(st.sets(st.sampled_from(frames), max_size=4)) - hidden
    edits, model = {}, {f: v for f, v in before.items() if f not in hidden}
    for frame in chosen:
        wanted = shape(kind, frame, data.draw(points(kind)), "green")
        if frame in before:
            spatial, colour = data.draw(st.booleans()), data.draw(st.booleans())
            edits[frame] = FrameEdit(wanted, Changes(False, spatial, {"colour": "green"} if colour else {}, {}))
            xy, occluded, was = before[frame]
            model[frame] = (wanted.parts[0] if spatial else xy, occluded, "green" if colour else was)
        else:
            edits[frame] = FrameEdit(wanted, Changes(False, True, {}, {}))
            model[frame] = (wanted.parts[0], False, "green")
    if not edits and not hidden:
        return
    after = edit_track(track, edits, hidden, removed, Vocabulary([entry(kind)], {"f": "box"}))
    found = values(after, removed)
    assert found.keys() == model.keys()
    for frame, (xy, occluded, colour) in model.items():
        assert found[frame][1:] == (occluded, colour)
        assert np.allclose(found[frame][0], xy, rtol=0, atol=1e-5), frame
    if after is not None:
        ids = [s["id"] for s in after["shapes"] if "id" in s]
        assert len(ids) == len(set(ids))
        assert set(ids) <= {s["id"] for s in track["shapes"]}
        assert after["id"] == 7
        kept = {s["id"] for s in track["shapes"] if s["frame"] in removed}
        assert kept <= set(ids)


@pytest.mark.parametrize(
    ("frames", "plates", "wrong"),
    [([0, 1, 2], "BBB", set()), ([0, 1], "BB", {0, 1}), ([0, 1, 2], "BBC", {0, 1, 2}), ([1], "A", set())],
)
def test_what_holds_for_the_whole_track_is_changed_on_all_frames_or_not(
    frames: list[int], plates: str, wrong: set[int]
) -> None:
    edits = {}
    for frame, plate in zip(frames, plates, strict=True):
        old, new = (shape("rectangle", frame, [0, 0, 9, 9], "red", p) for p in ("A", plate))
        edits[frame] = FrameEdit(new, Changes.between(old, new))
    assert track_edits.refused(edits, [0, 1, 2]) == wrong
