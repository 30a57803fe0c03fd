"""Projects, labels, tasks, jobs, issues."""

from __future__ import annotations

import pytest
from tests.doubles.cvat.caller import Caller, Json, image


def attribute(name: str = "side", kind: str = "select", *values: str, mutable: bool = True) -> Json:
    return {"name": name, "mutable": mutable, "input_type": kind, "default_value": "", "values": list(values)}


# Labels


def test_labels_are_added_renamed_and_deleted_through_their_task(caller: Caller) -> None:
    task = caller.full_task(1, labels=[{"name": "a", "color": "#ff0000"}, {"name": "b"}])
    path, a, b = f"/tasks/{task}", caller.label(task, "a"), caller.label(task, "b")
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task), caller.box(task, label_id=b["id"])])
    again = caller.call("PATCH", path, {"labels": [{"name": "a"}]})
    assert (again.status_code, again.json()) == (400, ["All label names must be unique"])
    assert caller.status("PATCH", path, {"labels": [{"name": "c"}]}) == 200
    assert caller.status("PATCH", path, {"labels": [{"id": a["id"], "name": "a2"}]}) == 200
    assert caller.status("PATCH", path, {"labels": [{"id": b["id"], "deleted": True}]}) == 200
    assert [label["name"] for label in caller.rows(f"/labels?task_id={task}")] == ["a2", "c"]
    assert [shape["label_id"] for shape in caller.read(f"tasks/{task}")["shapes"]] == [a["id"]]
    assert caller.status("PATCH", path, {"labels": [{"id": 99, "name": "x"}]}) == 404


def test_a_colour_that_is_left_out_is_lost(caller: Caller) -> None:
    task = caller.task(labels=[{"name": "a", "color": "#ff0000"}])
    label = caller.label(task)
    assert caller.json("PATCH", f"/labels/{label['id']}", {"name": "b", "color": "#ff0000"})["color"] == "#ff0000"
    assert caller.json("PATCH", f"/labels/{label['id']}", {"name": "b"})["color"] != "#ff0000"


def test_a_label_goes_with_its_annotations(caller: Caller) -> None:
    task = caller.full_task(1)
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task)])
    assert caller.status("DELETE", f"/labels/{caller.label(task)['id']}") == 204
    assert caller.read(f"tasks/{task}")["shapes"] == []


def test_labels_of_a_project_belong_to_the_project(caller: Caller) -> None:
    project = caller.json("POST", "/projects", {"name": "p", "labels": [{"name": "a"}]})["id"]
    task = caller.task(project_id=project)
    assert caller.label(task)["project_id"] == project
    assert "task_id" not in caller.label(task)
    assert caller.status("PATCH", f"/tasks/{task}", {"labels": [{"name": "b"}]}) == 200
    assert len(caller.rows(f"/labels?task_id={task}")) == 1
    assert caller.status("PATCH", f"/projects/{project}", {"labels": [{"name": "b"}]}) == 200
    assert len(caller.rows(f"/labels?task_id={task}")) == 2
    assert caller.status("GET", f"/labels?task_id={task}&project_id={project}") == 400


def test_what_is_checked_of_a_label(caller: Caller) -> None:
    def status(**label: Json) -> int:
        return caller.status("POST", "/tasks", {"name": "t", "labels": [{"name": "a", **label}]})

    assert status(type="blob") == (400 if caller.is_new else 201)
    assert status(color="red") == 201
    assert status(attributes=[{**attribute("k", "select", "x"), "default_value": "y"}]) == 201
    assert status(attributes=[attribute("k", "number", "0", "0.5", "1")]) == 201
    assert status(attributes=[attribute("k"), attribute("k")]) == 400
    assert status(attributes=[attribute("k", "colour")]) == 400
    assert status(name="n" * 65) == 400
    assert status(attributes=[attribute("k", "select", "v" * 4097)]) == 400


def test_attributes_are_edited_by_id(caller: Caller) -> None:
    task = caller.full_task(1, labels=[{"name": "a", "attributes": [attribute("side", "select", "left", "right")]}])
    label = caller.label(task)
    number, path = label["attributes"][0]["id"], f"/labels/{label['id']}"
    value = [{"spec_id": number, "value": "left"}]
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task, attributes=value)])

    def status(**change: Json) -> int:
        return caller.status("PATCH", path, {"attributes": [{"id": number, "name": "side", **change}]})

    assert status(values=["left", "right", "top"]) == 200
    assert status(values=["left"]) == (400 if caller.is_new else 200)
    assert status(mutable=False) == (400 if caller.is_new else 200)
    assert status(input_type="text") == (400 if caller.is_new else 200)
    assert caller.status("PATCH", path, {"attributes": [attribute("more", "text")]}) == 200
    assert len(caller.label(task)["attributes"]) == 2
    assert status(deleted=True) == 200
    assert [a["name"] for a in caller.label(task)["attributes"]] == (["more"] if caller.is_new else ["side", "more"])
    left = caller.read(f"tasks/{task}")["shapes"][0]["attributes"]
    assert (number in [value["spec_id"] for value in left]) is not caller.is_new


