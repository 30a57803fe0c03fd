"""MOT: each layout that it comes in, what its numbers mean, what is skipped and why, and what comes back after an export."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.formats.label_files import files, image, packed, read
from tests.formats.tracks import label, part, sequence, video, written

from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats import registry
from annobridge.formats.mot import MotFormat
from annobridge.formats.mot.lines import read_lines

MOT = MotFormat()
INFO = "[Sequence]\nname=a\nimDir=img1\nframeRate=30\nseqLength=6\nimWidth=100\nimHeight=50\nimExt=.jpg\n"


def images(folder: Path, *numbers: int, suffix: str = ".jpg") -> None:
    """Images of frames."""
    for number in numbers:
        image(folder / f"{number:06d}{suffix}")


def make(folder: Path, lines: str, labels: str | None = "car\nbig bus\n", **more: str) -> Path:
    """A source of one sequence of two images."""
    images(folder / "img1", 1, 2)
    texts = {"gt/gt.txt": lines} | ({"gt/labels.txt": labels} if labels is not None else {}) | more
    return files(folder, texts)


class TestNumbers:
    def test_a_line(self, tmp_path: Path):
        _, (row,), found = read(MOT, make(tmp_path, "2,7,10,5,30,25,0,2,0.25\n"))
        assert row["bounding_box"] == pytest.approx([0.1, 0.1, 0.3, 0.5])
        assert (row["image"], row["label"], row["index"], row["field"]) == ("000002.jpg", "big bus", 7, "detections")
        assert row["attributes"] == {"ignored": True, "occluded": False, "visibility": 0.25}
        assert not found.notes

    def test_a_box_that_cannot_be_seen_is_occluded(self, tmp_path: Path):
        _, (row,), _ = read(MOT, make(tmp_path, "1,7,10,5,30,25,1,1,0\n"))
        assert row["attributes"] == {"ignored": False, "occluded": True, "visibility": 0.0}

    def test_a_track_of_minus_one_is_none(self, tmp_path: Path):
        _, (row,), found = read(MOT, make(tmp_path, "1,-1,10,5,30,25,1,1,1\n"))
        assert "index" not in row
        assert not found.notes

    @pytest.mark.parametrize(
        "line", ["1 7 10 5 30 25 1 2 1", "1, 7, 10, 5, 30, 25, 1, 2, 1", "1\t7\t10\t5\t30\t25\t1\t2\t1\r"]
    )
    def test_other_ways_to_separate_numbers(self, tmp_path: Path, line: str):
        _, (row,), _ = read(MOT, make(tmp_path, f"{line}\n"))
        assert (row["index"], row["label"]) == (7, "big bus")

    def test_the_official_classes_are_those_without_a_list(self, tmp_path: Path):
        _, rows, _ = read(MOT, make(tmp_path, "1,1,1,1,9,9,1,1,1\n1,2,1,1,9,9,1,3,1\n1,3,1,1,9,9,0,12,1\n", None))
        assert [row["label"] for row in rows] == ["pedestrian", "car", "reflection"]

    def test_classes_as_an_option(self, tmp_path: Path):
        _, rows, _ = read(MOT, make(tmp_path, "1,1,1,1,9,9,1,2,1\n"), classes="cat,dog")
        assert [row["label"] for row in rows] == ["dog"]

    def test_lines_without_a_class(self, tmp_path: Path):
        """As MOT15 has them; the last three are a place in the world."""
        lines = "1,1,1,1,9,9,1,-1,-1,-1\n1,2,1,1,9,9,1,3.25,-7.5,0\n"
        _, rows, found = read(MOT, make(tmp_path, lines, None))
        assert [row["label"] for row in rows] == ["pedestrian", "pedestrian"]
        assert found.notes == ["1 lines have a place in the world, which is not read."]

    def test_what_is_no_line_is_skipped_with_its_place(self, tmp_path: Path):
        lines = [
            "1,1,10,5,30,25,1,1,1", "frame,id,x,y,w,h", "0,1,10,5,30,25,1,1,1", "1,1,10,5,30", "1,1,nan,5,30,25,1,1,1",
            "1,1,inf,5,30,25,1,1,1", "1.5,1,10,5,30,25,1,1,1", "1,1,10,5,30,25,1,9,1", "1,1,,5,30,25,1,1,1",
            "99999999999,1,10,5,30,25,1,1,1",
        ]  # fmt: skip
        _, rows, found = read(MOT, make(tmp_path, "\n".join(lines)))
        assert len(rows) == 1
        reasons = {row["place"].rpartition(" ")[2]: row["reason"] for row in found.skipped.to_pylist()}
        numbers, frame = "it is no line of six to ten numbers", "its frame is no number from 1 on"
        assert reasons == {
            "2": numbers, "4": numbers, "5": numbers, "6": numbers, "9": numbers, "3": frame, "7": frame, "10": frame,
            "8": "its class has no name in labels.txt, nor in the option classes",
        }  # fmt: skip
        assert found.skipped["place"][0].as_py().endswith("gt/gt.txt' line 2")

    def test_frames_without_an_image_and_boxes_outside_are_skipped(self, tmp_path: Path):
        _, rows, found = read(
            MOT, make(tmp_path, "5,1,10,5,30,25,1,1,1\n1,1,200,5,30,25,1,1,1\n1,1,90,5,30,25,1,1,1\n")
        )
        assert [row["bounding_box"] for row in rows] == [pytest.approx([0.9, 0.1, 0.1, 0.5])]
        assert {row["reason"] for row in found.skipped.to_pylist()} == {
            "its image was not found",
            "it is outside its image",
        }

    def test_large_files_are_read_in_pieces(self, tmp_path: Path):
        from annobridge.formats.common.archive import Archive

        lines = [f"{n % 2 + 1},{n},10.5,5,30,25,1,1,0.5" for n in range(60_000)]
        source = make(tmp_path, "\n".join(lines))
        with Archive(source) as archive:
            pieces = list(read_lines(archive, "gt/gt.txt"))
        assert len(pieces) > 1
        assert [n for piece in pieces for n in piece.numbers.tolist()] == list(range(1, 60_001))
        assert sum(piece.good.sum() for piece in pieces) == 60_000


class TestLayouts:
    LINE = "1,1,10,5,30,25,1,1,1\n"

    def test_a_zip_a_folder_and_a_bare_file_say_the_same(self, tmp_path: Path):
        source = make(tmp_path / "in", self.LINE)
        _, folder, _ = read(MOT, source)
        _, zipped, _ = read(MOT, packed(source, tmp_path / "in.zip"), media_dir=tmp_path / "media")
        _, alone, _ = read(MOT, source / "gt" / "gt.txt", image_dir=source / "img1", classes=("car",))
        assert repr(folder) == repr(zipped) == repr(alone)

    def test_sequences_of_splits(self, tmp_path: Path):
        for split, name in (("train", "A-01"), ("train", "A-02"), ("test", "A-03")):
            folder = tmp_path / "MOT" / split / name
            images(folder / "img1", 1, 2)
            files(folder, {"seqinfo.ini": INFO, "det/det.txt": "1,-1,1,1,9,9,0.5,-1,-1,-1\n"})
            if split == "train":
                files(folder, {"gt/gt.txt": self.LINE})
        samples, labels, found = read(MOT, tmp_path)
        assert sorted(row["split"] for row in samples) == ["test"] * 2 + ["train"] * 4
        assert len(labels) == 2
        assert any(
            "1 sequences have det.txt alone, which is read with as_predictions=True" in a for a in found.assumptions
        )

    def test_detections_are_predictions(self, tmp_path: Path):
        det = "1,-1,1,1,9,9,0.75,-1,-1,-1\n2,-1,1,1,9,9,32.5,-1,-1,-1\n"
        source = make(tmp_path, self.LINE, **{"det/det.txt": det})
        _, rows, _ = read(MOT, source, as_predictions=True)
        assert [row["field"] for row in rows] == ["predictions"] * 2
        assert (rows[0]["confidence"], rows[0]["attributes"]) == (0.75, {})
        assert rows[1]["attributes"] == {"score": 32.5}

    def test_files_that_trackers_write(self, tmp_path: Path):
        images(tmp_path / "data" / "A-01" / "img1", 1)
        images(tmp_path / "data" / "A-02" / "img1", 1)
        files(tmp_path / "out", {"A-01.txt": "1,3,1,1,9,9,0.5,-1,-1,-1\n", "A-02.txt": "1,4,1,1,9,9,0.25,-1,-1,-1\n"})
        _, rows, _ = read(MOT, tmp_path / "out", image_dir=tmp_path / "data")
        assert [(row["index"], row["confidence"]) for row in rows] == [(3, 0.5), (4, 0.25)]

    def test_images_with_other_names(self, tmp_path: Path):
        for name in ("frame_000000.png", "frame_000001.png"):
            image(tmp_path / "a" / "img1" / name)
        for name in ("a.png", "b.png"):
            image(tmp_path / "b" / "img1" / name)
        for folder in ("a", "b"):
            files(tmp_path / folder, {"gt/gt.txt": "2,1,10,5,30,25,1,1,1\n"})
            _, (row,), _ = read(MOT, tmp_path / folder)
            assert row["image"] in ("frame_000001.png", "b.png")

    def test_a_video_in_the_folder_of_its_sequence(self, tmp_path: Path):
        files(tmp_path, {"s/gt/gt.txt": self.LINE, "s/seqinfo.ini": INFO, "s/film.mp4": b"", "other.mp4": b""})
        samples, (row,), _ = read(MOT, tmp_path)
        assert (row["frame_number"], row["field"]) == (1, "frames.detections")
        assert sorted((Path(s["filepath"]).name, s["frames"]) for s in samples) == [
            ("film.mp4", 6),
            ("other.mp4", None),
        ]

    def test_detection(self, tmp_path: Path):
        assert MOT.recognises(make(tmp_path / "a", self.LINE))
        assert not MOT.recognises(files(tmp_path / "b", {"gt/gt.txt": "1 2002 2 10 10 Wde3b0\n"}))
        assert not MOT.recognises(files(tmp_path / "c", {"labels/a.txt": "0 0.5 0.5 0.1 0.1\n"}))
        assert registry.of(tmp_path / "a").name == "mot"

    def test_nothing_to_read(self, tmp_path: Path):
        with pytest.raises(InvalidSource, match=r"has no gt/gt.txt, and no other file of MOT; give another format"):
            read(MOT, files(tmp_path, {"a.txt": "hello\n"}))

    def test_text_that_is_no_utf8_in_a_list_of_classes(self, tmp_path: Path):
        source = make(tmp_path, self.LINE)
        (source / "gt" / "labels.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InvalidSource, match=r"labels.txt' is not UTF-8 text"):
            read(MOT, source)

    def test_a_line_without_an_end(self, tmp_path: Path):
        with pytest.raises(InvalidSource, match=r"has a line of more than 1,048,576 bytes, and is no file of MOT"):
            read(MOT, make(tmp_path, "1,1,10,5,30,25,1,1," + "1" * 3_000_000))


class TestExport:
    ROWS = (
        {"index": 7, "attributes": {"visibility": 0.5, "ignored": True}},
        {"index": 3, "attributes": {"occluded": True}, "label": "bus"},
        {"bounding_box": [0.123456789, 0.2, 0.3, 0.4]},
    )

    def test_a_sequence_is_written_as_cvat_writes_it(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg", "000002.jpg"])
        at = {Path(row["filepath"]).name: row for row in samples}
        labels = [label(at["000002.jpg"], **dict(self.ROWS[0])), label(at["000001.jpg"], **dict(self.ROWS[1])),
                  label(at["000002.jpg"], **dict(self.ROWS[2]))]  # fmt: skip
        notes = written(MOT, tmp_path / "out", part(samples, labels))
        found = {
            path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()
        }
        assert found == {"gt/gt.txt", "gt/labels.txt", "img1/000001.jpg", "img1/000002.jpg", "seqinfo.ini"}
        text = (tmp_path / "out" / "gt" / "gt.txt").read_text()
        assert text == "1,3,10,10,30,20,1,1,0.0\n2,-1,12.345679,10,30,20,1,2,1.0\n2,7,10,10,30,20,0,2,0.5\n"
        assert (tmp_path / "out" / "gt" / "labels.txt").read_text() == "bus\ncar\n"
        info = (tmp_path / "out" / "seqinfo.ini").read_text()
        assert (
            info
            == "[Sequence]\nname=sequence\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth=100\nimHeight=50\nimExt=.jpg\n"
        )
        assert not notes
        _, rows, _ = read(MOT, tmp_path / "out")
        assert [(r["image"], r.get("index"), r["label"]) for r in rows] == [
            ("000001.jpg", 3, "bus"), ("000002.jpg", None, "car"), ("000002.jpg", 7, "car"),
        ]  # fmt: skip

    def test_classes_in_the_order_that_is_asked_for(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg"])
        written(MOT, tmp_path / "out", part(samples, [label(samples[0])]), classes=("dog", "car"))
        assert (tmp_path / "out" / "gt" / "gt.txt").read_text().split(",")[7] == "2"

    def test_other_names_come_back(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["b c.jpg", "a.jpg", "sub/a.jpg"], split="train")
        labels = [label(row, label=Path(row["filepath"]).stem) for row in samples]
        notes = written(MOT, tmp_path / "out", part(samples, labels))
        assert notes == ["3 images were renamed after the numbers of their frames."]
        assert (tmp_path / "out/train/sequence/gt/names.txt").read_text() == "1 a.jpg\n2 b c.jpg\n"
        samples, rows, _ = read(MOT, tmp_path / "out")
        assert {row["split"] for row in samples} == {"train"}
        assert sorted(row["label"] for row in rows) == ["a", "a", "b c"]
        written(
            MOT,
            tmp_path / "bare",
            part(sequence(tmp_path / "in", ["b c.jpg", "a.jpg", "sub/a.jpg"]), labels),
            save_media=False,
        )
        _, rows, _ = read(MOT, tmp_path / "bare", image_dir=tmp_path / "in")
        assert all(Path(row["image"]).stem == row["label"] for row in rows)

    def test_sequences_and_videos(self, tmp_path: Path):
        samples = [
            *sequence(tmp_path / "in" / "A-01", ["000001.jpg", "000003.jpg"], split="train"),
            *(
                row | {"sample_id": f"2{row['sample_id']}"}
                for row in sequence(tmp_path / "in" / "A-02", ["x.jpg"], split="train")
            ),
            video(tmp_path / "in" / "clip.mp4", split="val", fps=25.0),
        ]
        labels = [label(row, 2 if row["media_type"] == "video" else None, index=5) for row in samples]
        written(MOT, tmp_path / "out", part(samples, labels))
        out = tmp_path / "out"
        assert (out / "train/A-01/gt/gt.txt").read_text().startswith("1,5,")
        assert (out / "train/A-01/gt/gt.txt").read_text().count("\n3,5,") == 1
        assert (out / "train/A-02/img1/000001.jpg").is_file()
        assert (out / "val/clip/clip.mp4").is_file()
        assert "frameRate=25\nseqLength=9\n" in (out / "val/clip/seqinfo.ini").read_text()
        samples, rows, _ = read(MOT, out)
        assert sorted((row["split"], row["frames"]) for row in samples) == [
            ("train", 1), ("train", 3), ("train", 3), ("val", 9),
        ]  # fmt: skip
        assert sorted((row["image"], row.get("frame_number"), row["index"]) for row in rows) == [
            ("000001.jpg", None, 5), ("000001.jpg", None, 5), ("000003.jpg", None, 5), ("clip.mp4", 2, 5),
        ]  # fmt: skip

    def test_detections(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg"])
        rows = [label(samples[0], confidence=0.25, attributes={"visibility": 0.5}), label(samples[0], index=4)]
        notes = written(MOT, tmp_path / "out", part(samples, rows), detections=True)
        assert (
            tmp_path / "out/det/det.txt"
        ).read_text() == "1,-1,10,10,30,20,0.25,1,-1,-1\n1,4,10,10,30,20,1,1,-1,-1\n"
        assert any("'visibility' are lost" in note for note in notes)
        _, found, _ = read(MOT, tmp_path / "out", as_predictions=True)
        assert [(row["confidence"], row["label"]) for row in found] == [(0.25, "car"), (1.0, "car")]

    def test_other_shapes_are_boxes(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg"])
        shapes = [
            label(
                samples[0],
                kind="polygon",
                points=[[[0.1, 0.1], [0.3, 0.1], [0.2, 0.5]]],
                closed=True,
                filled=True,
                index=1,
            ),
            label(samples[0], bounding_box=[0.25, 0.0, 0.5, 1.0], rotation=90.0, index=2),
            label(samples[0], kind="classification", bounding_box=None),
        ]
        notes = written(MOT, tmp_path / "out", part(samples, shapes))
        assert (tmp_path / "out/gt/gt.txt").read_text() == "1,1,10,5,20,20,1,1,1.0\n1,2,25,0,50,50,1,1,1.0\n"
        assert len(notes) == 3
        with pytest.raises(Unsupported, match="classifications cannot be written"):
            written(MOT, tmp_path / "strict", part(samples, shapes), strict=True)

    def test_what_is_written_twice_is_equal_however_it_is_read(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", [f"{n:06d}.jpg" for n in range(1, 6)])
        labels = [label(row, index=n) for row in samples for n in (2, 1)]
        written(MOT, tmp_path / "one", part(samples, labels))
        written(MOT, tmp_path / "two", [part(samples[:2], labels[:4]), part(samples[2:], labels[4:])])
        texts = [(tmp_path / name / "gt/gt.txt").read_text() for name in ("one", "two")]
        assert texts[0] == texts[1]

    def test_a_class_of_two_lines_is_refused(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg"])
        with pytest.raises(Unsupported, match=r"The class 'a\\nb' does not fit in a line of labels.txt"):
            written(MOT, tmp_path / "out", part(samples, [label(samples[0], label="a\nb")]))
