"""Videos in exports, and frames that are matched with a video or with images of a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.formats.label_files import files, read
from tests.formats.tracks import known, label, part, sequence, video, written

import annobridge as ab
from annobridge.exceptions import InvalidOption, Unsupported
from annobridge.formats import registry
from annobridge.formats.common.export import ExportData
from annobridge.formats.common.file_format import FileFormat
from annobridge.formats.common.images import Context
from annobridge.formats.mot import MotFormat

MOT = MotFormat()
FORMATS = [found for found in map(registry.get, registry.names()) if isinstance(found, FileFormat)]
FRAMELESS = [found.name for found in FORMATS if not found.video]
LINES = "1,7,10,5,30,25,1,1,1.0\n3,7,12,5,30,25,1,1,0.5\n"


class TestExport:
    def test_an_item_is_an_image_or_a_frame_that_has_labels(self, tmp_path: Path):
        samples = [video(tmp_path / "in" / "clip.mp4", "a"), *sequence(tmp_path / "in", ["x.png"]),
                   video(tmp_path / "in" / "empty.mp4", "z")]  # fmt: skip
        labels = [label("a", 4), label("a", 2), label(samples[1]), label("a", 4, label="bus")]
        with ExportData([part(samples, labels)], tmp_path, "relative", has_frames=True) as data:
            items = data.items.to_pylist()
            assert [(row["name"], row["video"], row["frame"], row["frames"]) for row in items] == [
                ("clip/frame_000001", "clip.mp4", 1, 9), ("clip/frame_000003", "clip.mp4", 3, 9), ("x.png", None, None, None),
            ]  # fmt: skip
            assert data.videos["name"].to_pylist() == ["clip.mp4", "empty.mp4"]
            (found,) = data.parts()
            assert list(zip(found.labels["item"].to_pylist(), found.labels["label"].to_pylist(), strict=True)) == [
                (0, "car"), (1, "car"), (1, "bus"), (2, "car"),
            ]  # fmt: skip

    def test_labels_of_a_whole_video_are_left_out_and_told(self, tmp_path: Path):
        labels = [label("v", 1), label("v", kind="classification", bounding_box=None)]
        notes = written(MOT, tmp_path / "out", part([video(tmp_path / "clip.mp4")], labels))
        assert any("1 labels are of whole videos, and are left out" in note for note in notes)

    @pytest.mark.parametrize("how", [True, "link"])
    def test_a_video_is_placed_once(self, tmp_path: Path, how: bool | str):
        labels = [label("v", frame) for frame in (1, 2, 3)]
        written(MOT, tmp_path / "out", part([video(tmp_path / "clip.mp4")], labels), save_media=how)
        (path,) = (tmp_path / "out").rglob("*.mp4")
        assert path.read_bytes() == b"no video"
        assert path.is_symlink() == (how == "link")

    def test_a_video_without_a_place_is_told(self, tmp_path: Path):
        class Frames(MotFormat):
            def video_folder(self, split: str | None) -> str | None:
                return None

        notes = written(Frames(), tmp_path / "out", part([video(tmp_path / "clip.mp4")], [label("v", 1)]))
        assert any("1 videos were not copied" in note for note in notes)
        assert not list((tmp_path / "out").rglob("*.mp4"))

    def test_a_size_that_is_not_known_is_asked_for(self, tmp_path: Path):
        clip = video(tmp_path / "clip.mp4", width=None)
        with pytest.raises(Unsupported, match="sizes of some videos are not known; set the width and height"):
            written(MOT, tmp_path / "out", part([clip], [label("v", 1)]))

    @pytest.mark.parametrize("name", FRAMELESS)
    def test_formats_without_frames_refuse_videos(self, tmp_path: Path, name: str):
        format_ = registry.get(name)
        assert isinstance(format_, FileFormat)
        if type(format_).write_files is FileFormat.write_files:
            return
        clip = video(tmp_path / "clip.mp4")
        with pytest.raises(
            (Unsupported, InvalidOption), match=r"Videos cannot be written as .*; leave them out of the view"
        ):
            written(format_, tmp_path / "out", part([clip], [label("v", 1)]))
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


class TestMatching:
    def found(self, folder: Path, *samples: dict) -> list[tuple[str, int | None]]:
        files(folder, {"gt/gt.txt": LINES, "gt/labels.txt": "car\n"})
        source = MOT.open(folder, MOT.reading(), Context(known(*samples)))
        rows = [row for part in source.parts() for row in part.labels.to_pylist()]
        return [(row["sample_id"], row["frame_number"]) for row in rows]

    def test_frames_of_the_only_video(self, tmp_path: Path):
        assert self.found(tmp_path / "MOT-1", video(tmp_path / "clip.mp4")) == [("v", 1), ("v", 3)]

    def test_frames_of_the_video_that_is_called_as_the_sequence(self, tmp_path: Path):
        files(tmp_path / "in", {"one/gt/gt.txt": LINES, "two/gt/gt.txt": LINES, "two/gt/labels.txt": "car"})
        samples = [video(tmp_path / "x" / f"{name}.mp4", name) for name in ("one", "two", "three")]
        source = MOT.open(tmp_path / "in", MOT.reading(), Context(known(*samples)))
        rows = [row for part in source.parts() for row in part.labels.to_pylist()]
        assert [(row["sample_id"], row["frame_number"]) for row in rows] == [
            ("one", 1),
            ("one", 3),
            ("two", 1),
            ("two", 3),
        ]

    def test_a_video_that_is_too_short_is_not_meant(self, tmp_path: Path):
        assert self.found(tmp_path / "a", video(tmp_path / "clip.mp4", frames=2)) == [("v", 1)]

    @pytest.mark.parametrize("first", [0, 1])
    def test_images_by_their_numbers_wherever_these_begin(self, tmp_path: Path, first: int):
        images = [
            {
                "sample_id": str(n),
                "filepath": f"/data/shot_{n + first}.jpg",
                "media_type": "image",
                "width": 100,
                "height": 50,
            }
            for n in range(4)
        ]
        assert self.found(tmp_path / "a", *images) == [("0", None), ("2", None)]

    def test_images_in_the_folder_that_is_called_as_the_sequence(self, tmp_path: Path):
        images = [
            {"sample_id": f"{s}{n}", "filepath": f"/data/{s}/{n:04d}.jpg", "media_type": "image", "width": 100, "height": 50}
            for s in ("one", "two") for n in range(1, 4)
        ]  # fmt: skip
        assert self.found(tmp_path / "two", *images) == [("two1", None), ("two3", None)]

    def test_labels_are_added_to_a_dataset_with_a_video(self, tmp_path: Path):
        clip = tmp_path / "clip.mp4"
        clip.write_bytes(b"no video")
        ds = ab.create_dataset(tmp_path / "ds")
        ds.add_samples([ab.Sample(clip, sample_id="v", width=100, height=50, frames=9)])
        files(tmp_path / "in", {"gt/gt.txt": LINES, "gt/labels.txt": "car\n"})
        report = ab.import_dataset(tmp_path / "in", ds.uri, mode="add", progress=False)
        assert (report.format, report.samples, report.known) == ("mot", 0, 1)
        assert report.labels == {"frames.detections": 2}
        assert any("in the dataset's video, by frame number" in note for note in report.notes)
        export = ab.export_dataset(report.dataset, tmp_path / "out", "cvat", progress=False)
        assert (export.samples, export.labels) == (1, 2)
        _, labels, _ = read(registry.get("cvat"), tmp_path / "out")
        assert [(row["frame_number"], row["index"]) for row in labels] == [(1, 7), (3, 7)]


def test_a_video_keeps_its_size_and_number_of_frames(tmp_path: Path):
    """Of a new sample, as no format opens the file."""
    written(registry.get("cvat"), tmp_path / "out", part([video(tmp_path / "clip.mp4")], [label("v", 1)]))
    (sample,), _, _ = read(registry.get("cvat"), tmp_path / "out")
    assert (sample["width"], sample["height"], sample["frames"]) == (100, 50, 9)


def test_a_video_without_labels_is_a_sample(tmp_path: Path):
    for name in ("cvat", "mot", "mots"):
        written(registry.get(name), tmp_path / name, part([video(tmp_path / "clip.mp4")], []))
        samples, labels, _ = read(registry.get(name), tmp_path / name)
        assert [Path(row["filepath"]).name for row in samples] == ["clip.mp4"]
        assert not labels