def test_sublabels_are_changed_with_their_parent_only(caller: Caller) -> None:
    parts = [{"name": "nose", "type": "points"}]
    svg = '<circle data-type="element node" data-element-id="1" data-node-id="1" data-label-name="nose"></circle>'
    task = caller.task(labels=[{"name": "a", "type": "skeleton", "sublabels": parts, "svg": svg}])
    label = caller.label(task)
    nose = label["sublabels"][0]["id"]
    assert f'data-label-id="{nose}"' in label["svg"]
    assert caller.status("DELETE", f"/labels/{nose}") == 400
    assert caller.status("PATCH", f"/labels/{label['id']}", {"deleted": True}) == 400


# Tasks and projects


def test_a_task_has_labels_or_a_project(caller: Caller) -> None:
    project = caller.json("POST", "/projects", {"name": "p"})["id"]
    assert caller.status("POST", "/tasks", {"name": "t"}) == (201 if caller.is_new else 400)
    both = {"name": "t", "project_id": project, "labels": []}
    assert caller.status("POST", "/tasks", both) == (201 if caller.is_new else 400)
    unknown = caller.call("POST", "/tasks", {"name": "t", "project_id": 99})
    assert (unknown.status_code, unknown.json()) == (400, ["Project matching query does not exist."])


def test_what_is_checked_of_a_task(caller: Caller) -> None:
    def status(**fields: Json) -> int:
        return caller.status("POST", "/tasks", {"name": "t", "labels": [], **fields})

    assert status(name="") == 400
    assert status(name="n" * 257) == 400
    assert status(subset="s" * 65) == 400
    assert status(segment_size=-1) == 400
    assert status(overlap=None) == 201
    assert caller.status("POST", "/tasks", {"labels": []}) == 400
    assert caller.status("PATCH", f"/tasks/{caller.task()}", {"project_id": None}) == 500
    assert caller.status("PUT", f"/tasks/{caller.task()}", {"name": "t"}) == 405


def test_names_need_not_be_unique(caller: Caller) -> None:
    assert caller.task(name="same") != caller.task(name="same")
    assert len(caller.rows("/tasks?name=same")) == 2


def test_a_project_goes_with_its_tasks(caller: Caller) -> None:
    project = caller.json("POST", "/projects", {"name": "p", "labels": [{"name": "a"}]})["id"]
    task = caller.full_task(1, project_id=project, subset="train")
    told = caller.json("GET", f"/projects/{project}")
    assert (told["tasks"]["count"], told["task_subsets"]) == (1, ["train"])
    assert caller.status("PATCH", f"/projects/{project}", {"task_subsets": []}) == (403 if caller.is_new else 200)
    assert caller.status("DELETE", f"/projects/{project}") == 204
    assert caller.status("GET", f"/tasks/{task}") == 404
    assert caller.status("DELETE", f"/projects/{project}") == 404
    assert caller.rows("/jobs") == []


def test_a_task_is_done_when_all_its_jobs_are(caller: Caller) -> None:
    task = caller.full_task(4, segment_size=2)
    first, second = (job["id"] for job in caller.jobs(task))

    def after(job: int, **fields: str) -> tuple[str, str]:
        caller.json("PATCH", f"/jobs/{job}", fields)
        told = caller.json("GET", f"/tasks/{task}")
        return told["status"], f"{told['jobs']['validation']}/{told['jobs']['completed']}"

    assert after(first, state="completed") == ("annotation", "0/0")
    assert after(first, stage="validation") == ("annotation", "1/0")
    assert caller.json("GET", f"/jobs/{first}")["state"] == "new"
    assert after(first, stage="acceptance", state="completed") == ("annotation", "0/1")
    assert after(second, stage="acceptance", state="completed") == ("completed", "0/2")
    assert caller.status("PATCH", f"/jobs/{first}", {"stage": "done"}) == 400


