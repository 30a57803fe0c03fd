"""Shapes, tags and tracks: what is checked and what is not, ids, order, jobs that share frames."""

from __future__ import annotations

import pytest
from tests.doubles.cvat import CvatServer
from tests.doubles.cvat.caller import LABELS, NEW, OLD, Caller, Json, shapes, specs, values_of

# What is checked


@pytest.mark.parametrize(
    ("fields", "old_status", "new_status"),
    [
        ({"points": [1, 2, 3]}, 200, 400),
        ({"type": "polygon", "points": [1, 2, 3, 4]}, 200, 400),
        ({"type": "polyline", "points": [1, 2]}, 200, 400),
        ({"type": "points", "points": []}, 200, 400),
        ({"type": "mask", "points": [0, 1, 2, 3]}, 200, 400),
        ({"type": "mask", "points": [0, 99, 1, 1, 2, 2]}, 200, 200),
        ({"type": "skeleton", "points": []}, 200, 400),
        ({"points": [40, 30, 1, 2]}, 200, 200),
        ({"points": [-5, -5, 9999, 9999]}, 200, 200),
        ({"points": ["1", 2, 3, 4]}, 400, 400),
        ({"type": "blob"}, 400, 400),
        ({"rotation": -1}, 400, 400),
        ({"rotation": 360}, 200, 200),
        ({"group": -1}, 400, 400),
        ({"group": None}, 200, 200),
        ({"frame": -1}, 400, 400),
        ({"frame": "0"}, 200, 200),
        ({"source": "robot"}, 200, 400),
        ({"source": "semi-auto"}, 200, 200),
        ({"source": "a source that is too long"}, 500, 400),
        ({"score": 2}, 200, 400),
        ({"score": None}, 200, 400),
        ({"attributes": [{"spec_id": 1}]}, 500, 500),
        ({"attributes": [{"spec_id": 1, "value": "v" * 4097}]}, 400, 400),
        ({"attributes": [{"spec_id": 1, "value": "v"}]}, 400, 400),
        ({"label_id": 10**8}, 400, 400),
        ({"no_such": 1}, 200, 200),
    ],
)
def test_what_is_checked_of_a_shape(fields: Json, old_status: int, new_status: int) -> None:
    for version, status in ((OLD, old_status), (NEW, new_status)):
        with CvatServer(version, creation_delay=0) as server:
            caller = Caller(server)
            task = caller.full_task(1)
            found = caller.write(f"tasks/{task}", "create", shapes=[{**caller.box(task), **fields}])
            assert found.status_code == status, (version, found.text)


def test_faults_are_told_at_their_place(new: Caller) -> None:
    task = new.full_task(1)
    good, bad = new.box(task), new.box(task, points=[1, 2])
    found = new.write(f"tasks/{task}", "create", shapes=[good, bad])
    assert found.json() == {"shapes": [{}, {"points": ["invalid length for shape type 'rectangle'"]}]}
    without = {key: value for key, value in good.items() if key != "frame"}
    assert new.write(f"tasks/{task}", "create", shapes=[without]).json() == {
        "shapes": [{"frame": ["This field is required."]}]
    }


def test_an_action_is_needed(caller: Caller) -> None:
    refused = caller.call("PATCH", f"/tasks/{caller.full_task(1)}/annotations", {})
    assert (refused.status_code, refused.json()) == (400, ["Please specify a correct 'action' for the request"])


def test_a_task_without_data_has_no_annotations(caller: Caller) -> None:
    refused = caller.call("GET", f"/tasks/{caller.task()}/annotations")
    assert refused.status_code == 400
    assert refused.headers["Content-Type"].startswith("text/html" if caller.is_new else "application/vnd.cvat+json")


def test_a_write_is_done_in_all_jobs_or_in_none(caller: Caller) -> None:
    task = caller.full_task(4, segment_size=2)
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task, 1)])
    wrong = caller.box(task, 3, label_id=10**8)
    for action in ("put", "create"):
        assert caller.write(f"tasks/{task}", action, shapes=[caller.box(task, 0), wrong]).status_code == 400
        assert [shape["frame"] for shape in shapes(caller, f"tasks/{task}")] == [1]


# Attributes


