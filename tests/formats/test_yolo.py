"""Ultralytics YOLO: layouts, tasks, what cannot be read, and what comes back after writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.geometry import encode_rle, polygon_mask
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import attributes
from annobridge.exceptions import InvalidOption, InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.common.images import Context
from annobridge.formats.yolo import YoloFormat

YOLO = YoloFormat()
YAML = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: car\n  1: quai nord\n"
BOX = "0 0.5 0.5 0.2 0.4\n"
WIDE = [0.4, 0.3, 0.2, 0.4]  # BOX


def dataset(
    folder: Path, texts: dict[str, str], images: tuple[str, ...] = ("images/train/a.jpg", "images/val/b.jpg")
) -> Path:
    for name in images:
        image(folder / name)
    return files(folder, texts)


def boxes(labels: list[dict]) -> list[tuple]:
    return [(row["image"], row["label"], np.round(row["bounding_box"], 9).tolist()) for row in labels]


def written(folder: Path, rows: list[dict], samples: list[dict] | None = None, **options) -> list[str]:
    """Write labels on images of 100 × 50 pixels."""
    samples = samples or [{"sample_id": "s1", "filepath": str(image(folder / "in" / "a.jpg"))}]
    known = [{"width": 100, "height": 50, "media_type": "image", "split": None} | row for row in samples]
    schema = SAMPLES.append(pa.field("split", pa.string()))
    defaults = {"sample_id": "s1", "field": "objects", "rev": 0, "label": "car"}
    table = pa.Table.from_pylist([defaults | {"label_id": f"l{n}"} | row for n, row in enumerate(rows)], schema=LABELS)
    (folder / "out").mkdir()
    part = Part(pa.Table.from_pylist(known, schema=schema), table)
    return YOLO.write([part], folder / "out", YOLO.writing(**options))


class TestLayouts:
    @pytest.mark.parametrize(
        ("yaml_text", "images", "labels"),
        [
            (YAML, "images/{}", "labels/{}"),
            (YAML.replace("path: .\n", ""), "images/{}", "labels/{}"),
            (YAML.replace("path: .", "path: /home/somebody/data"), "images/{}", "labels/{}"),
            (
                YAML.replace("images/train", "[images/train]").replace("images/val", "./images/val/"),
                "images/{}",
                "labels/{}",
            ),
            ("train: ../train/images\nval: ../val/images\nnc: 2\nnames: [car, quai nord]\n", "{}/images", "{}/labels"),
            ("nc: 2\nnames: [car, quai nord]\n", "{}/images", "{}/labels"),
            ("names: [car, quai nord]\n", "images/{}", "labels/{}"),
            ("train: train.txt\nval: val.txt\nnames: [car, quai nord]\n", "images/{}", "labels/{}"),
            ("train: train\nval: val\nnames: [car, quai nord]\n", "{}", "{}"),
        ],
    )
    def test_splits(self, tmp_path: Path, yaml_text: str, images: str, labels: str) -> None:
        names = {
            split: f"{images.format(split)}/{name}" for split, name in (("train", "a b.jpg"), ("val", "cam 1/é.jpg"))
        }
        texts = {
            "data.yaml": yaml_text,
            f"{labels.format('train')}/a b.txt": BOX,
            f"{labels.format('val')}/cam 1/é.txt": BOX,
        }
        texts |= {f"{split}.txt": f"./{name}\n" for split, name in names.items() if ".txt" in yaml_text}
        source = dataset(tmp_path / "x", texts, tuple(names.values()))
        samples, rows, found = read(YOLO, source)
        assert sorted((Path(s["filepath"]).name, s["split"]) for s in samples) == [
            ("a b.jpg", "train"),
            ("é.jpg", "val"),
        ]
        assert boxes(rows) == [("a b.jpg", "car", WIDE), ("é.jpg", "car", WIDE)]
        assert not found.notes
        assert "names of classes" in str(YOLO.reason(source))

    def test_zip_and_yaml_file(self, tmp_path: Path) -> None:
        source = dataset(
            tmp_path / "x", {"my set/data.yaml": YAML, "my set/labels/train/a.txt": BOX}, ("my set/images/train/a.jpg",)
        )
        _, rows, _ = read(YOLO, packed(source, tmp_path / "x.zip"), media_dir=tmp_path / "media")
        assert boxes(rows) == [("a.jpg", "car", WIDE)]
        assert YOLO.recognises(source / "my set" / "data.yaml")
        assert boxes(read(YOLO, source / "my set" / "data.yaml")[1]) == boxes(rows)

    def test_labels_beside_images_with_a_class_list(self, tmp_path: Path) -> None:
        source = dataset(tmp_path / "x", {"a.txt": BOX, "classes.txt": "car\n\ntruck\n"}, ("a.jpg", "b.jpg"))
        samples, rows, _ = read(YOLO, source)
        assert boxes(rows) == [("a.jpg", "car", WIDE)]
        assert len(samples) == 2
        assert "split" not in samples[0]
        assert "relative positions" in str(YOLO.reason(source))

    def test_no_list_of_classes(self, tmp_path: Path) -> None:
        source = dataset(tmp_path / "x", {"labels/a.txt": "7" + BOX[1:]}, ("images/a.jpg",))
        _, rows, found = read(YOLO, source)
        assert [row["label"] for row in rows] == ["7"]
        assert "classes=" in " ".join(found.assumptions)
        _, rows, _ = read(YOLO, source, classes="a,b,c,d,e,f,g,tree")
        assert [row["label"] for row in rows] == ["tree"]

    def test_one_folder_for_training_and_validation(self, tmp_path: Path) -> None:
        text = "train: images\nval: images\nnames: [car]\n"
        samples, rows, found = read(
            YOLO, dataset(tmp_path / "x", {"data.yaml": text, "labels/a.txt": BOX}, ("images/a.jpg",))
        )
        assert len(samples) == len(rows) == 1
        assert samples[0].get("split") is None
        assert not found.notes

    def test_folders_that_the_yaml_does_not_name_are_read_too(self, tmp_path: Path) -> None:
        texts = {"data.yaml": YAML, "labels/train/a.txt": BOX, "labels/test/c.txt": BOX}
        samples, rows, _ = read(YOLO, dataset(tmp_path / "x", texts, ("images/train/a.jpg", "images/test/c.jpg")))
        assert {s["split"] for s in samples} == {"train", "test"}
        assert len(rows) == 2

    def test_without_images_they_are_those_of_the_dataset(self, tmp_path: Path) -> None:
        source = files(tmp_path / "x", {"data.yaml": YAML, "labels/train/a.txt": BOX, "labels/val/cam 1/a.txt": BOX})
        known = pa.table({
            "sample_id": ["k1", "k2"], "filepath": ["/d/train/a.png", "/d/val/cam 1/a.png"], "media_type": ["image"] * 2,
            "width": [100, 100], "height": [50, 50], "frames": pa.nulls(2, pa.int32()),
        })  # fmt: skip
        found = YOLO.open(source, YOLO.reading(), Context(known))
        (part,) = found.parts()
        assert part.labels["sample_id"].to_pylist() == ["k1", "k2"]
        with pytest.raises(InvalidSource, match=r"None of the 2 images .* image_dir="):
            read(YOLO, source)

    def test_names_are_texts(self, tmp_path: Path) -> None:
        text = "names: {0: no, 1: 1.50, 3: ~}\n"
        texts = {"data.yaml": text, "labels/a.txt": BOX + "1" + BOX[1:] + "3" + BOX[1:] + "2" + BOX[1:]}
        _, rows, found = read(YOLO, dataset(tmp_path / "x", texts, ("images/a.jpg",)))
        assert [row["label"] for row in rows] == ["no", "1.50", "~"]
        assert "not the number of a class" in found.notes[0]
        assert "line 4" in found.notes[0]

    def test_class_folders(self, tmp_path: Path) -> None:
        for name in ("train/day/a.jpg", "train/night/b.jpg", "val/day/c.jpg"):
            image(tmp_path / "x" / name)
        _, rows, _ = read(YOLO, tmp_path / "x", task="classify")
        assert {(row["image"], row["kind"], row["label"]) for row in rows} == {
            ("a.jpg", "classification", "day"), ("b.jpg", "classification", "night"), ("c.jpg", "classification", "day"),
        }  # fmt: skip


class TestLines:
    def lines(self, tmp_path: Path, text: str, **options):
        extra = options.pop("extra", "")
        texts = {"data.yaml": f"names: [car, truck]\n{extra}", "labels/a.txt": text}
        return read(YOLO, dataset(tmp_path / "x", texts, ("images/a.jpg",)), **options)

    def test_confidence_is_the_sixth_number(self, tmp_path: Path) -> None:
        _, (row,), found = self.lines(tmp_path, "\ufeff1 0.5 0.5 0.2 0.4 0.25\r\n", as_predictions=True)
        assert (row["label"], row["confidence"], row["field"]) == ("truck", 0.25, "predictions")
        assert not found.notes

    def test_boxes_among_polygons(self, tmp_path: Path) -> None:
        text = BOX + "1 0 0 0.5 0 0.5 0.5\n0 0 0 1 0 1 1 0 1\n1 0 0 0.5 0 0.5 0.5 0.9\n"
        _, rows, _ = self.lines(tmp_path, text)
        assert [row["kind"] for row in rows] == ["box", "polygon", "polygon", "polygon"]
        assert rows[1]["points"] == [[[0, 0], [0.5, 0], [0.5, 0.5]]]
        assert rows[1]["closed"]
        assert rows[1]["filled"]
        assert rows[2]["points"] == [[[0, 0], [1, 0], [1, 1], [0, 1]]]
        assert rows[3]["confidence"] == 0.9

    def test_eight_numbers_alone_are_turned_boxes_if_they_are_parallelograms(self, tmp_path: Path) -> None:
        # On 100 × 50 pixels: a box of 20 × 10 about (50, 25), turned by a quarter to the right and a bit.
        angle, half = np.radians(30), np.array([[-10, -5], [10, -5], [10, 5], [-10, 5]])
        turned = half @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + (50, 25)
        text = "0 " + " ".join(f"{v:.6f}" for v in (turned / (100, 50)).ravel()) + "\n"
        _, (row,), found = self.lines(tmp_path, text)
        assert row["kind"] == "box"
        assert row["rotation"] == pytest.approx(30, abs=1e-3)
        assert row["bounding_box"] == pytest.approx([0.4, 0.4, 0.2, 0.2], abs=1e-5)
        assert "task='segment'" in found.assumptions[0]
        _, (row,), _ = self.lines(tmp_path, text, task="segment")
        assert row["kind"] == "polygon"

    def test_upright_quadrilaterals_are_upright_boxes(self, tmp_path: Path) -> None:
        _, rows, _ = self.lines(tmp_path, "0 0.1 0.5 0.1 0.2 0.4 0.2 0.4 0.5\n1 0.1 0.2 0.4 0.2 0.4 0.5 0.1 0.5\n")
        assert [row.get("rotation") for row in rows] == [None, None]
        assert [np.round(row["bounding_box"], 9).tolist() for row in rows] == [[0.1, 0.2, 0.3, 0.3]] * 2

    def test_other_quadrilaterals_are_polygons(self, tmp_path: Path) -> None:
        text = "0 0.1 0.1 0.4 0.2 0.3 0.9 0.2 0.5\n"
        _, (row,), found = self.lines(tmp_path, text)
        assert row["kind"] == "polygon"
        assert "task='obb'" in found.assumptions[0]
        _, (row,), found = self.lines(tmp_path, text, task="obb")
        assert row["kind"] == "polygon"
        assert "no rectangles" in found.notes[0]

    def test_keypoints(self, tmp_path: Path) -> None:
        text = "0 0.5 0.5 0.2 0.4 0.1 0.2 2 0 0 0 0.3 0.4 1\n"
        _, (box, points), _ = self.lines(tmp_path, text, extra="kpt_shape: [3, 3]\n")
        assert box["kind"] == "box"
        assert points["kind"] == "keypoints"
        assert box["attributes"] == points["attributes"] == {"group": 1}
        assert points["visibility"] == [2, 0, 1]
        assert points["points"][0][0] == [0.1, 0.2]
        assert np.isnan(points["points"][0][1]).all()
        _, (_, points), _ = self.lines(tmp_path, "0 0.5 0.5 0.2 0.4 0.1 0.2 0 0\n", task="pose", kpt_shape="2,2")
        assert points["visibility"] == [2, 0]
        with pytest.raises(InvalidOption, match="give kpt_shape"):
            self.lines(tmp_path, text, task="pose")

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("0 0.5 0.5 0.2", "it has 3 numbers after the class"),
            ("0 0.5 0.5 0.2 0.4 7", "its last value is not a confidence"),
            ("0 0.5 0.5 0.2 nan", "a value is not a finite number"),
            ("0 0.5 0.5 1e999 0.2", "a value is not a finite number"),
            ("car 0.5 0.5 0.2 0.2", "a value is not a finite number"),
            ("0 0.5 0.5 0,2 0.2", "a value is not a finite number"),
            ("0 0.5 0.5 1_0 0.2", "a value is not a finite number"),
            ("2 0.5 0.5 0.2 0.2", "its class is not the number of a class"),
            ("-1 0.5 0.5 0.2 0.2", "its class is not the number of a class"),
            ("0.5 0.5 0.5 0.2 0.2", "its class is not the number of a class"),
            ("0 0.5 0.5 0 0.2", "has no area"),
            ("0 0.5 0.5 -0.2 0.2", "has no area"),
            ("0 7 0.5 0.2 0.2", "it is outside its image"),
            ("\x00\xff 0.5 0.5 0.2 0.2", "a value is not a finite number"),
        ],
    )
    def test_a_bad_line_is_left_out_with_its_place(self, tmp_path: Path, line: str, reason: str) -> None:
        _, rows, found = self.lines(tmp_path, f"{BOX}{line}\n{BOX}")
        assert len(rows) == 2
        (note,) = found.notes
        assert reason in note
        assert "labels/a.txt' line 2" in note
        assert found.report.skipped.num_rows == 1

    def test_detection_takes_no_polygons(self, tmp_path: Path) -> None:
        _, rows, found = self.lines(tmp_path, BOX + "0 0 0 1 0 1 1\n", task="detect")
        assert len(rows) == 1
        assert "it has 6 numbers after the class; a box has 4" in found.notes[0]

    def test_boxes_over_the_border_are_cut(self, tmp_path: Path) -> None:
        _, (row,), found = self.lines(tmp_path, "0 0.05 0.5 0.2 0.4\n")
        assert row["bounding_box"] == pytest.approx([0, 0.3, 0.15, 0.4])
        assert "cut back" in found.notes[0]


class TestBadSources:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("names: [a, b\n", "is not YAML"),
            ("names: &x [a]\ntrain: *x\n", "reference"),
            ("names: " + "[" * 50 + "]" * 50, "nested deeper"),
            ("names: " + "[" * 100_000, "nest"),
            ("names: {a: b}\n", "class number 'a'"),
            ("names: [[a]]\n", "no text as the name"),
            ("names: 7\n", "neither a list nor a dictionary"),
            ("names: [a]\nkpt_shape: [0, 3]\n", "kpt_shape"),
            ("names: [a]\nkpt_shape: 17\n", "kpt_shape"),
        ],
    )
    def test_yaml(self, tmp_path: Path, text: str, message: str) -> None:
        source = dataset(tmp_path / "x", {"data.yaml": text, "labels/a.txt": BOX}, ("images/a.jpg",))
        with pytest.raises(InvalidSource, match=message) as error:
            read(YOLO, source)
        assert "data.yaml" in str(error.value)

    def test_yaml_makes_no_objects(self, tmp_path: Path) -> None:
        text = "names: !!python/object/apply:os.system [ls]\n"
        _, rows, _ = read(YOLO, dataset(tmp_path / "x", {"data.yaml": text, "labels/a.txt": BOX}, ("images/a.jpg",)))
        assert [row["label"] for row in rows] == ["ls"]  # a list is a list, whatever its tag

    def test_no_label_files(self, tmp_path: Path) -> None:
        source = dataset(tmp_path / "x", {"data.yaml": YAML})
        with pytest.raises(InvalidSource, match="no label files"):
            read(YOLO, source)

    def test_other_texts_are_not_taken_for_yolo(self, tmp_path: Path) -> None:
        assert not YOLO.recognises(
            dataset(tmp_path / "a", {"README.txt": "hello\n", "a.txt": "Car 0 0 1 2 3\n"}, ("a.jpg",))
        )
        assert not YOLO.recognises(dataset(tmp_path / "b", {"obj.names": "car\n", "a.txt": BOX}, ("a.jpg",)))
        assert not YOLO.recognises(tmp_path / "missing")


class TestWriting:
    def test_layout(self, tmp_path: Path) -> None:
        source = dataset(
            tmp_path / "x", {"data.yaml": YAML, "labels/train/a.txt": "1" + BOX[1:], "labels/val/sub/b.txt": BOX},
            ("images/train/a.jpg", "images/val/sub/b.jpg", "images/train/empty.jpg"),
        )  # fmt: skip
        out = tmp_path / "out"
        assert rewritten(YOLO, source, out) == []
        assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == [
            "data.yaml", "images/train/a.jpg", "images/train/empty.jpg", "images/val/sub/b.jpg",
            "labels/train/a.txt", "labels/train/empty.txt", "labels/val/sub/b.txt",
        ]  # fmt: skip
        assert yaml.safe_load((out / "data.yaml").read_text()) == {
            "path": ".", "train": "images/train", "val": "images/val", "names": {0: "car", 1: "quai nord"},
        }  # fmt: skip
        assert (out / "data.yaml").read_text().startswith("# task: detect\n")  # CVAT takes keys for splits
        assert [float(v) for v in (out / "labels/train/a.txt").read_text().split()] == pytest.approx(
            [1, 0.5, 0.5, 0.2, 0.4]
        )
        assert (out / "labels/train/empty.txt").read_text() == ""
        assert boxes(read(YOLO, out)[1]) == boxes(read(YOLO, source)[1])
        assert [s["split"] for s in read(YOLO, out)[0]] == ["train", "train", "val"]

    def test_classes_in_order_and_links(self, tmp_path: Path) -> None:
        notes = written(tmp_path, [{"kind": "box", "bounding_box": WIDE}], classes=("truck", "car"), save_media="link")
        assert not notes
        assert (tmp_path / "out/images/a.jpg").is_symlink()
        assert (tmp_path / "out/labels/a.txt").read_text().startswith("1 0.5 0.5 0.2 ")

    def test_no_media(self, tmp_path: Path) -> None:
        written(tmp_path, [{"kind": "box", "bounding_box": WIDE}], save_media=False)
        assert not (tmp_path / "out/images").exists()
        assert (tmp_path / "out/labels/a.txt").exists()

    def test_names_that_differ_in_the_suffix_have_label_files_of_their_own(self, tmp_path: Path) -> None:
        samples = [
            {"sample_id": f"s{n}", "filepath": str(image(tmp_path / "in" / f"a.{s}"))}
            for n, s in enumerate(("jpg", "png"))
        ]
        notes = written(tmp_path, [{"kind": "box", "bounding_box": WIDE, "sample_id": "s1"}], samples)
        assert "renamed" in notes[0]
        assert {p.name for p in (tmp_path / "out/images").iterdir()} == {"a.jpg", "a_2.png"}
        assert (tmp_path / "out/labels/a.txt").read_text() == ""
        assert (tmp_path / "out/labels/a_2.txt").read_text()

    def test_turned_boxes(self, tmp_path: Path) -> None:
        box = {"kind": "box", "bounding_box": [0.3, 0.4, 0.2, 0.1], "rotation": 330.0}
        assert written(tmp_path, [box]) == []
        assert (tmp_path / "out/data.yaml").read_text().startswith("# task: obb\n")
        _, (row,), _ = read(YOLO, tmp_path / "out")
        assert row["bounding_box"] == pytest.approx(box["bounding_box"])
        assert row["rotation"] == pytest.approx(330)

    def test_turned_boxes_as_upright_ones(self, tmp_path: Path) -> None:
        box = {"kind": "box", "bounding_box": [0.4, 0.4, 0.2, 0.2], "rotation": 90.0}  # 20 × 10 pixels
        assert written(tmp_path, [box], task="detect") == ["objects: 1 rotations are lost."]
        _, (row,), _ = read(YOLO, tmp_path / "out")
        assert row["bounding_box"] == pytest.approx([0.45, 0.3, 0.1, 0.4])

    def test_polygons_masks_and_boxes(self, tmp_path: Path) -> None:
        pixels = np.zeros((50, 100), bool)
        pixels[10:20, 10:30] = True
        pixels[12:15, 15:20] = False
        rows = [
            {"kind": "polygon", "points": [[[0, 0], [0.5, 0], [0.5, 0.5]]], "closed": True, "filled": True},
            {"kind": "mask", "mask": encode_rle(pixels)},
            {"kind": "box", "bounding_box": WIDE},
        ]
        notes = written(tmp_path, rows)
        assert notes == [
            "objects: 1 instances will be written as polygons.",
            "objects: 1 detections will be written as polygons.",
        ]
        _, found, _ = read(YOLO, tmp_path / "out")
        assert [row["kind"] for row in found] == ["polygon"] * 3
        assert found[0]["points"] == [[[0, 0], [0.5, 0], [0.5, 0.5]]]
        assert (polygon_mask(found[1]["points"], (100, 50)) == pixels).all()  # the hole is bridged
        assert np.allclose(found[2]["points"][0], [[0.4, 0.3], [0.6, 0.3], [0.6, 0.7], [0.4, 0.7]])

    def test_parts_are_lines_of_their_own(self, tmp_path: Path) -> None:
        parts = [[[0, 0], [0.2, 0], [0.2, 0.2]], [[0.5, 0.5], [0.7, 0.5], [0.7, 0.7]]]
        notes = written(tmp_path, [{"kind": "polygon", "points": parts, "closed": True, "filled": True}])
        assert notes == ["objects: 1 labels of several parts become several labels."]
        assert [row["points"][0] for row in read(YOLO, tmp_path / "out")[1]] == parts

    def test_keypoints_with_their_boxes(self, tmp_path: Path) -> None:
        group = attributes({"group": 4})
        rows = [
            {
                "kind": "keypoints",
                "points": [[[0.1, 0.2], [np.nan, np.nan]]],
                "visibility": [1, 0],
                "attributes": group,
            },
            {"kind": "box", "bounding_box": WIDE, "attributes": group},
            {"kind": "keypoints", "points": [[[0.2, 0.2], [0.4, 0.6]]], "visibility": [2, 2]},
        ]
        assert written(tmp_path, rows) == []
        _, found, _ = read(YOLO, tmp_path / "out")
        by_kind = [[row for row in found if row["kind"] == kind] for kind in ("box", "keypoints")]
        assert [np.round(row["bounding_box"], 9).tolist() for row in by_kind[0]] == [WIDE, [0.2, 0.2, 0.2, 0.4]]
        assert [row["visibility"] for row in by_kind[1]] == [[1, 0], [2, 2]]

    def test_confidences_are_written_on_request(self, tmp_path: Path) -> None:
        row = {"kind": "box", "bounding_box": WIDE, "confidence": 0.75}
        assert written(tmp_path / "a", [row]) == ["objects: 1 confidences are lost."]
        assert written(tmp_path / "b", [row], confidence=True) == []
        assert read(YOLO, tmp_path / "b/out")[1][0]["confidence"] == 0.75

    def test_losses_are_refused_if_strict(self, tmp_path: Path) -> None:
        with pytest.raises(Unsupported, match="1 classifications cannot be written"):
            written(tmp_path, [{"kind": "classification"}, {"kind": "box", "bounding_box": WIDE}], strict=True)
        assert not list((tmp_path / "out").iterdir())

    def test_splits_that_are_keys_of_the_yaml_file(self, tmp_path: Path) -> None:
        samples = [{"sample_id": "s1", "filepath": str(image(tmp_path / "in/a.jpg")), "split": "names"}]
        with pytest.raises(Unsupported, match="cannot be called 'names'"):
            written(tmp_path, [{"kind": "box", "bounding_box": WIDE}], samples)

    def test_splits_that_lead_out_of_the_export(self, tmp_path: Path) -> None:
        samples = [{"sample_id": "s1", "filepath": str(image(tmp_path / "in/a.jpg")), "split": "../../x"}]
        with pytest.raises(Unsupported, match="leads out of the export"):
            written(tmp_path, [{"kind": "box", "bounding_box": WIDE}], samples)


coordinate = st.floats(0.01, 0.45)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(coordinate, coordinate, coordinate, coordinate, st.sampled_from(["car", "a b", "é: #1"])), max_size=6
    )
)
def test_boxes_survive(tmp_path_factory: pytest.TempPathFactory, values: list[tuple]) -> None:
    folder = tmp_path_factory.mktemp("yolo")
    rows = [{"kind": "box", "bounding_box": list(v[:4]), "label": v[4]} for v in values]
    assert written(folder, rows) == []
    _, found, source = read(YOLO, folder / "out")
    assert not source.notes
    assert [row["label"] for row in found] == [row["label"] for row in rows]
    for row, given_row in zip(found, rows, strict=True):
        assert row["bounding_box"] == pytest.approx(given_row["bounding_box"], abs=1e-12)


def test_lists_may_name_images_that_are_not_there(tmp_path: Path) -> None:
    texts = {
        "data.yaml": "train: train.txt\nnames: [car]\n",
        "train.txt": "./images/a.jpg\n/old/images/b.jpg\n./images/a.jpg\n",
    }
    texts |= {"labels/a.txt": BOX, "labels/b.txt": BOX}
    samples, rows, found = read(YOLO, dataset(tmp_path / "x", texts, ("images/a.jpg",)))
    assert [row["image"] for row in rows] == ["a.jpg"]
    assert len(samples) == 1
    assert any("its image was not found" in note and "b.txt' line 1" in note for note in found.notes)


def test_a_file_that_is_too_large_for_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annobridge.formats.common.number_lines._LARGEST", 1 << 10)
    source = dataset(tmp_path / "x", {"data.yaml": YAML, "labels/train/a.txt": BOX * 200}, ("images/train/a.jpg",))
    with pytest.raises(InvalidSource, match=r"a\.txt' has more than .* take it out"):
        read(YOLO, source)


def test_tracks_are_whole_numbers_after_the_box(tmp_path: Path) -> None:
    texts = {"data.yaml": "names: [car]\n", "labels/a.txt": f"{BOX.strip()} 1\n{BOX.strip()} 12\n"}
    _, rows, found = read(YOLO, dataset(tmp_path / "x", texts, ("images/a.jpg",)))
    assert [(row["index"], row.get("confidence")) for row in rows] == [(1, None), (12, None)]
    assert not found.notes


def test_classes_of_labels_that_are_left_out_are_no_classes_of_the_export(tmp_path: Path) -> None:
    day = {"kind": "classification", "field": "time", "label": "day"}
    written(tmp_path, [{"kind": "box", "bounding_box": WIDE, "label": "person"}, day])
    found = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert found["names"] == {0: "person"}


@pytest.mark.parametrize(("name", "value"), [("_MOST", 300), ("_FILES", 2), ("_BYTES", 100), ("_SAMPLE", 1)])
def test_the_labels_are_the_same_however_many_files_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    images = [f"images/train/{n}.jpg" for n in range(9)]
    texts = {f"labels/train/{n}.txt": BOX * (n % 4) + "9 x\n" * (n == 5) for n in range(9)}
    source = dataset(tmp_path / "x", {"data.yaml": YAML, **texts}, images)
    _, expected, at_once = read(YOLO, source)
    monkeypatch.setattr(f"annobridge.formats.common.number_lines.{name}", value)
    _, found, in_parts = read(YOLO, source)
    assert len(expected) == sum(n % 4 for n in range(9))
    assert found == expected
    assert in_parts.skipped == at_once.skipped
    assert in_parts.skipped.num_rows == 1