def test_only_ground_truth_jobs_can_be_deleted(caller: Caller) -> None:
    task = caller.full_task(2)
    assert caller.status("DELETE", f"/jobs/{caller.jobs(task)[0]['id']}") == 400
    body = {"task_id": task, "type": "ground_truth", "frame_selection_method": "manual", "frames": [0]}
    job = caller.json("POST", "/jobs", body)["id"]
    caller.written(f"jobs/{job}", "put", shapes=[caller.box(task)])
    assert caller.read(f"tasks/{task}")["shapes"] == [], "ground truth is not in the task's annotations"
    assert len(caller.read(f"jobs/{job}")["shapes"]) == 1
    assert caller.status("DELETE", f"/jobs/{job}") == 204
    assert len(caller.jobs(task)) == 1


def test_consensus_replicas(new: Caller) -> None:
    task = new.full_task(5, segment_size=3, consensus_replicas=2)
    jobs = new.jobs(task)
    assert [job["type"] for job in jobs] == ["annotation", "consensus_replica", "consensus_replica"] * 2
    assert [job["parent_job_id"] for job in jobs[:3]] == [None, jobs[0]["id"], jobs[0]["id"]]
    assert (jobs[0]["replicas_count"], new.json("GET", f"/tasks/{task}")["consensus_enabled"]) == (2, True)
    new.written(f"tasks/{task}", "put", shapes=[new.box(task)])
    new.written(f"jobs/{jobs[1]['id']}", "put", shapes=[new.box(task), new.box(task)])
    assert len(new.read(f"tasks/{task}")["shapes"]) == 1
    path = f"/jobs/{jobs[1]['id']}"
    assert new.json("GET", path)["state"] == "new", "a save does not move the job"
    refused = new.call("DELETE", path)
    assert (refused.status_code, refused.json()) == (400, ["Only ground truth jobs can be removed"])
    assert new.status("PATCH", path, {"parent_job_id": jobs[3]["id"]}) == 403
    made = new.call("POST", "/jobs", {"type": "consensus_replica", "task_id": task})
    assert (made.status_code, made.json()) == (400, ["Unexpected job type 'consensus_replica'"])


def test_who_has_a_replica_sees_it_and_nothing_else_of_the_task(new: Caller) -> None:
    task = new.full_task(4, segment_size=2, consensus_replicas=2)
    jobs = new.jobs(task)
    user = new.server.add_user("zoe", "word")
    new.json("PATCH", f"/jobs/{jobs[1]['id']}", {"assignee": user.id})
    zoe = Caller(new.server, f"Token {new.server.key_of('zoe')}")
    assert [job["id"] for job in zoe.jobs(task)] == [jobs[1]["id"]]
    assert [zoe.status("GET", f"/jobs/{job['id']}/annotations") for job in jobs[:3]] == [403, 200, 403]
    assert (zoe.status("GET", f"/tasks/{task}"), zoe.status("GET", f"/labels?task_id={task}")) == (403, 403)
    assert zoe.status("GET", f"/labels?job_id={jobs[1]['id']}") == 200
    shape = new.box(task, 3)  # the server does not look at the frames of the job
    assert [one["frame"] for one in zoe.written(f"jobs/{jobs[1]['id']}", "create", shapes=[shape])["shapes"]] == [3]
    assert zoe.status("PATCH", f"/jobs/{jobs[1]['id']}", {"state": "completed"}) == 200
    assert zoe.status("PATCH", f"/jobs/{jobs[1]['id']}", {"stage": "acceptance"}) == 403


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (1, "Consensus replicas must be 0 or a positive number more than 1 and less than 12, got 1"),
        (12, "Consensus replicas must be 0 or a positive number more than 1 and less than 12, got 12"),
        (-1, "Ensure this value is greater than or equal to 0."),
        ("x", "A valid integer is required."),
        (None, "This field may not be null."),
    ],
)
def test_the_number_of_replicas(new: Caller, given: object, text: str) -> None:
    found = new.call("POST", "/tasks", {"name": "t", "labels": [{"name": "a"}], "consensus_replicas": given})
    assert (found.status_code, found.json()) == (400, {"consensus_replicas": [text]})


def honeypot_task(new: Caller) -> int:
    task = new.task(segment_size=3)
    pool = {"mode": "gt_pool", "frame_selection_method": "random_uniform", "frame_count": 3, "frames_per_job_count": 1}
    options = {"sorting_method": "random", "validation_params": pool}
    sent = new.session(task, {f"{n}.jpg": image() for n in range(10)}, **options)
    assert sent.status_code == 202
    new.wait(task)
    return task


