"""Videos in CVAT: a real file, frame numbers, tracks, and edits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab

FRAMES, WIDTH, HEIGHT = 12, 64, 48


def film(path: Path, frames: int = FRAMES) -> Path:
    """An mp4 of a square that walks."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            pixels[10:20, 2 * number : 2 * number + 10] = 250
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def walker(index: int, seen: list[int], **more: Any) -> list[ab.Label]:
    return [
        ab.Detection("car", [0.02 * n, 0.2, 0.15, 0.2], index=index, frame_number=n, label_id=f"{index}-{n}", **more)
        for n in seen
    ]


SCHEMA = {"frames.objects": {"type": "detections", "classes": ["car", "bus"], "attributes": {"side": {"type": "text"}}}}


@pytest.fixture
def dataset(tmp_path: Path) -> ab.Dataset:
    """Two videos: one with two objects, one without labels."""
    ds = ab.create_dataset(tmp_path / "dataset")
    one = ab.Sample(film(tmp_path / "one.mp4"), sample_id="one")
    one["frames.objects"] = [*walker(1, [1, 2, 3, 6, 7], side="left"), *walker(2, [4])]
    ds.add_samples([one, ab.Sample(film(tmp_path / "two.mp4"), sample_id="two")])
    return ds


def send(ds: ab.Dataset, server: Server, **options: Any) -> tuple[ab.AnnotationResults, Editor]:
    results = ds.annotate(
        "run", label_schema=SCHEMA, backend="cvat", url=server.url, token=server.token, progress=False, **options
    )
    return results, Editor(server.url, server.token, results)


def load(ds: ab.Dataset, server: Server, **options: Any) -> Any:
    return ds.load_annotations("run", url=server.url, token=server.token, progress=False, **options)


def boxes(ds: ab.Dataset) -> dict[tuple[str, int, int], float]:
    """Where each object is, by video, index and frame."""
    rows = ds.labels("frames.objects").to_pylist()
    return {(r["sample_id"], r["index"], r["frame_number"]): r["bounding_box"][0] for r in rows}


def test_media_types_come_from_the_names_of_files(dataset: ab.Dataset) -> None:
    assert set(dataset.samples().to_arrow()["media_type"].to_pylist()) == {"video"}


@pytest.mark.parametrize("segment_size", [None, 5])
@pytest.mark.every_version
def test_untouched_tracks_write_nothing(server: Server, dataset: ab.Dataset, segment_size: int | None) -> None:
    """A video is a task; where it is cut into jobs, CVAT cuts the tracks too."""
    before = dataset.labels().to_pylist()
    results, editor = send(dataset, server, **({"segment_size": segment_size} if segment_size else {}))
    assert len(editor.tasks) == 2
    report = load(dataset, server)
    assert report.total == 0, report.writes().to_pylist()
    assert dataset.labels().to_pylist() == before
    results.cleanup()


@pytest.mark.every_version
def test_people_draw_move_and_end_tracks(server: Server, dataset: ab.Dataset) -> None:
    results, editor = send(dataset, server)
    task = editor.tasks[0]
    tracks = {t["frame"]: t for t in editor.annotations(task)["tracks"]}
    long, short = tracks[0], tracks[3]
    for shape in long["shapes"]:  # the first frame is moved by a tenth of the width
        if shape["frame"] == 0:
            shape["points"] = [
                shape["points"][0] + 6.4,
                shape["points"][1],
                shape["points"][2] + 6.4,
                shape["points"][3],
            ]
    editor.send(task, "update", "tracks", long)
    editor.send(task, "delete", "tracks", short)
    key = {"type": "rectangle", "occluded": False, "outside": False, "z_order": 0, "rotation": 0, "attributes": []}
    new = {
        "frame": 1, "label_id": editor.label(task, "bus")["id"], "group": 0, "source": "manual", "attributes": [],
        "elements": [], "shapes": [
            {**key, "frame": 1, "points": [0, 0, 6.4, 4.8]},
            {**key, "frame": 3, "points": [12.8, 0, 19.2, 4.8]},
            {**key, "frame": 4, "points": [12.8, 0, 19.2, 4.8], "outside": True},
        ],
    }  # fmt: skip
    editor.send(task, "create", "tracks", new)
    report = load(dataset, server)
    assert (report.added, report.edited, report.deleted) == (3, 1, 1)
    now = boxes(dataset)
    assert now["one", 1, 1] == pytest.approx(0.12)
    (number,) = {index for sample, index, _ in now if sample == "one"} - {1}  # CVAT's own
    assert [now["one", number, n] for n in (2, 3, 4)] == pytest.approx([0.0, 0.1, 0.2])
    assert ("one", 2, 4) not in now
    assert load(dataset, server).total == 0
    results.cleanup()


@pytest.mark.every_version
def test_a_track_that_nobody_ends_lasts_to_the_last_frame(server: Server, dataset: ab.Dataset) -> None:
    results, editor = send(dataset, server)
    task = editor.tasks[1]
    shape = {
        "type": "rectangle",
        "frame": 8,
        "points": [1, 1, 9, 9],
        "outside": False,
        "occluded": False,
        "attributes": [],
    }
    track = {
        "frame": 8,
        "label_id": editor.label(task, "car")["id"],
        "attributes": [],
        "elements": [],
        "shapes": [shape],
    }
    editor.send(task, "create", "tracks", track)
    assert load(dataset, server).added == FRAMES - 8
    assert {n for sample, _, n in boxes(dataset) if sample == "two"} == {9, 10, 11, 12}
    results.cleanup()