@pytest.mark.parametrize(
    ("sent", "kept"), [(True, "True"), (None, "None"), (5, "5"), ("007", "007"), ("", ""), ("a\nb 'é😀", "a\nb 'é😀")]
)
def test_every_value_becomes_text(caller: Caller, sent: Json, kept: str) -> None:
    task = caller.full_task(1, labels=LABELS)
    number, label = specs(caller, task)["make"], caller.label(task, "car")["id"]
    box = caller.box(task, label_id=label, attributes=[{"spec_id": number, "value": sent}])
    made = caller.written(f"tasks/{task}", "create", shapes=[box])["shapes"][0]
    assert values_of(caller, task, made) == {"make": kept}, "an answer to a write holds what was sent"
    read = shapes(caller, f"tasks/{task}")[0]
    assert values_of(caller, task, read) == {"make": kept, "parked": "false"}, "a GET adds the defaults"


# Ids


def test_ids_given_to_old_servers_are_kept(old: Caller) -> None:
    task, other = old.full_task(1), old.full_task(1)
    first = old.written(f"tasks/{task}", "put", shapes=[old.box(task)])["shapes"][0]
    again = old.written(f"tasks/{task}", "put", shapes=shapes(old, f"tasks/{task}"))["shapes"][0]
    assert again["id"] == first["id"]
    for where in (task, other):
        refused = old.write(f"tasks/{where}", "create", shapes=[old.box(where, id=first["id"])])
        assert refused.status_code == 400
        assert f"Key (id)=({first['id']}) already exists" in refused.json()
    assert old.written(f"tasks/{other}", "create", shapes=[old.box(other, id=777)])["shapes"][0]["id"] == 777


def test_an_id_twice_breaks_the_put_to_a_task_only(old: Caller) -> None:
    task = old.full_task(2)
    twice = [old.box(task, id=77), old.box(task, id=77)]
    assert old.write(f"tasks/{task}", "put", shapes=twice).status_code == 500
    assert old.write(f"jobs/{old.jobs(task)[0]['id']}", "put", shapes=twice).status_code == 400
    assert shapes(old, f"tasks/{task}") == []


def test_ids_given_to_new_servers_are_refused(new: Caller) -> None:
    task = new.full_task(1)
    for action in ("put", "create"):
        found = new.write(f"tasks/{task}", action, shapes=[new.box(task, id=5)])
        assert found.json() == {"shapes": [{"id": ["must be absent"]}]}
    assert new.write(f"tasks/{task}", "create", shapes=[new.box(task, id=None)]).status_code == 200
    missing = new.write(f"tasks/{task}", "delete", shapes=[new.box(task)])
    assert missing.json() == {"shapes": [{"id": ["must be present and not null"]}]}


def test_ids_are_new_after_every_put(new: Caller) -> None:
    task = new.full_task(1)
    first, second = (new.written(f"tasks/{task}", "put", shapes=[new.box(task)])["shapes"][0]["id"] for _ in range(2))
    assert first != second


def test_an_update_keeps_the_id(caller: Caller) -> None:
    task, other = caller.full_task(2), caller.full_task(1)
    made = caller.written(f"tasks/{task}", "create", shapes=[caller.box(task), caller.box(task)])["shapes"]
    changed = {**made[0], "frame": 1, "type": "polygon", "points": [1, 1, 9, 1, 9, 9]}
    caller.written(f"tasks/{task}", "update", shapes=[changed])
    found = {shape["id"]: shape for shape in shapes(caller, f"tasks/{task}")}
    assert set(found) == {made[0]["id"], made[1]["id"]}
    assert (found[made[0]["id"]]["type"], found[made[0]["id"]]["frame"]) == ("polygon", 1)
    assert caller.written(f"tasks/{task}", "update", shapes=[caller.box(task, id=123)])["shapes"][0]["id"] == 123
    assert caller.written(f"tasks/{task}", "update", shapes=[caller.box(task)])["shapes"][0]["id"] not in found
    theirs = caller.box(other, id=made[0]["id"])
    assert caller.write(f"tasks/{other}", "update", shapes=[theirs]).status_code == 400


