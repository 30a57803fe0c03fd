"""What was refused becomes issues in CVAT, and issues come back with a load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, OBJECTS, WIDTH
from tests.backend.test_cvat_videos import SCHEMA as VIDEO
from tests.backend.test_cvat_videos import film, walker
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.backend import SentBack
from annobridge.core.labels import COMMENTS, REFUSALS
from annobridge_cvat.api import Api
from annobridge_cvat.issues import signature

BOX = [0.25, 0.25, 0.5, 0.25]
MESSAGE = "Refused: class car → bus. “Look at the plate” (alice)"


class Run:
    """A run on a server, and a person at its pages."""

    def __init__(self, ds: ab.Dataset, server: Server, schema: Any = None, **options: Any) -> None:
        self.ds, self.server = ds, server
        self.login = {"url": server.url, "token": server.token, "progress": False}
        schema = schema or {"objects": OBJECTS}
        self.results = ds.annotate("run", label_schema=schema, backend="cvat", **self.login, **options)
        self.editor = Editor(server.url, server.token, self.results)
        self.task = self.editor.tasks[0]["task"]

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        return self.editor.call(method, f"/api/{path}", **arguments)

    def jobs(self, task: int | None = None) -> list[dict[str, Any]]:
        found = self.call("GET", f"jobs?task_id={task or self.task}&page_size=all")["results"]
        return sorted(found, key=lambda job: (job["start_frame"], job["id"]))

    def states(self) -> list[tuple[str, str]]:
        return [(job["stage"], job["state"]) for job in self.jobs()]

    def issues(self) -> list[dict[str, Any]]:
        found = self.call("GET", f"issues?task_id={self.task}&page_size=all")["results"]
        return sorted(found, key=lambda issue: issue["id"])

    def texts(self, issue: dict[str, Any]) -> list[str]:
        found = self.call("GET", f"comments?issue_id={issue['id']}&page_size=all")["results"]
        return [comment["message"] for comment in sorted(found, key=lambda c: c["id"])]

    def write(self, job: int, frame: int, position: list[float], message: str = "A van?") -> int:
        """An issue that a person makes."""
        body = {"job": job, "frame": frame, "position": position, "message": message}
        return int(self.call("POST", "issues", json=body)["id"])

    def send_back(self, *rows: dict[str, Any]) -> SentBack:
        """Refusals of the first receipt."""
        receipt = self.results.with_baseline(self.results.receipts()[0])
        return self.results.backend.send_back(receipt, pa.Table.from_pylist([*rows], REFUSALS))

    def load(self, **options: Any) -> ab.LoadReport:
        return self.ds.load_annotations("run", **self.login, **options)


def refusal(number: int, **columns: Any) -> dict[str, Any]:
    return {"change_id": f"c{number}", "sample_id": f"s{number}", "box": BOX, "message": MESSAGE, **columns}


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Four images with a car each, s0 … s3."""
    made = ab.create_dataset(tmp_path / "dataset")
    for n in range(4):
        Image.new("RGB", (WIDTH, HEIGHT), (60 * n, 90, 120)).save(tmp_path / f"{n}.png")
        car = ab.Detection("car", BOX, label_id=f"car{n}")
        made.add_samples([ab.Sample(tmp_path / f"{n}.png", sample_id=f"s{n}", objects=[car])])
    return made


