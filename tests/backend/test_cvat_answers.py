"""What each person has made of a CVAT task: on doubles, and on a real server where one is configured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.backend.cvat_pushes import Pushing, image_samples, label_rows, video_sample
from tests.backend.test_cvat_videos import FRAMES, film
from tests.cvat_servers import Server

from annobridge.backend import Answer
from annobridge.backend.checked import CheckedBackend
from annobridge.core import rows
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Gone
from annobridge_cvat import CvatBackend, CvatConfig, jobs
from annobridge_cvat.frames import Frames

BOXES = {"objects": {"type": "detections", "classes": ["car", "person"], "attributes": False}}
PEOPLE = ("alice", "bob")
Json = dict[str, Any]


@pytest.fixture
def send(server: Server, tmp_path: Path) -> Iterator[Any]:
    made: list[Pushing] = []
    for name in PEOPLE if server.double else ():
        if server.double.state.user_named(name) is None:
            server.double.add_user(name, f"{name}-Pass-1234")

    def call(samples: pa.Table | None = None, schema: Any = None, **options: Any) -> Pushing:
        samples = image_samples(tmp_path, 4) if samples is None else samples
        labels = label_rows("objects", "s0", [rows.Detection("car", [0.1, 0.1, 0.2, 0.2])]) if schema is None else []
        made.append(Pushing(server, schema or BOXES, samples, labels, **options))
        return made[-1]

    yield call
    for one in made:
        one.close()


class Work:
    """People at the jobs of the one CVAT task of a run; the numbers of jobs are those of their ids, from 0."""

    def __init__(self, run: Pushing) -> None:
        self.run, self.editor = run, run.editor
        self.task = run.editor.tasks[0]

    @property
    def jobs(self) -> list[Json]:
        query = {"task_id": self.task["task"], "page_size": "all"}
        found = self.editor.call("GET", "/api/jobs", params=query)["results"]
        return sorted(found, key=lambda job: job["id"])

    def move(self, number: int, **fields: Any) -> None:
        self.editor.call("PATCH", f"/api/jobs/{self.jobs[number]['id']}", json=fields)

    def assign(self, number: int, name: str) -> None:
        found = self.editor.call("GET", "/api/users", params={"username": name})["results"]
        self.move(number, assignee=next(user["id"] for user in found if user["username"] == name))

    def draw(self, number: int, *boxes: tuple[int, float, str]) -> list[str]:
        """Rectangles on a frame, at a position, of a class; and the job is in progress then. Returns their remote ids."""
        ids = {name: self.editor.label(self.task, name)["id"] for name in {label for _, _, label in boxes}}
        shapes = [
            {"type": "rectangle", "frame": frame, "label_id": ids[label], "points": [x, 1, x + 5, 9], "attributes": []}
            for frame, x, label in boxes
        ]
        body = {"version": 0, "tags": [], "shapes": shapes, "tracks": []}
        path = f"/api/jobs/{self.jobs[number]['id']}/annotations"
        stored = self.editor.call("PATCH", path, params={"action": "create"}, json=body)["shapes"]
        self.move(number, state="in progress")
        return [f"shape:{shape['id']}" for shape in stored]

    def truth(self, frames: list[int]) -> None:
        """A ground-truth job; it is the last one."""
        body = {
            "task_id": self.task["task"],
            "type": "ground_truth",
            "frame_selection_method": "manual",
            "frames": frames,
        }
        self.editor.call("POST", "/api/jobs", json=body)


def answers(run: Pushing, **options: Any) -> dict[str, Answer]:
    with closing(CvatBackend(CvatConfig(url=run.server.url, token=run.server.token, **options))) as backend:
        return {answer.annotator: answer for answer in CheckedBackend(backend).answers(run.receipt)}


def shown(answer: Answer) -> set[tuple[str, str]]:
    return {(row["sample_id"], row["label"]) for row in answer.labels.to_pylist()}


def samples_of(found: Mapping[str, Answer]) -> dict[str, list[str]]:
    return {name: sorted(answer.samples.to_pylist()) for name, answer in found.items()}


# --- replicas -------------------------------------------------------------------------------------------------------


def test_each_replica_is_the_answer_of_its_assignee(send: Any) -> None:
    run = send(consensus_replicas=2, segment_size=2, job_assignees=PEOPLE)
    work = Work(run)
    assert [(job["type"], jobs.assignee(job)) for job in work.jobs] == [
        ("annotation", None), ("consensus_replica", "alice"), ("consensus_replica", "bob"),
    ] * 2  # fmt: skip
    ids = work.draw(1, (0, 3.0, "car"), (1, 20.0, "person"))
    work.draw(2, (0, 4.0, "person"))
    work.draw(4, (3, 5.0, "car"))
    work.move(5, state="completed")
    found = answers(run)
    assert samples_of(found) == {"alice": ["s0", "s1", "s2", "s3"], "bob": ["s0", "s1", "s2", "s3"]}
    assert shown(found["alice"]) == {("s0", "car"), ("s1", "person"), ("s3", "car")}
    assert shown(found["bob"]) == {("s0", "person")}
    assert set(ids) < set(found["alice"].labels["remote_id"].to_pylist())
    assert {*found["alice"].labels["annotator"].to_pylist()} == {"alice"}
    assert found["alice"].labels["field"].to_pylist() == ["objects"] * 3
    assert not any(answer.is_truth or answer.notes for answer in found.values())


def test_replicas_without_assignees_have_the_same_names_in_all_jobs(send: Any) -> None:
    run = send(consensus_replicas=3, segment_size=2)
    work = Work(run)
    for number in (1, 2, 3, 5, 6, 7):
        work.move(number, state="completed")
    assert samples_of(answers(run)) == {f"replica {n}": ["s0", "s1", "s2", "s3"] for n in (1, 2, 3)}
    work.assign(2, "bob")
    found = samples_of(answers(run))
    assert found == {
        "replica 1": ["s0", "s1", "s2", "s3"],
        "bob": ["s0", "s1"],
        "replica 2": ["s2", "s3"],
        "replica 3": ["s0", "s1", "s2", "s3"],
    }


def test_jobs_that_nobody_has_begun_are_no_answer_and_told(send: Any) -> None:
    run = send(consensus_replicas=2, segment_size=2, job_assignees=PEOPLE)
    work = Work(run)
    work.draw(1, (0, 3.0, "car"))
    work.draw(4, (2, 3.0, "car"))
    work.move(4, state="new")
    work.move(5, stage="validation")  # which is begun, though it is new there
    found = answers(run)
    assert samples_of(found) == {"alice": ["s0", "s1"], "bob": ["s2", "s3"]}
    (note,) = found["alice"].notes
    assert note == (
        f"alice: 1 jobs of the CVAT task {work.task['task']} are left out, as nobody has begun them (stage annotation, state new)."
    )
    assert shown(found["alice"]) == {("s0", "car")}


def test_more_people_than_replicas_take_turns_and_nobody_gets_a_job_twice(send: Any, server: Server) -> None:
    own = "admin" if server.double is None else server.double.state.users[1].username
    run = send(consensus_replicas=2, segment_size=1, job_assignees=(*PEOPLE, own))
    of_job: dict[int, list[str | None]] = {}
    for job in filter(jobs.is_replica, Work(run).jobs):
        of_job.setdefault(job["parent_job_id"], []).append(jobs.assignee(job))
    assert [*of_job.values()] == [["alice", "bob"], [own, "alice"], ["bob", own], ["alice", "bob"]]


def test_of_two_replicas_of_one_person_the_later_one_counts(send: Any) -> None:
    run = send(consensus_replicas=2)
    work = Work(run)
    work.assign(1, "alice")
    work.assign(2, "alice")
    work.draw(2, (0, 3.0, "person"))
    work.draw(1, (1, 3.0, "car"))
    found = answers(run)
    assert [*found] == ["alice"]
    assert shown(found["alice"]) == {("s1", "car")}
    assert found["alice"].notes == (
        f"alice: 4 frames of the CVAT task {work.task['task']} are in two jobs; what is in the job that was changed last counts.",
    )


def test_a_download_has_the_labels_of_the_job_and_none_of_its_replicas(send: Any) -> None:
    run = send(consensus_replicas=2, segment_size=2)
    work = Work(run)
    for number in (1, 2, 4, 5):
        work.draw(number, (0 if number < 3 else 2, 3.0, "car"))
    run.check()
    work.draw(3, (2, 7.0, "person"))
    got = run.download()
    assert {(row["sample_id"], row["label"]) for row in got.labels.to_pylist()} == {("s0", "car"), ("s2", "person")}
    assert got.notes == ()


def test_every_kind_of_label_is_decoded_as_in_a_download(send: Any, tmp_path: Path) -> None:
    schema = {
        "objects": {"type": "detections", "classes": ["car"], "attributes": {"doors": {"type": "int"}}},
        "outlines": {"type": "polygons", "classes": ["lane"], "attributes": False},
        "scene": {"type": "classification", "classes": ["rain"], "attributes": False},
        "ground": {"type": "segmentation", "classes": ["sky"], "attributes": False},
        "count": {"type": "scalar"},
    }
    run = send(image_samples(tmp_path, 2), schema, consensus_replicas=2)
    work = Work(run)
    names = ("car", "lane", "rain", "sky", "count")
    labels = {name: work.editor.label(work.task, name) for name in names}
    doors, value = labels["car"]["attributes"][0]["id"], labels["count"]["attributes"][0]["id"]

    def shape(kind: str, label: str, points: list[float], **more: Any) -> Json:
        return {"type": kind, "frame": 1, "label_id": labels[label]["id"], "points": points, "attributes": [], **more}

    def tag(label: str, *attributes: Json) -> Json:
        return {"frame": 1, "label_id": labels[label]["id"], "attributes": [*attributes]}

    drawn = {
        "version": 0,
        "tags": [tag("rain"), tag("count", {"spec_id": value, "value": "7"})],
        "shapes": [
            shape("rectangle", "car", [1, 2, 9, 8], rotation=30, attributes=[{"spec_id": doors, "value": "4"}]),
            shape("polygon", "lane", [1, 1, 9, 1, 9, 9]),
            shape("mask", "sky", [0, 4, 0, 0, 3, 0]),
            shape("mask", "sky", [0, 4, 4, 4, 7, 4]),
        ],
        "tracks": [],
    }
    for number in (0, 2):
        path = f"/api/jobs/{work.jobs[number]['id']}/annotations"
        work.editor.call("PATCH", path, params={"action": "create"}, json=drawn)
    work.move(2, state="completed")
    by_person = ["remote_id", "annotator", "time"]
    own, whole = (
        sorted(found.drop_columns(by_person).to_pylist(), key=str)
        for found in (answers(run)["replica 2"].labels, run.download().labels)
    )
    assert own == whole
    assert [row["field"] for row in sorted(own, key=lambda row: row["field"])] == sorted(schema)


def test_a_consensus_that_the_server_makes_replaces_the_labels_of_the_job(send: Any, server: Server) -> None:
    if server.double:
        pytest.skip("the double makes no consensus")
    run = send(consensus_replicas=2)
    work = Work(run)
    for number in (1, 2):
        work.draw(number, (0, 3.0, "person"), (1, 12.0, "car"))
    request = work.editor.call("POST", "/api/consensus/merges", json={"task_id": work.task["task"]})["rq_id"]
    for _ in range(300):
        told = work.editor.call("GET", f"/api/requests/{quote(request, safe='')}")
        if told["status"] in ("finished", "failed"):
            break
        time.sleep(0.1)
    assert told["status"] == "finished", told
    got = run.download()
    assert {(row["sample_id"], row["label"]) for row in got.labels.to_pylist()} == {("s0", "person"), ("s1", "car")}
    assert not {*got.labels["remote_id"].to_pylist()} & {*run.receipt.baseline["remote_id"].to_pylist()}
    assert (work.jobs[0]["stage"], work.jobs[0]["state"]) == ("annotation", "completed")
    assert all(got.reviewed["reviewed"].to_pylist())
    assert [*map(shown, answers(run).values())] == [{("s0", "person"), ("s1", "car")}] * 2


def test_labels_that_are_sent_are_not_in_the_replicas_and_the_receipt_says_so(send: Any) -> None:
    run = send(consensus_replicas=2)
    assert run.receipt.notes == (
        "The 1 labels that were sent are in the jobs of the type «annotation» only; the 2 replicas of each begin empty.",
    )
    work = Work(run)
    work.move(1, state="completed")
    assert answers(run)["replica 1"].labels.num_rows == 0
    assert send().receipt.notes == ()


def test_a_replica_of_which_only_some_frames_of_a_video_are_answered_is_left_out(send: Any, tmp_path: Path) -> None:
    schema = {"frames.objects": {"type": "detections", "classes": ["car"]}}
    run = send(video_sample(film(tmp_path / "v.mp4"), FRAMES), schema, segment_size=6, consensus_replicas=2)
    work = Work(run)
    work.draw(1, (0, 3.0, "car"), (5, 3.0, "car"))
    found = answers(run)["replica 1"]
    assert (found.samples.to_pylist(), found.labels.num_rows) == ([], 0)
    assert found.notes[1] == (
        f"replica 1: 1 videos of the CVAT task {work.task['task']} are left out, as only some of their frames are answered."
    )
    work.move(4, state="completed")
    found = answers(run)["replica 1"]
    assert found.samples.to_pylist() == ["v"]
    assert sorted(found.labels["frame_number"].to_pylist()) == [1, 6]
    assert found.notes == ()


# --- other jobs -----------------------------------------------------------------------------------------------------


@pytest.mark.every_version
def test_a_job_without_replicas_is_the_answer_of_its_assignee(send: Any) -> None:
    run = send(segment_size=2)
    work = Work(run)
    work.assign(0, "alice")
    work.move(0, state="completed")
    work.draw(1, (2, 3.0, "car"))
    found = answers(run)
    assert samples_of(found) == {"alice": ["s0", "s1"], "no assignee": ["s2", "s3"]}
    (sent,) = run.receipt.baseline.to_pylist()
    (label,) = found["alice"].labels.to_pylist()
    assert [label[k] for k in ("remote_id", "bounding_box", "label")] == [
        sent[k] for k in ("remote_id", "bounding_box", "label")
    ]


@pytest.mark.every_version
def test_ground_truth_is_the_truth_for_its_own_frames(send: Any) -> None:
    run = send()
    work = Work(run)
    work.truth([1, 3])
    work.draw(1, (1, 3.0, "car"))
    found = answers(run)
    assert samples_of(found)["ground truth"] == ["s1", "s3"]
    assert found["ground truth"].is_truth
    assert shown(found["ground truth"]) == {("s1", "car")}
    work.assign(1, "bob")
    assert {name for name, answer in answers(run).items() if answer.is_truth} == {"bob"}
    work.assign(0, "bob")
    work.move(0, state="completed")
    assert {name: answer.is_truth for name, answer in answers(run).items()} == {
        "bob": False,
        "bob (ground truth)": True,
    }


# --- what is left out -----------------------------------------------------------------------------------------------


def test_removed_images_are_in_no_answer_and_told_once(send: Any) -> None:
    run = send(consensus_replicas=2)
    work = Work(run)
    for number in (1, 2):
        work.draw(number, (0, 3.0, "car"), (1, 3.0, "car"))
    work.editor.call("PATCH", f"/api/tasks/{work.task['task']}/data/meta", json={"deleted_frames": [0]})
    found = answers(run)
    assert samples_of(found) == {"replica 1": ["s1", "s2", "s3"], "replica 2": ["s1", "s2", "s3"]}
    assert all(shown(answer) == {("s1", "car")} for answer in found.values())
    assert [len(answer.notes) for answer in found.values()] == [1, 0]
    assert "1 images were removed in CVAT" in found["replica 1"].notes[0]


def test_a_deleted_task_is_told_and_gone_if_it_is_the_only_one(send: Any) -> None:
    run = send(consensus_replicas=2)
    other = send(consensus_replicas=2)
    Work(other).move(1, state="completed")
    state = {**other.receipt.state, "tasks": [*run.receipt.state["tasks"], *other.receipt.state["tasks"]]}
    run.backend.delete(run.receipt)
    with pytest.raises(Gone):
        answers(run)
    with closing(CvatBackend(CvatConfig(url=run.server.url, token=run.server.token))) as backend:
        first, *_ = backend.answers(replace(other.receipt, state=state))
    number = run.receipt.state["tasks"][0]["task"]
    assert first.notes[0].startswith(f"The CVAT task {number} is not on the server any more")


def test_the_options_of_a_load_choose_jobs_and_samples(send: Any) -> None:
    run = send(consensus_replicas=2, segment_size=2, job_assignees=PEOPLE)
    work = Work(run)
    work.draw(1, (0, 3.0, "car"), (1, 3.0, "car"))
    work.draw(2, (0, 3.0, "car"))
    work.move(2, state="completed")
    assert [*answers(run, only_assignees="bob")] == ["bob"]
    assert samples_of(answers(run, only_states="completed")) == {"bob": ["s0", "s1"]}
    found = answers(run, only_samples="s1")
    assert samples_of(found) == {"alice": ["s1"], "bob": ["s1"]}
    assert shown(found["alice"]) == {("s1", "car")}


# --- checks ---------------------------------------------------------------------------------------------------------


def problems(server: Server, samples: pa.Table, **options: Any) -> list[str]:
    with closing(CvatBackend(CvatConfig(url=server.url, token=server.token, **options))) as backend:
        return [*backend.check(LabelSchema.parse(BOXES), samples)]


def test_an_older_server_has_no_replicas(cvat_2_15: Server, cvat_2_73: Server, tmp_path: Path) -> None:
    samples = image_samples(tmp_path, 1)
    assert problems(cvat_2_73, samples, consensus_replicas=2) == []
    assert problems(cvat_2_15, samples) == []
    assert problems(cvat_2_15, samples, consensus_replicas=2) == [
        "consensus_replicas: the server is CVAT 2.15, and replicas came with 2.27; upgrade it, or send a run to each person."
    ]


def test_fewer_people_than_replicas_are_refused(cvat_2_73: Server, tmp_path: Path) -> None:
    found = problems(cvat_2_73, image_samples(tmp_path, 1), consensus_replicas=3, job_assignees=["alice", "bob", "bob"])
    assert found == [
        "job_assignees has 2 users, and consensus_replicas=3 needs at least 3, so that nobody gets an image twice; name more, "
        "or none."
    ]


@pytest.mark.parametrize("number", [0, 1, 12])
def test_the_number_of_replicas_is_what_the_server_takes(number: int) -> None:
    with pytest.raises(ValueError, match="consensus_replicas"):
        CvatConfig(token="t", consensus_replicas=number)


# --- laws -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=12))
def test_a_sample_is_completed_if_all_its_frames_are_kept_or_removed(found: list[tuple[str, bool, bool]]) -> None:
    shown, kept, removed = ([f[n] for f in found] for n in range(3))
    frames = Frames(
        pa.array(shown, pa.string()), np.zeros(len(found), np.int64), np.ones((len(found), 2), np.int64),
        frozenset(n for n, is_removed in enumerate(removed) if is_removed),
    )  # fmt: skip
    kept_now = np.array(kept, bool) & ~np.array(removed, bool)
    expected = {
        sample
        for sample in shown
        if any(k for s, k in zip(shown, kept_now, strict=True) if s == sample)
        and all(k or r for s, k, r in zip(shown, kept_now, removed, strict=True) if s == sample)
    }
    assert {*frames.completed(kept_now).to_pylist()} == expected