def test_a_delete_of_what_is_not_there_does_nothing(caller: Caller) -> None:
    task, other = caller.full_task(1), caller.full_task(1)
    made = caller.written(f"tasks/{task}", "create", shapes=[caller.box(task)])["shapes"][0]
    caller.written(f"tasks/{other}", "delete", shapes=[{**caller.box(other), "id": made["id"]}])
    caller.written(f"tasks/{task}", "delete", shapes=[caller.box(task, id=999_999)])
    assert len(shapes(caller, f"tasks/{task}")) == 1
    caller.written(f"tasks/{task}", "delete", shapes=[made])
    assert shapes(caller, f"tasks/{task}") == []


def test_a_score_that_is_left_out_is_reset(new: Caller) -> None:
    task = new.full_task(1)
    made = new.written(f"tasks/{task}", "create", shapes=[new.box(task, score=0.25)])["shapes"][0]
    assert made["score"] == 0.25
    without = {name: value for name, value in made.items() if name != "score"}
    assert new.written(f"tasks/{task}", "update", shapes=[without])["shapes"][0]["score"] == 1


def test_groups_and_scores_of_old_servers(old: Caller) -> None:
    task = old.full_task(1)
    made = old.written(f"tasks/{task}", "create", shapes=[old.box(task, score=0.5)])["shapes"][0]
    assert made["group"] is None
    assert "score" not in made


def test_order_means_nothing(caller: Caller) -> None:
    task = caller.full_task(1)
    sent = [[n, 0.0, 50.0, 40.0] for n in range(40)]
    made = caller.written(f"tasks/{task}", "put", shapes=[caller.box(task, points=points) for points in sent])
    for answer in (made["shapes"], shapes(caller, f"tasks/{task}")):
        points = [shape["points"] for shape in answer]
        assert points != sent
        assert sorted(points) == sent


def test_numbers_keep_their_precision(caller: Caller) -> None:
    task = caller.full_task(1)
    points = [2 / 3, 1e-9, 1234567.123456789, 1.0]
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task, points=points)])
    assert shapes(caller, f"tasks/{task}")[0]["points"] == points


# Jobs


def test_frames_outside_a_task_are_dropped_and_outside_a_job_are_kept(caller: Caller) -> None:
    task = caller.full_task(4, segment_size=2)
    first, second = (f"jobs/{job['id']}" for job in caller.jobs(task))
    made = caller.written(f"tasks/{task}", "put", shapes=[caller.box(task, frame) for frame in (0, 3, 4)])
    assert sorted(shape["frame"] for shape in made["shapes"]) == [0, 3]
    caller.written(first, "create", shapes=[caller.box(task, 3), caller.box(task, 99)])
    assert [shape["frame"] for shape in shapes(caller, first)] == [0, 3, 99]
    assert [shape["frame"] for shape in shapes(caller, second)] == [3]
    assert [shape["frame"] for shape in shapes(caller, f"tasks/{task}")] == [0, 3, 3, 99]


def test_a_put_to_a_job_touches_that_job_only(caller: Caller) -> None:
    task = caller.full_task(4, segment_size=2)
    first, second = caller.jobs(task)
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task, 0), caller.box(task, 2)])
    before = caller.json("GET", f"/tasks/{task}")["updated_date"], caller.jobs(task)[1]["updated_date"]
    caller.written(f"jobs/{first['id']}", "put")
    assert [shape["frame"] for shape in shapes(caller, f"tasks/{task}")] == [2]
    after = caller.json("GET", f"/tasks/{task}")["updated_date"], caller.jobs(task)[1]["updated_date"]
    assert after[0] > before[0]
    assert after[1] == before[1]
    assert second["state"] == "new"