@pytest.fixture
def send(ds: ab.Dataset, server: Server) -> Iterator[Callable[..., Run]]:
    made: list[Run] = []

    def start(**options: Any) -> Run:
        made.append(Run(ds, server, **options))
        return made[-1]

    yield start
    for run in made:
        run.results.cleanup()
        run.editor.close()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of the API that are made, by name."""
    seen: list[str] = []
    for name in ("meta", "jobs", "issues", "comments", "create_issue", "create_comment", "update"):
        real = getattr(Api, name)

        def noted(self: Api, *given: Any, _name: str = name, _real: Any = real, **more: Any) -> Any:
            seen.append(_name)
            return _real(self, *given, **more)

        monkeypatch.setattr(Api, name, noted)
    return seen


# Sending back


@pytest.mark.every_version
def test_a_refusal_is_an_issue_in_pixels_and_its_job_is_rejected(send: Callable[..., Run]) -> None:
    run = send(segment_size=2)
    for job in run.jobs():
        run.call("PATCH", f"jobs/{job['id']}", json={"stage": "acceptance", "state": "completed"})
    done = run.send_back(refusal(1), refusal(1, change_id="whole", box=None))
    assert (done.placed, done.existing, len(done.left_out)) == (2, 0, 0)
    first, second = run.jobs()
    assert [(j["stage"], j["state"]) for j in (first, second)] == [
        ("annotation", "rejected"),
        ("acceptance", "completed"),
    ]
    assert done.notes == (f"The job {first['id']} is in the stage «annotation» and the state «rejected» now.",)
    box, whole = run.issues()
    assert (box["job"], box["frame"], box["resolved"]) == (first["id"], 1, False)
    assert box["position"] == [0.25 * WIDTH, 0.25 * HEIGHT, 0.75 * WIDTH, 0.5 * HEIGHT]
    assert whole["position"] == [0, 0, WIDTH, HEIGHT]
    assert run.texts(box) == [f"{MESSAGE}\n\n{signature('c1')}"]


@pytest.mark.every_version
def test_the_same_refusals_make_no_second_issue(send: Callable[..., Run]) -> None:
    run = send()
    run.send_back(refusal(0))
    job = run.jobs()[0]["id"]
    run.call("POST", "comments", json={"issue": run.issues()[0]["id"], "message": "Done"})
    run.call("PATCH", f"jobs/{job}", json={"state": "in progress"})
    done = run.send_back(refusal(0), refusal(2))
    assert (done.placed, done.existing) == (1, 1)
    assert len(run.issues()) == 2
    run.call("PATCH", f"jobs/{job}", json={"state": "in progress"})
    again = run.send_back(refusal(0), refusal(2))
    assert (again.placed, again.existing, again.notes) == (0, 2, ())
    assert run.states() == [("annotation", "in progress")]  # somebody works on it


def test_a_job_that_was_finished_again_is_rejected_again(send: Callable[..., Run]) -> None:
    run = send()
    run.send_back(refusal(0))
    run.call("PATCH", f"jobs/{run.jobs()[0]['id']}", json={"state": "completed"})
    done = run.send_back(refusal(0))
    assert (done.placed, done.existing, len(done.notes)) == (0, 1, 1)
    assert run.states() == [("annotation", "rejected")]


def test_a_resolved_issue_is_opened_again(send: Callable[..., Run]) -> None:
    run = send()
    run.send_back(refusal(0))
    (issue,) = run.issues()
    run.call("PATCH", f"issues/{issue['id']}", json={"resolved": True})
    run.call("PATCH", f"jobs/{issue['job']}", json={"state": "in progress"})
    done = run.send_back(refusal(0))
    assert (done.placed, done.existing) == (0, 1)
    assert "1 issues that were resolved are open again, as what they are about is refused still." in done.notes
    (issue,) = run.issues()
    assert issue["resolved"] is False
    assert run.states() == [("annotation", "rejected")]


def test_another_note_is_a_comment_in_the_same_issue(send: Callable[..., Run]) -> None:
    run = send()
    for message in (MESSAGE, "Refused: class car → bus. “It is a van”", "Refused: class car → bus. “It is a van”"):
        done = run.send_back(refusal(0, message=message))
    assert (done.placed, done.existing) == (0, 1)
    (issue,) = run.issues()
    assert [text.splitlines()[0] for text in run.texts(issue)] == [MESSAGE, "Refused: class car → bus. “It is a van”"]


def test_what_is_not_shown_any_more_is_left_out(send: Callable[..., Run]) -> None:
    run = send()
    run.call("PATCH", f"tasks/{run.task}/data/meta", json={"deleted_frames": [1]})
    done = run.send_back(refusal(0), refusal(1), refusal(9))
    assert (done.placed, sorted(done.left_out.to_pylist())) == (1, ["c1", "c9"])
    assert (
        f"1 refused changes are on images or frames that the CVAT task {run.task} does not show any more." in done.notes
    )


def test_boxes_over_the_border_are_cut(send: Callable[..., Run]) -> None:
    run = send()
    run.send_back(refusal(0, box=[-0.5, 0.5, 1.0, 1.0]))
    assert run.issues()[0]["position"] == [0, 0.5 * HEIGHT, 0.5 * WIDTH, HEIGHT]


def test_a_task_that_was_deleted_is_gone_and_another_one_goes_on(
    tmp_path: Path, server: Server, send: Callable[..., Run]
) -> None:
    run = send()
    run.call("DELETE", f"tasks/{run.task}")
    with pytest.raises(ab.Gone):
        run.send_back(refusal(0))
    ds = ab.create_dataset(tmp_path / "films")
    for n in range(2):
        sample = ab.Sample(film(tmp_path / f"{n}.mp4"), sample_id=f"v{n}")
        sample["frames.objects"] = walker(n, [1, 2], side="left")
        ds.add_samples([sample])
    films = Run(ds, server, VIDEO)
    films.call("DELETE", f"tasks/{films.task}")
    done = films.send_back(
        refusal(0, sample_id="v0", frame_number=1),
        refusal(1, sample_id="v1", frame_number=2),
        refusal(2, sample_id="v2"),
    )
    assert (done.placed, sorted(done.left_out.to_pylist())) == (1, ["c0", "c2"])
    assert any(f"The CVAT task {films.task} is not on the server any more" in note for note in done.notes)
    films.task = films.editor.tasks[1]["task"]
    assert [issue["frame"] for issue in films.issues()] == [1]
    (comment,) = films.load().comments.to_pylist()
    assert (comment["sample_id"], comment["frame_number"]) == ("v1", 2)
    films.results.cleanup()
    films.editor.close()


def test_a_refusal_takes_one_call_and_a_job_one(send: Callable[..., Run], calls: list[str]) -> None:
    run = send(segment_size=2)
    calls.clear()
    run.send_back(*(refusal(n) for n in range(4)))
    assert sorted(calls) == sorted(["meta", "jobs", "comments", *["update"] * 2, *["create_issue"] * 4])
    calls.clear()
    run.send_back(*(refusal(n) for n in range(4)))
    assert sorted(calls) == ["comments", "issues", "jobs", "meta"]


# Reading


@pytest.mark.every_version
def test_comments_come_back_with_a_load(send: Callable[..., Run], server: Server) -> None:
    run = send(segment_size=2)
    first, second = (job["id"] for job in run.jobs())
    rectangle = [0.25 * WIDTH, 0.25 * HEIGHT, 0.75 * WIDTH, 0.5 * HEIGHT]
    about = run.write(first, 1, rectangle)
    run.call("POST", "comments", json={"issue": about, "message": "Yes"})
    run.call("PATCH", f"issues/{about}", json={"resolved": True})
    run.write(second, 3, [0, 0, 10, 0, 10, 12], "three points")
    run.write(second, 2, [32, 24], "one point")
    run.write(second, 2, [1, 2, 3], "no place")
    report = run.load()
    assert report.comments.schema == COMMENTS
    assert report.total == 0
    rows = {row["text"]: row for row in report.comments.to_pylist()}
    assert len(rows) == 5
    van, yes = rows["A van?"], rows["Yes"]
    assert (van["sample_id"], van["frame_number"], van["state"], van["thread"]) == ("s1", None, "resolved", str(about))
    assert van["box"] == pytest.approx(BOX)
    assert yes["thread"] == van["thread"]
    assert van["author"]
    assert van["time"].tzinfo is not None
    assert van["url"] == f"{server.url}/tasks/{run.task}/jobs/{first}?frame=1"
    (car,) = [
        r for r in run.results.with_baseline(run.results.receipts()[0]).baseline.to_pylist() if r["label_id"] == "car1"
    ]
    assert van["remote_id"] == car["remote_id"]
    assert rows["three points"]["box"] == pytest.approx([0, 0, 10 / WIDTH, 12 / HEIGHT])
    assert (rows["three points"]["sample_id"], rows["three points"]["state"]) == ("s3", "open")
    assert rows["three points"]["remote_id"] is None
    assert rows["one point"]["box"] == pytest.approx([0.5, 0.5, 0, 0])
    assert rows["no place"]["box"] is None


def test_what_was_sent_back_is_read_without_its_signature(send: Callable[..., Run]) -> None:
    run = send()
    run.send_back(refusal(0))
    (comment,) = run.load().comments.to_pylist()
    assert (comment["text"], comment["state"], comment["box"]) == (MESSAGE, "open", pytest.approx(BOX))


def test_comments_are_of_the_jobs_and_samples_that_are_loaded(send: Callable[..., Run]) -> None:
    run = send(segment_size=2)
    first, second = (job["id"] for job in run.jobs())
    for job, frame in ((first, 0), (first, 1), (second, 2)):
        run.write(job, frame, [1, 1, 9, 9], f"on {frame}")
    run.call("PATCH", f"jobs/{first}", json={"state": "completed"})
    assert {c["text"] for c in run.load(only_states="completed").comments.to_pylist()} == {"on 0", "on 1"}
    assert {c["text"] for c in run.load(only_samples=["s1"]).comments.to_pylist()} == {"on 1"}
    assert len(run.load().comments) == 3


def test_a_comment_on_no_frame_is_told(send: Callable[..., Run]) -> None:
    run = send()
    run.write(run.jobs()[0]["id"], 99, [1, 1, 9, 9])
    report = run.load()
    assert len(report.comments) == 0
    assert "1 comments in CVAT are on frames that their task does not have; they were left out." in report.notes


def test_two_labels_at_one_place_are_not_taken_for_one(send: Callable[..., Run]) -> None:
    run = send()
    place = [0.25 * WIDTH, 0.25 * HEIGHT, 0.75 * WIDTH, 0.5 * HEIGHT]
    run.editor.draw(run.editor.tasks[0], "rectangle", 0, "person", place)
    run.write(run.jobs()[0]["id"], 0, place)
    (comment,) = run.load().comments.to_pylist()
    assert comment["remote_id"] is None


def test_no_call_is_made_for_comments_where_the_jobs_have_none(send: Callable[..., Run], calls: list[str]) -> None:
    run = send(segment_size=2)
    calls.clear()
    run.load()
    assert "issues" not in calls
    run.write(run.jobs()[0]["id"], 0, [1, 1, 9, 9])
    calls.clear()
    run.load()
    assert (calls.count("issues"), calls.count("comments")) == (1, 1)


# Whole stories


def test_what_is_refused_goes_back_until_it_is_mended(send: Callable[..., Run]) -> None:
    run = send()
    (shape,) = [s for s in run.editor.annotations(run.editor.tasks[0])["shapes"] if s["frame"] == 1]
    moved = {**shape, "points": [8, 6, 24, 18]}
    run.editor.send(run.editor.tasks[0], "update", "shapes", moved)
    run.editor.draw(run.editor.tasks[0], "rectangle", 2, "person", [40, 12, 56, 36])
    for job in run.jobs():
        run.call("PATCH", f"jobs/{job['id']}", json={"state": "completed"})
    plan = run.ds.plan_annotations("run", **run.login)
    plan.decide(verdict="refuse", note="Look at the guide", by="alice")
    report = run.results.send_back(plan)
    assert (report.placed, report.existing, report.written) == (2, 0, 0)
    assert run.states() == [("annotation", "rejected")]
    assert {tuple(issue["position"]) for issue in run.issues()} == {(8, 6, 24, 18), (40, 12, 56, 36)}
    loaded = plan.load()
    assert loaded.total == 0
    assert {comment["text"].partition("“")[2] for comment in loaded.comments.to_pylist()} == {
        "Look at the guide” (alice)"
    }
    # The annotator mends one of them, says so, and leaves the other.
    run.editor.send(run.editor.tasks[0], "update", "shapes", shape)
    mended = next(issue for issue in run.issues() if issue["frame"] == 1)
    run.call("POST", "comments", json={"issue": mended["id"], "message": "It is as before"})
    run.call("PATCH", f"issues/{mended['id']}", json={"resolved": True})
    run.call("PATCH", f"jobs/{mended['job']}", json={"state": "completed"})
    again = run.results.send_back(run.ds.plan_annotations("run", **run.login))
    assert (again.placed, again.existing) == (0, 1)
    states = {(c["sample_id"], c["state"]) for c in run.load().comments.to_pylist()}
    assert states == {("s1", "resolved"), ("s2", "open")}
    assert run.states() == [("annotation", "rejected")]


def test_a_connection_that_breaks_leaves_what_was_placed(
    send: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = send()
    real = Api.create_issue

    def breaking(self: Api, job: int, frame: int, position: Any, message: str) -> None:
        if frame == 2:
            raise ab.Unreachable("cvat: the server does not answer.")
        real(self, job, frame, position, message)

    with monkeypatch.context() as patch:
        patch.setattr(Api, "create_issue", breaking)
        with pytest.raises(ab.Unreachable, match="does not answer"):
            run.send_back(*(refusal(n) for n in range(4)))
    assert len(run.issues()) == 2
    done = run.send_back(*(refusal(n) for n in range(4)))
    assert (done.placed, done.existing) == (2, 2)
    assert len(run.issues()) == 4