def test_a_task_with_honeypots(new: Caller) -> None:
    task = honeypot_task(new)
    told, layout = new.json("GET", f"/tasks/{task}"), new.json("GET", f"/tasks/{task}/validation_layout")
    assert (told["size"], told["validation_mode"], told["segment_size"]) == (13, "gt_pool", 0)
    assert layout["validation_frames"] == [10, 11, 12]
    assert layout["honeypot_count"] == 3
    names = new.names(task)
    assert len(set(names)) == 10
    for copy, real in zip(layout["honeypot_frames"], layout["honeypot_real_frames"], strict=True):
        assert names[copy] == names[real]
    assert [job["type"] for job in new.jobs(task)] == ["annotation"] * 3 + ["ground_truth"]
    pool = new.box(task, layout["honeypot_real_frames"][0])
    made = new.written(f"tasks/{task}", "put", shapes=[pool])["shapes"]
    frames = {shape["frame"] for shape in made}
    assert {pool["frame"], layout["honeypot_frames"][0]} <= frames, "the copy of the frame has it too"
    assert {shape["frame"] for shape in new.read(f"tasks/{task}")["shapes"]} == frames
    changed = next(shape for shape in made if shape["frame"] == pool["frame"])
    assert new.write(f"tasks/{task}", "update", shapes=[changed]).status_code == 400


def test_ground_truth_named_with_the_upload(new: Caller) -> None:
    task = new.task()
    chosen = {"mode": "gt", "frame_selection_method": "manual", "frames": ["1.jpg"]}
    new.session(task, {f"{n}.jpg": image() for n in range(3)}, validation_params=chosen)
    new.wait(task)
    layout = new.json("GET", f"/tasks/{task}/validation_layout")
    assert (layout["mode"], layout["validation_frames"]) == ("gt", [1])
    plain = new.json("GET", f"/tasks/{new.full_task(1)}/validation_layout")
    assert plain == {"mode": None, "frames_per_job_count": None}


# Issues, guides


def test_issues_and_comments(caller: Caller) -> None:
    job = caller.jobs(caller.full_task(1))[0]["id"]
    body = {"job": job, "frame": 0, "position": [1, 2, 30, 40], "message": "Fix this box"}
    issue = caller.json("POST", "/issues", body)
    assert (issue["comments"]["count"], issue["resolved"]) == (1, False)
    assert caller.status("POST", "/issues", {**body, "message": ""}) == 400
    caller.json("POST", "/comments", {"issue": issue["id"], "message": "Done"})
    assert [c["message"] for c in caller.rows(f"/comments?issue_id={issue['id']}")] == ["Done", "Fix this box"]
    assert caller.json("PATCH", f"/issues/{issue['id']}", {"resolved": True})["resolved"] is True
    assert caller.json("GET", f"/jobs/{job}")["issues"]["count"] == 1
    assert len(caller.rows(f"/issues?job_id={job}")) == 1
    for query in (f"job_id={job}", f'filter={{"in":[{{"var":"job_id"}},[{job}]]}}', "frame_id=0"):
        assert len(caller.rows(f"/comments?{query}")) == 2, query
    assert caller.rows('/comments?filter={"in":[{"var":"job_id"},[7]]}') == []
    spaced = caller.json("POST", "/comments", {"issue": issue["id"], "message": "  two\n\nlines \n"})
    assert spaced["message"] == "two\n\nlines"
    assert caller.status("POST", "/issues", {**body, "position": []}) == 400
    gone = caller.call("POST", "/issues", {**body, "job": 9_999})
    assert (gone.status_code, gone.json()) == (400, ["Job matching query does not exist."])
    assert caller.status("DELETE", f"/issues/{issue['id']}") == 204
    assert caller.rows("/comments") == []


def test_a_guide(caller: Caller) -> None:
    task = caller.task()
    guide = caller.json("POST", "/guides", {"task_id": task, "markdown": "# How"})
    assert caller.json("GET", f"/tasks/{task}")["guide_id"] == guide["id"]
    assert caller.json("GET", f"/guides/{guide['id']}")["markdown"] == "# How"


# Exports


def test_an_export_is_begun_only(caller: Caller) -> None:
    task = caller.full_task(1)
    path = f"/tasks/{task}/dataset/export?format=COCO%201.0&save_images"
    if not caller.is_new:
        assert caller.status("GET", f"/tasks/{task}/dataset?format=COCO%201.0") == 202
        assert caller.status("GET", f"/tasks/{task}/dataset?format=no") == 400
        return
    assert caller.call("POST", f"{path}=true").json()["rq_id"].endswith("&subresource=dataset")
    assert caller.status("POST", f"{path}=true") == 409
    assert caller.status("POST", f"{path}=banana") == 500
    assert caller.status("POST", f"/tasks/{task}/dataset/export") == 400
    assert caller.status("GET", f"/tasks/{task}/annotations?format=COCO%201.0") == 410