def test_shapes_on_shared_frames(caller: Caller) -> None:
    task = caller.full_task(3, segment_size=2, overlap=1)
    kinds = {
        "rectangle": [1, 1, 9, 9],
        "polygon": [1, 1, 9, 1, 9, 9],
        "points": [1, 1],
        "polyline": [1, 1, 9, 9],
        "ellipse": [5, 5, 9, 1],
        "mask": [0, 4, 1, 1, 2, 2],
    }
    sent = [caller.box(task, 1, type=kind, points=points) for kind, points in kinds.items()]
    tag = {"frame": 1, "label_id": caller.label(task)["id"]}
    caller.written(f"tasks/{task}", "put", shapes=sent, tags=[tag])
    stored = [caller.read(f"jobs/{job['id']}") for job in caller.jobs(task)]
    assert [(len(one["shapes"]), len(one["tags"])) for one in stored] == [(6, 1), (6, 1)]
    assert not {s["id"] for s in stored[0]["shapes"]} & {s["id"] for s in stored[1]["shapes"]}
    whole = caller.read(f"tasks/{task}")
    counts = {kind: sum(shape["type"] == kind for shape in whole["shapes"]) for kind in kinds}
    assert counts == {"rectangle": 1, "polygon": 1, "points": 2, "polyline": 2, "ellipse": 2, "mask": 2}
    assert len(whole["tags"]) == 1


def test_shapes_that_differ_enough_are_two(caller: Caller) -> None:
    task = caller.full_task(3, segment_size=2, overlap=1)
    near, far = [1, 1, 10, 10], [4, 4, 13, 13]
    triangle, other = [0, 0, 10, 0, 10, 10], [0, 0, 10, 0, 0, 10]
    first, second = (f"jobs/{job['id']}" for job in caller.jobs(task))
    caller.written(
        first, "put", shapes=[caller.box(task, 1, points=near), caller.box(task, 1, type="polygon", points=triangle)]
    )
    caller.written(
        second, "put", shapes=[caller.box(task, 1, points=far), caller.box(task, 1, type="polygon", points=other)]
    )
    assert len(shapes(caller, f"tasks/{task}")) == 4
    close, nearly = [1, 1, 10, 9.5], [0, 0, 10, 0.2, 10, 10]
    caller.written(
        second, "put", shapes=[caller.box(task, 1, points=close), caller.box(task, 1, type="polygon", points=nearly)]
    )
    assert len(shapes(caller, f"tasks/{task}")) == 2


def test_delete_all(caller: Caller) -> None:
    task = caller.full_task(4, segment_size=2)
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task, 0), caller.box(task, 2)])
    assert caller.status("DELETE", f"/jobs/{caller.jobs(task)[0]['id']}/annotations") == 204
    assert [shape["frame"] for shape in shapes(caller, f"tasks/{task}")] == [2]
    assert caller.status("DELETE", f"/tasks/{task}/annotations/") == 204
    assert shapes(caller, f"tasks/{task}") == []


# Skeletons


def skeleton(caller: Caller, task: int, frame: int, element_frame: int) -> Json:
    label = caller.label(task, "pose")
    element = {"type": "points", "frame": element_frame, "label_id": label["sublabels"][0]["id"], "points": [1, 2]}
    return {"type": "skeleton", "frame": frame, "label_id": label["id"], "points": [], "elements": [element]}


def test_an_element_on_another_frame_poisons_new_servers(caller: Caller) -> None:
    task = caller.full_task(2, labels=LABELS)
    where = f"tasks/{task}"
    assert caller.write(where, "create", shapes=[skeleton(caller, task, 0, 1)]).status_code == 200
    expected = 500 if caller.is_new else 200
    assert caller.status("GET", f"/{where}/annotations") == expected
    assert caller.write(where, "put").status_code == expected
    assert caller.status("DELETE", f"/{where}/annotations") == (500 if caller.is_new else 204)


def test_a_poisonous_skeleton_can_be_deleted_by_its_id(new: Caller) -> None:
    task = new.full_task(2, labels=LABELS)
    where = f"tasks/{task}"
    made = new.written(where, "create", shapes=[skeleton(new, task, 0, 1)])["shapes"]
    assert new.write(where, "delete", shapes=made).status_code == 200
    assert shapes(new, where) == []


def test_a_skeleton_keeps_the_ids_of_its_elements(caller: Caller) -> None:
    task = caller.full_task(2, labels=LABELS)
    made = caller.written(f"tasks/{task}", "create", shapes=[skeleton(caller, task, 0, 0)])["shapes"][0]
    made["elements"][0]["points"] = [5.0, 6.0]
    caller.written(f"tasks/{task}", "update", shapes=[made])
    found = shapes(caller, f"tasks/{task}")[0]
    assert (found["elements"][0]["id"], found["elements"][0]["points"]) == (made["elements"][0]["id"], [5, 6])
