"""Tasks that move into projects, and labels that are deleted and made again: both get new numbers."""

from __future__ import annotations

import pytest
from tests.doubles.cvat.caller import LABELS, Caller, Json


def project(caller: Caller, *labels: Json) -> int:
    return caller.json("POST", "/projects", {"name": "p", "labels": list(labels)})["id"]


def filled(caller: Caller) -> int:
    """A task with a car of a make, and a track of a car that is parked from its second keyframe on."""
    task = caller.full_task(3, labels=LABELS)
    car = caller.label(task, "car")
    make, parked = ({a["name"]: a["id"] for a in car["attributes"]}[name] for name in ("make", "parked"))
    nose = caller.label(task, "pose")["sublabels"][0]["id"]
    box = caller.box(task, label_id=car["id"], attributes=[{"spec_id": make, "value": "vw"}])
    element = {"type": "points", "frame": 0, "label_id": nose, "points": [1, 2], "attributes": []}
    pose = {"type": "skeleton", "frame": 0, "label_id": caller.label(task, "pose")["id"], "elements": [element]}
    key: Json = {"type": "rectangle", "points": [1, 2, 3, 4], "outside": False, "attributes": []}
    keys = [{**key, "frame": 0}, {**key, "frame": 1, "attributes": [{"spec_id": parked, "value": "true"}]}]
    track = {"frame": 0, "label_id": car["id"], "attributes": [{"spec_id": make, "value": "bmw"}], "shapes": keys}
    caller.written(f"tasks/{task}", "put", shapes=[box, pose], tracks=[track])
    return task


def words(caller: Caller, task: int) -> list[tuple[str, Json]]:
    """All that is in a task, by names: what a person sees."""
    labels = caller.rows(f"/labels?task_id={task}")
    names = {each["id"]: each["name"] for label in labels for each in (label, *label["sublabels"])}
    specs = {a["id"]: a["name"] for label in labels for a in label["attributes"]}
    found = caller.read(f"tasks/{task}")

    def told(item: Json) -> Json:
        inner = [told(part) for part in (*item.get("elements", ()), *item.get("shapes", ()))]
        values = sorted((specs[a["spec_id"]], a["value"]) for a in item["attributes"])
        return names.get(item.get("label_id")), values, inner

    return sorted((kind, told(item)) for kind in ("shapes", "tracks") for item in found[kind])


def test_a_move_keeps_all_but_the_numbers(caller: Caller) -> None:
    task = filled(caller)
    before, labels = words(caller, task), {label["id"] for label in caller.rows(f"/labels?task_id={task}")}
    target = project(caller, *reversed(LABELS), {"name": "more"})
    assert caller.json("PATCH", f"/tasks/{task}", {"project_id": target})["project_id"] == target
    assert words(caller, task) == before
    assert not labels & {label["id"] for label in caller.rows(f"/labels?task_id={task}")}
    other = project(caller, *LABELS, {"name": "more"})
    assert caller.status("PATCH", f"/tasks/{task}", {"project_id": other}) == 200
    assert words(caller, task) == before


def test_labels_may_go_to_others(caller: Caller) -> None:
    task = filled(caller)
    target = project(caller, LABELS[0], {**LABELS[1], "name": "auto"}, LABELS[2])
    rename = [{"id": caller.label(task, "car")["id"], "name": "auto"}]
    assert caller.status("PATCH", f"/tasks/{task}", {"project_id": target, "labels": rename}) == 200
    assert {told[0] for _, told in words(caller, task)} == {"auto", "pose"}


@pytest.mark.parametrize("labels", [LABELS[:2], [*LABELS[:2], {"name": "pose", "type": "skeleton", "sublabels": []}]])
def test_a_project_must_have_every_label(caller: Caller, labels: list[Json]) -> None:
    task = filled(caller)
    before = words(caller, task)
    refused = caller.call("PATCH", f"/tasks/{task}", {"project_id": project(caller, *labels)})
    text = "All task or project label names must be mapped to the target project"
    assert (refused.status_code, refused.json()) == (400, {"non_field_errors": [text]})
    assert words(caller, task) == before


def test_a_project_must_have_every_attribute_with_the_same_choices(caller: Caller) -> None:
    task = filled(caller)
    car = {**LABELS[1], "attributes": [LABELS[1]["attributes"][0]]}
    refused = caller.call("PATCH", f"/tasks/{task}", {"project_id": project(caller, LABELS[0], car, LABELS[2])})
    assert (refused.status_code, refused.json()) == (
        400,
        ['Target project does not have "car" label with "parked" attribute'],
    )
    assert caller.json("GET", f"/tasks/{task}")["project_id"] is None


def test_a_move_to_nowhere(caller: Caller) -> None:
    task = caller.task()
    assert caller.status("PATCH", f"/tasks/{task}", {"project_id": None}) == 500
    assert caller.status("PATCH", f"/tasks/{task}", {"project_id": 9}) == 400


def test_a_label_that_is_made_again_is_another(caller: Caller) -> None:
    task = filled(caller)
    car = caller.label(task, "car")
    assert caller.status("DELETE", f"/labels/{car['id']}") == 204
    assert caller.status("PATCH", f"/tasks/{task}", {"labels": [LABELS[1]]}) == 200
    assert caller.label(task, "car")["id"] != car["id"]
    assert {told[0] for _, told in words(caller, task)} == {"pose"}


def test_an_attribute_that_is_made_again_has_its_default(new: Caller) -> None:
    task = filled(new)
    car = new.label(task, "car")
    make = next(a for a in car["attributes"] if a["name"] == "make")
    path = f"/labels/{car['id']}"
    for change in ({"id": make["id"], "deleted": True}, LABELS[1]["attributes"][0]):
        assert new.status("PATCH", path, {"color": car["color"], "attributes": [change]}) == 200
    assert new.label(task, "car")["attributes"][-1]["id"] != make["id"]
    values = [dict(told[1])["make"] for _, told in words(new, task) if told[0] == "car"]
    assert values == ["none", "none"]
