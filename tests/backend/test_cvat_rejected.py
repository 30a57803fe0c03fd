"""CVAT refuses some samples of a task: the error names them, and the other samples stay, with the work on them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backend.test_cvat_videos import SCHEMA as VIDEO
from tests.backend.test_cvat_videos import film, walker
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.backend import AnnotationBackend, Task
from annobridge.bridge.pending_tasks import PendingTasks

BOXES = {"objects": {"type": "detections", "classes": ["car"]}}


def videos(folder: Path, broken: set[int], ids: list[str] | None = None) -> ab.Dataset:
    """Videos of which some are cut off; in each, a car on two frames."""
    ds = ab.create_dataset(folder / "set")
    for n, name in enumerate(ids or [f"v{n}" for n in range(4)]):
        path = film(folder / f"{n}.mp4")
        sample = ab.Sample(path, sample_id=name)
        sample["frames.objects"] = walker(n, [1, 2], side="left")
        ds.add_samples([sample])
        if n in broken:
            path.write_bytes(path.read_bytes()[:400])
    return ds


class Tool:
    """A server, and its options."""

    def __init__(self, server: Server) -> None:
        self.server, self.options = server, {"url": server.url, "token": server.token, "progress": False}

    def annotate(self, ds: ab.Dataset, schema: dict[str, Any], **options: Any) -> ab.AnnotationResults:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ds.annotate("run", label_schema=schema, backend="cvat", **self.options, **options)

    def resume(self, ds: ab.Dataset, **options: Any) -> ab.AnnotationResults:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ds.resume_annotation("run", **self.options, **options)

    def load(self, ds: ab.Dataset) -> Any:
        return ds.load_annotations("run", **self.options)

    def abort(self, ds: ab.Dataset) -> None:
        ds.abort_annotation("run", url=self.server.url, token=self.server.token)

    def there(self, ds: ab.Dataset) -> dict[str, int]:
        """The tasks of the run, by name."""
        (name,) = {
            t.rpartition("-")[0] for t in ds.stores.runs.tasks(ds.stores.runs.get_idle("run"))["task"].to_pylist()
        }
        found = Editor(self.server.url, self.server.token, _NOBODY).call(
            "GET", f"/api/tasks?search={name}&page_size=all"
        )
        return {t["name"]: t["id"] for t in found["results"]}

    def editor(self, task: int, samples: list[str]) -> tuple[Editor, dict[str, Any]]:
        return Editor(self.server.url, self.server.token, _NOBODY), {"task": task, "samples": samples}


class _Nobody:
    @staticmethod
    def receipts() -> list[Any]:
        return []


_NOBODY: Any = _Nobody()


@pytest.fixture
def tool(server: Server) -> Tool:
    return Tool(server)


def samples_of(results: ab.AnnotationResults) -> list[str]:
    return [s for receipt in results.receipts() for task in receipt.state["tasks"] for s in task["samples"]]


@pytest.mark.parametrize("broken", [{0}, {3}, {1, 2}])
@pytest.mark.every_version
def test_broken_videos_cost_themselves_only(tool: Tool, tmp_path: Path, broken: set[int]) -> None:
    ds = videos(tmp_path, broken)
    results = tool.annotate(ds, VIDEO, on_rejected="skip")
    good = [f"v{n}" for n in range(4) if n not in broken]
    assert samples_of(results) == good
    assert len(tool.there(ds)) == len(good)
    assert tool.load(ds).total == 0
    tool.abort(ds)


def test_a_broken_video_is_named_where_the_server_does_not(tool: Tool, tmp_path: Path) -> None:
    """The server opens a file of which the header is cut off, and falls over the picture that is not in it."""
    ds = videos(tmp_path, set())
    whole = (tmp_path / "1.mp4").read_bytes()
    (tmp_path / "1.mp4").write_bytes(whole[: whole.index(b"moov") + 20])
    with pytest.raises(ab.Rejected, match=r"tuple index out of range\. That is '.*1\.mp4', of sample 'v1'"):
        tool.annotate(ds, VIDEO)
    tool.abort(ds)


def test_work_that_was_done_before_a_run_is_resumed_is_kept(tool: Tool, tmp_path: Path) -> None:
    """A class changed, and a track drawn, in a video that was sent."""
    ds = videos(tmp_path, {1})
    with pytest.raises(ab.Rejected, match=r"could not read the media: .*1\.mp4', of sample 'v1'.*resume_annotation"):
        tool.annotate(ds, VIDEO)
    before = tool.there(ds)
    assert len(before) == 3  # the others were sent, and only the broken one was removed
    (first,) = [number for name, number in before.items() if name.endswith("v0")]
    editor, task = tool.editor(first, ["v0"])
    bus = editor.label(task, "bus")["id"]
    (track,) = editor.annotations(task)["tracks"]
    keys = [{k: v for k, v in key.items() if k != "id"} | {"attributes": []} for key in track["shapes"]]
    editor.send(task, "update", "tracks", {**track, "label_id": bus, "attributes": [], "shapes": keys})
    new = {"frame": 4, "label_id": bus, "attributes": [], "shapes": [{**keys[0], "frame": 4}]}
    editor.send(task, "create", "tracks", new)
    results = tool.resume(ds, on_rejected="skip")
    assert tool.there(ds) == before
    assert samples_of(results) == ["v0", "v2", "v3"]
    report = tool.load(ds)
    assert (report.edited, report.deleted, report.added > 0) == (2, 0, True)
    tool.abort(ds)


def test_a_run_whose_videos_are_mended_is_resumed_in_full(tool: Tool, tmp_path: Path) -> None:
    ds = videos(tmp_path, {1})
    with pytest.raises(ab.Rejected):
        tool.annotate(ds, VIDEO)
    before = tool.there(ds)
    film(tmp_path / "1.mp4")
    results = tool.resume(ds)
    assert (samples_of(results), len(tool.there(ds))) == (["v0", "v1", "v2", "v3"], 4)
    assert before.items() <= tool.there(ds).items()
    assert tool.load(ds).total == 0
    tool.abort(ds)


def test_videos_of_any_id_are_found_again(tool: Tool, tmp_path: Path) -> None:
    """The name of a video's task is that of its sample, not its place, which a sample that is left out changes."""
    ids = ["x" * 300, " a/b", "ü\n😀", "plain"]
    ds = videos(tmp_path, {0}, ids)
    assert samples_of(tool.annotate(ds, VIDEO, on_rejected="skip")) == ids[1:]
    assert len(tool.there(ds)) == 3
    assert all(len(name) < 200 for name in tool.there(ds))
    tool.abort(ds)