def test_merged_tracks_edit_the_index_only(server: Server, dataset: ab.Dataset) -> None:
    """And where index edits are not allowed, nothing."""
    results, editor = send(dataset, server, allow_index_edits=False)
    task = editor.tasks[0]
    first, second = sorted(editor.annotations(task)["tracks"], key=lambda t: t["frame"])
    keys = [s for s in first["shapes"] if s["frame"] != 3] + second["shapes"]  # which is seen in the gap of the first
    keys = [{k: v for k, v in s.items() if k != "id"} for s in keys]
    editor.send(task, "delete", "tracks", first, second)
    editor.send(task, "create", "tracks", {**{k: v for k, v in first.items() if k != "id"}, "shapes": keys})
    report = load(dataset, server)
    assert (report.total, {f["component"] for f in report.refused.to_pylist()}) == (0, {"index"})
    results.cleanup()


@pytest.mark.parametrize(("start", "stop", "step"), [(2, 9, 1), (1, 10, 3), (0, 11, 2)])
def test_frame_numbers_are_those_of_the_video(
    server: Server, dataset: ab.Dataset, start: int, stop: int, step: int
) -> None:
    """Labels outside the chosen frames are neither sent nor touched."""
    before = dataset.labels().to_pylist()
    results, editor = send(dataset, server, frame_start=start, frame_stop=stop, frame_step=step)
    assert load(dataset, server).total == 0
    task = editor.tasks[1]
    editor.draw(task, "rectangle", 1, "car", [1, 1, 9, 9])
    assert load(dataset, server).added == 1
    (new,) = [r for r in dataset.labels().to_pylist() if r["sample_id"] == "two"]
    assert (new["frame_number"], new["index"]) == (start + step + 1, None)
    assert [r for r in dataset.labels().to_pylist() if r["sample_id"] == "one"] == before
    results.cleanup()


def test_a_removed_frame_says_nothing_about_its_labels(server: Server, dataset: ab.Dataset) -> None:
    results, editor = send(dataset, server)
    task = editor.tasks[0]
    editor.call("PATCH", f"/api/tasks/{task['task']}/data/meta", json={"deleted_frames": [1]})
    tracks = editor.annotations(task)["tracks"]
    editor.send(task, "delete", "tracks", *tracks)
    report = load(dataset, server, force=True)
    assert report.deleted == 5
    assert list(boxes(dataset)) == [("one", 1, 2)]
    assert any("1 frames of the video were removed in CVAT" in note for note in report.to_dict()["notes"])
    results.cleanup()


def test_an_attribute_that_changes_over_frames(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "dataset")
    sample = ab.Sample(film(tmp_path / "one.mp4"), sample_id="one")
    sample["frames.objects"] = [*walker(1, [1, 2], side="left"), *walker(1, [3, 4], side="right")]
    ds.add_samples([sample])
    results, editor = send(ds, server)
    assert load(ds, server).total == 0
    task = editor.tasks[0]
    (track,) = editor.annotations(task)["tracks"]
    for shape in track["shapes"]:
        if shape["frame"] >= 2:
            shape["attributes"] = [{**a, "value": "back"} for a in shape["attributes"]]
    editor.send(task, "update", "tracks", track)
    assert load(ds, server).edited == 2
    sides = {r["frame_number"]: r["attributes"][0]["value"] for r in ds.labels().to_pylist()}
    assert sides == {1: '"left"', 2: '"left"', 3: '"back"', 4: '"back"'}
    results.cleanup()


def test_images_are_tracked_by_their_index(server: Server, tmp_path: Path) -> None:
    """A sequence of images: the index of a label is its track over the images of a task."""
    from PIL import Image

    ds = ab.create_dataset(tmp_path / "dataset")
    for n in range(4):
        Image.new("RGB", (64, 48), (n, n, n)).save(tmp_path / f"{n}.png")
    cars = [[ab.Detection("car", [0.1 * n, 0.1, 0.2, 0.2], index=5)] if n != 2 else [] for n in range(4)]
    ds.add_samples(
        ab.Sample(tmp_path / f"{n}.png", sample_id=f"s{n}", **({"objects": cars[n]} if cars[n] else {}))
        for n in range(4)
    )
    results = ds.annotate(
        "run", label_field="objects", backend="cvat", url=server.url, token=server.token, progress=False
    )
    editor = Editor(server.url, server.token, results)
    assert len(editor.annotations(editor.tasks[0])["tracks"]) == 1
    assert load(ds, server).total == 0
    results.cleanup()


def test_an_empty_video_is_refused(tmp_path: Path, cvat_2_73: Server) -> None:
    ds = ab.create_dataset(tmp_path / "dataset")
    (tmp_path / "none.mp4").write_bytes(b"")
    ds.add_samples([ab.Sample(tmp_path / "none.mp4")])
    with pytest.raises(ab.InvalidMedia, match=r"The video '.*none.mp4' of sample .* is empty \(0 bytes\)"):
        ds.annotate("run", label_schema=SCHEMA, backend="cvat", url=cvat_2_73.url, token=cvat_2_73.token)
    assert ds.list_annotation_runs() == []
