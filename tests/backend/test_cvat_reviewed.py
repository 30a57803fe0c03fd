"""What CVAT says is done: on doubles, and on a real server where one is configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.backend.cvat_pushes import Pushing, image_samples, label_rows, video_sample
from tests.backend.test_cvat_videos import FRAMES, film
from tests.cvat_servers import Server

from annobridge.core import rows
from annobridge.exceptions import Gone
from annobridge_cvat import reviewed

BOXES = {"objects": {"type": "detections", "classes": ["car"], "attributes": False}}


@pytest.fixture
def send(server: Server, tmp_path: Path) -> Iterator[Any]:
    made: list[Pushing] = []

    def call(samples: pa.Table | None = None, schema: Any = None, **options: Any) -> Pushing:
        samples = image_samples(tmp_path, 5) if samples is None else samples
        labels = label_rows("objects", "s0", [rows.Detection("car", [0.1, 0.1, 0.2, 0.2])]) if schema is None else []
        made.append(Pushing(server, schema or BOXES, samples, labels, **options))
        return made[-1]

    yield call
    for one in made:
        one.close()


def jobs(run: Pushing) -> list[dict[str, Any]]:
    task = run.editor.tasks[0]["task"]
    found = run.editor.call("GET", "/api/jobs", params={"task_id": task, "page_size": "all"})["results"]
    return sorted(found, key=lambda job: job["id"])


def move(run: Pushing, number: int, **fields: Any) -> None:
    run.editor.call("PATCH", f"/api/jobs/{jobs(run)[number]['id']}", json=fields)


def done(run: Pushing) -> dict[str, bool]:
    return {row["sample_id"]: row["reviewed"] for row in run.download().reviewed.to_pylist()}


@pytest.mark.parametrize(
    ("stage", "state", "is_reviewed"),
    [
        ("annotation", "new", False),
        ("annotation", "in progress", False),
        ("annotation", "completed", True),
        ("annotation", "rejected", False),
        ("validation", "new", True),
        ("validation", "in progress", True),
        ("validation", "completed", True),
        ("validation", "rejected", False),
        ("acceptance", "new", True),
        ("acceptance", "completed", True),
        ("acceptance", "rejected", False),
    ],
)
def test_what_is_reviewed(stage: str, state: str, is_reviewed: bool) -> None:
    assert reviewed.is_reviewed({"stage": stage, "state": state}) is is_reviewed


@pytest.mark.every_version
def test_samples_have_the_state_of_their_job(send: Any) -> None:
    run = send(segment_size=2)
    me = run.editor.call("GET", "/api/users/self")
    move(run, 1, assignee=me["id"])
    move(run, 1, state="completed")
    move(run, 2, stage="validation", state="rejected")
    there = jobs(run)
    table = run.download().reviewed.to_pylist()
    assert [(r["sample_id"], r["reviewed"], r["state"], r["by"]) for r in table] == [
        ("s0", False, "annotation, new", None), ("s1", False, "annotation, new", None),
        ("s2", True, "annotation, completed", me["username"]), ("s3", True, "annotation, completed", me["username"]),
        ("s4", False, "validation, rejected", None),
    ]  # fmt: skip
    assert f"{table[2]['time']:%Y-%m-%dT%H:%M:%S.%f}" == there[1]["updated_date"].removesuffix("Z")
    status = run.backend.status(run.receipt)
    assert status.reviewed == 2
    assert [(job["samples"], job["reviewed"]) for job in status.jobs] == [(2, 0), (2, 2), (1, 0)]


def test_a_video_is_reviewed_when_all_its_jobs_are(send: Any, tmp_path: Path) -> None:
    schema = {"frames.objects": {"type": "detections", "classes": ["car"]}}
    run = send(video_sample(film(tmp_path / "v.mp4"), FRAMES), schema, segment_size=6)
    assert (done(run), run.backend.status(run.receipt).reviewed) == ({"v": False}, 0)
    move(run, 0, state="completed")
    (row,) = run.download().reviewed.to_pylist()
    assert (row["reviewed"], row["state"]) == (False, "annotation, new")
    move(run, 1, stage="acceptance", state="completed")
    assert (done(run), run.backend.status(run.receipt).reviewed) == ({"v": True}, 1)


def test_a_ground_truth_job_does_not_count(send: Any) -> None:
    run = send()
    task = run.editor.tasks[0]["task"]
    body = {"task_id": task, "type": "ground_truth", "frame_selection_method": "manual", "frames": [1]}
    made = run.editor.call("POST", "/api/jobs", json=body)
    run.editor.call("PATCH", f"/api/jobs/{made['id']}", json={"state": "completed"})
    assert not any(done(run).values())
    status = run.backend.status(run.receipt)
    assert status.reviewed == 0
    assert [("samples" in job) for job in status.jobs if "ground_truth" in str(job["name"])] == [False]


def test_removed_images_are_not_said_to_be_anything(send: Any) -> None:
    run = send()
    move(run, 0, state="completed")
    task = run.editor.tasks[0]["task"]
    run.editor.call("PATCH", f"/api/tasks/{task}/data/meta", json={"deleted_frames": [0]})
    assert done(run) == {f"s{n}": True for n in range(1, 5)}


def test_a_load_of_some_jobs_knows_the_progress_of_all(send: Any) -> None:
    run = send(segment_size=2, only_states=("completed",))
    move(run, 1, state="completed")
    got = run.download()
    assert (got.samples.to_pylist(), len(got.reviewed)) == (["s2", "s3"], 5)


def test_labels_have_the_date_of_their_job(send: Any) -> None:
    run = send(segment_size=2)
    (row,) = run.download().labels.to_pylist()
    assert f"{row['time']:%Y-%m-%dT%H:%M:%S.%f}" == jobs(run)[0]["updated_date"].removesuffix("Z")


@pytest.mark.every_version
def test_the_mark_moves_with_every_change_and_only_then(send: Any) -> None:
    run = send(segment_size=2)
    task = run.editor.tasks[0]
    seen = [run.backend.status(run.receipt).mark]

    def moved() -> bool:
        seen.append(run.backend.status(run.receipt).mark)
        return seen[-1] != seen[-2]

    assert not moved()
    run.download()
    assert not moved()
    shape = run.editor.draw(task, "rectangle", 2, "car", [1, 1, 9, 9])
    assert moved()
    run.editor.send(task, "update", "shapes", {**shape, "points": [2, 2, 9, 9]})
    assert moved()
    job = jobs(run)[1]["id"]
    now = run.editor.call("GET", f"/api/jobs/{job}/annotations")["shapes"]
    body = {"version": 0, "tags": [], "shapes": [{k: v for k, v in now[0].items() if k != "id"}], "tracks": []}
    run.editor.call("PUT", f"/api/jobs/{job}/annotations", json=body)
    assert moved()
    run.editor.call("PUT", f"/api/tasks/{task['task']}/annotations", json=body)
    assert moved()
    run.editor.call("DELETE", f"/api/jobs/{job}/annotations")
    assert moved()
    move(run, 0, state="in progress")
    assert moved()
    run.editor.call("POST", "/api/issues", json={"job": job, "frame": 2, "position": [1, 1, 2, 2], "message": "?"})
    assert moved()
    label = run.editor.label(task, "car")
    run.editor.call("PATCH", f"/api/labels/{label['id']}", json={"name": "auto", "color": label["color"]})
    assert moved()
    assert not moved()


def test_the_mark_of_a_task_that_is_gone(send: Any) -> None:
    run = send()
    run.editor.call("DELETE", f"/api/tasks/{run.editor.tasks[0]['task']}")
    with pytest.raises(Gone):
        run.backend.status(run.receipt)