def pictures(folder: Path, *labels: list[Any]) -> ab.Dataset:
    ds = ab.create_dataset(folder / "set")
    exif = Image.Exif()
    exif[0x0112] = 6
    for n in range(4):
        Image.new("RGB", (64, 48)).save(folder / f"{n}.jpg", **({"exif": exif} if n == 2 else {}))
    ds.add_samples(
        ab.Sample(folder / f"{n}.jpg", sample_id=f"s{n}", objects=labels[0] if labels else []) for n in range(4)
    )
    return ds


def outgoing(ds: ab.Dataset, backend: AnnotationBackend, unreadable: set[str]) -> Task:
    """The task of a run as it would be sent again, with media that pass here and that no server can read."""
    stores, run = ds.stores, ds.stores.runs.get_idle("run")
    ids = stores.runs.tasks(run)["sample_ids"][0].values
    with PendingTasks(stores, run, [("a-new-task-0", ids)], {}, [], stores.labels.version()) as found:
        task = found.task(0)

    class Media:
        def open(self, sample_id: str) -> Any:
            return io.BytesIO(b"\xff\xd8\xff no image") if sample_id in unreadable else task.media.open(sample_id)

        def path(self, _: str) -> None:
            return None

    assert backend.name == "cvat"
    return Task(task.name, task.schema, task.samples, task.labels, Media())


@pytest.mark.every_version
def test_the_image_that_is_refused_is_named(tool: Tool, tmp_path: Path) -> None:
    ds = pictures(tmp_path, [ab.Detection("car", [0.1, 0.1, 0.2, 0.2])])
    backend = tool.annotate(ds, BOXES).backend
    with pytest.raises(ab.Rejected, match="of sample 's1'") as refused:
        backend.upload(outgoing(ds, backend, {"s1", "s3"}))
    assert refused.value.samples == ("s1",)
    assert backend.find("a-new-task-0") is None
    tool.abort(ds)


@pytest.fixture(params=["cvat_2_15", "cvat_2_73"])
def double(request: pytest.FixtureRequest) -> Tool:
    return Tool(request.getfixturevalue(request.param))


def test_a_refusal_that_is_about_no_sample_refuses_the_task(double: Tool, tmp_path: Path) -> None:
    ds = videos(tmp_path, set())
    double.server.double.fail_next("POST", r"/api/tasks$", status=400, body=["no more tasks for you"])
    with pytest.raises(ab.Rejected, match="no more tasks for you"):
        double.annotate(ds, VIDEO)
    double.resume(ds)
    assert double.load(ds).total == 0
    double.abort(ds)


def test_a_task_with_annotations_is_never_removed_for_a_refusal(double: Tool, tmp_path: Path) -> None:
    """It was there, and somebody may have worked in it: labels that a later body refuses do not cost it."""
    ds = videos(tmp_path, {1})
    with pytest.raises(ab.Rejected):
        double.annotate(ds, VIDEO)
    before = double.there(ds)
    (first,) = [number for name, number in before.items() if name.endswith("v0")]
    editor, task = double.editor(first, ["v0"])
    (track,) = editor.annotations(task)["tracks"]
    editor.send(task, "delete", "tracks", track)
    car = editor.label(task, "car")["id"]
    editor.draw(task, "rectangle", 0, "car", [1, 1, 9, 9], label_id=car)
    double.server.double.fail_next("PATCH", r"/annotations", status=400, body=["wrong"])
    film(tmp_path / "1.mp4")
    with pytest.raises(ab.Rejected, match="wrong"):
        double.resume(ds)
    assert before.items() <= double.there(ds).items()
    double.resume(ds)
    assert double.load(ds).added == 1
    double.abort(ds)
