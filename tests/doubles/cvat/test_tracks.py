"""Tracks: keyframes, values, jobs, skeletons; and intervals."""

from __future__ import annotations

import pytest
from tests.doubles.cvat.caller import LABELS, Caller, Json, specs, values_of

# Tracks


def track(caller: Caller, task: int, *keyframes: Json, **fields: Json) -> Json:
    shapes = [{"type": "rectangle", "points": [1, 1, 9, 9], **keyframe} for keyframe in keyframes]
    return {"frame": 0, "label_id": caller.label(task, "car")["id"], "shapes": shapes, **fields}


def frames(one: Json) -> list[tuple[int, bool]]:
    return [(shape["frame"], shape["outside"]) for shape in one["shapes"]]


def test_keyframes_are_sorted_and_carry_their_values_on(caller: Caller) -> None:
    task = caller.full_task(5, labels=LABELS)
    parked = [{"spec_id": specs(caller, task)["parked"], "value": "true"}]
    sent = track(caller, task, {"frame": 4}, {"frame": 3, "attributes": parked}, {"frame": 1})
    caller.written(f"tasks/{task}", "put", tracks=[sent])
    found = caller.read(f"tasks/{task}")["tracks"][0]
    assert (found["frame"], frames(found)) == (1, [(1, False), (3, False), (4, False)])
    assert [values_of(caller, task, shape)["parked"] for shape in found["shapes"]] == ["false", "true", "true"]
    assert values_of(caller, task, found) == {"make": "none"}


def test_values_have_their_place_in_a_track(caller: Caller) -> None:
    task = caller.full_task(1, labels=LABELS)
    make, parked = ([{"spec_id": specs(caller, task)[name], "value": "x"}] for name in ("make", "parked"))
    good = track(caller, task, {"frame": 0, "attributes": parked}, attributes=make)
    bad = [track(caller, task, {"frame": 0}, attributes=parked), track(caller, task, {"frame": 0, "attributes": make})]
    assert caller.write(f"tasks/{task}", "create", tracks=[good]).status_code == 200
    for wrong in bad:
        refused = caller.write(f"tasks/{task}", "create", tracks=[wrong])
        assert refused.status_code == 400
        assert "is invalid" in refused.json()[0]


def test_an_empty_track(caller: Caller) -> None:
    task = caller.full_task(2, labels=LABELS)
    empty, job = track(caller, task), caller.jobs(task)[0]["id"]
    assert caller.write(f"tasks/{task}", "create", tracks=[empty]).status_code == (200 if caller.is_new else 500)
    assert caller.write(f"jobs/{job}", "create", tracks=[empty]).status_code == 500
    missing = {key: value for key, value in empty.items() if key != "shapes"}
    assert caller.write(f"tasks/{task}", "create", tracks=[missing]).status_code == 400
    if caller.is_new:
        caller.written(f"tasks/{task}", "create", tracks=[track(caller, task, {"frame": 0, "outside": True})])
    assert caller.read(f"tasks/{task}")["tracks"] == []


def test_a_track_is_split_by_jobs(caller: Caller) -> None:
    task = caller.full_task(6, labels=LABELS, segment_size=3)
    ends = {"frame": 0, "points": [0, 0, 10, 10]}, {"frame": 4, "points": [40, 40, 50, 50]}
    caller.written(f"tasks/{task}", "put", tracks=[track(caller, task, *ends)])
    parts = [caller.read(f"jobs/{job['id']}")["tracks"][0] for job in caller.jobs(task)]
    assert [frames(part) for part in parts] == [[(0, False), (2, False)], [(3, False), (4, False)]]
    assert parts[0]["shapes"][1]["points"] == [20, 20, 30, 30], "interpolated at the border"
    assert parts[1]["shapes"][0]["points"] == [30, 30, 40, 40]
    assert parts[0]["id"] != parts[1]["id"]
    whole = caller.read(f"tasks/{task}")["tracks"]
    assert [frames(part) for part in whole] == [[(0, False), (2, False), (3, True)], [(3, False), (4, False)]]


def test_a_track_over_shared_frames_is_stitched(caller: Caller) -> None:
    task = caller.full_task(5, labels=LABELS, segment_size=2, overlap=1)
    ends = {"frame": 0, "points": [0, 0, 10, 10]}, {"frame": 4, "points": [4, 4, 14, 14]}
    caller.written(f"tasks/{task}", "put", tracks=[track(caller, task, *ends)])
    found = caller.read(f"tasks/{task}")["tracks"]
    assert [[shape["frame"] for shape in one["shapes"]] for one in found] == [[0, 1, 2, 3, 4]]


def test_a_keyframe_beyond_the_end(caller: Caller) -> None:
    task = caller.full_task(3, labels=LABELS)
    ends = {"frame": 0, "points": [0, 0, 10, 10]}, {"frame": 4, "points": [4, 4, 14, 14]}
    caller.written(f"tasks/{task}", "put", tracks=[track(caller, task, *ends)])
    found = caller.read(f"tasks/{task}")["tracks"][0]["shapes"]
    assert [(shape["frame"], shape["points"]) for shape in found] == [(0, [0, 0, 10, 10]), (2, [2, 2, 12, 12])]


def test_a_track_that_begins_before_its_first_keyframe_is_hidden_there(caller: Caller) -> None:
    task = caller.full_task(4, labels=LABELS)
    job = f"jobs/{caller.jobs(task)[0]['id']}"
    caller.written(job, "put", tracks=[track(caller, task, {"frame": 2})])
    assert frames(caller.read(job)["tracks"][0]) == [(0, True), (2, False)]


def test_ids_of_keyframes_are_taken_at_their_word(caller: Caller) -> None:
    task = caller.full_task(2, labels=LABELS)
    made = caller.written(f"tasks/{task}", "put", tracks=[track(caller, task, {"frame": 0})])["tracks"][0]
    again = track(caller, task, {"frame": 0, "id": made["shapes"][0]["id"]})
    refused = caller.write(f"tasks/{task}", "create", tracks=[again])
    assert refused.status_code == 400
    assert "duplicate key" in refused.json()


def test_a_track_of_a_skeleton(caller: Caller) -> None:
    task = caller.full_task(4, labels=LABELS)
    label = caller.label(task, "pose")
    points = [{"type": "points", "frame": 1, "points": [1, 2]}, {"type": "points", "frame": 3, "points": [10, 20]}]
    element = {"frame": 0, "label_id": label["sublabels"][0]["id"], "shapes": points}
    parent = {"type": "skeleton", "frame": 0, "points": []}
    sent = {"frame": 0, "label_id": label["id"], "shapes": [parent], "elements": [element]}
    caller.written(f"tasks/{task}", "put", tracks=[sent])
    found = caller.read(f"tasks/{task}")["tracks"][0]
    assert frames(found) == [(0, False)]
    assert frames(found["elements"][0]) == [(0, True), (1, False), (3, False)]


@pytest.mark.parametrize(
    ("kind", "left", "right", "middle"),
    [
        ("polygon", [0, 0, 10, 0, 10, 10], [5, 5, 25, 5, 25, 25], [2.5, 2.5, 17.5, 2.5, 17.5, 17.5]),
        ("polygon", [0, 0, 10, 0, 10, 10, 0, 10], [5, 5, 25, 5, 25, 25], [2.5, 2.5, 17.5, 2.5, 17.5, 17.5, 12.5, 17.5]),
        ("polyline", [0, 0, 10, 0, 20, 10], [5, 5, 25, 5], [2.5, 2.5, 7.5, 2.5, 22.5, 7.5]),
        ("points", [0, 0], [12, 6], [6, 3]),
        ("points", [0, 0, 3, 3], [12, 6, 15, 9], [0, 0, 3, 3]),
    ],
)
def test_what_is_between_two_keyframes(
    caller: Caller, kind: str, left: list[float], right: list[float], middle: list[float]
) -> None:
    """The numbers are those of the real servers."""
    task = caller.full_task(8, labels=LABELS, segment_size=3)
    keyframes = ({"type": kind, "frame": frame, "points": points} for frame, points in ((0, left), (6, right)))
    caller.written(f"tasks/{task}", "put", tracks=[track(caller, task, *keyframes)])
    (second,) = caller.read(f"jobs/{caller.jobs(task)[1]['id']}")["tracks"]
    assert second["shapes"][0]["frame"] == 3
    assert second["shapes"][0]["points"] == pytest.approx(middle)


def test_masks_in_tracks_cannot_be_split(caller: Caller) -> None:
    mask = {"type": "mask", "points": [0, 4, 1, 1, 2, 2]}
    for size, status in ((0, 200), (2, 500)):
        task = caller.full_task(4, labels=LABELS, segment_size=size)
        sent = track(caller, task, {"frame": 0, **mask}, {"frame": 3, **mask})
        assert caller.write(f"tasks/{task}", "put", tracks=[sent]).status_code == status


def test_intervals_are_kept(new: Caller) -> None:
    task = new.full_task(2)
    sent = {"label_id": new.label(task)["id"], "start": 0, "stop": 1}
    new.written(f"tasks/{task}", "put", intervals=[sent])
    assert [(one["start"], one["stop"], one["score"]) for one in new.read(f"tasks/{task}")["intervals"]] == [(0, 1, 1)]
