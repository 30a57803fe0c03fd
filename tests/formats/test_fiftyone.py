"""FiftyOne datasets, in and out. ``fiftyone_1_22`` holds what FiftyOne 1.22.1 exports of one dataset of images and one of a
video; FiftyOne reads what is written here back as the same labels.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.generated import examples
from tests.stored import store

import annobridge as ab
from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.core.labels import LABELS
from annobridge.exceptions import InvalidMedia, InvalidSource, SchemaError, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.fiftyone import FiftyOneFormat, documents, extended_json
from annobridge.formats.fiftyone.layout import Reading
from annobridge.formats.fiftyone.writer import Writing

EXPORTS = Path(__file__).parent / "fiftyone_1_22"
OID = "6b0154dac6b1006acbc112c4"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The export of images, with media."""
    folder = shutil.copytree(EXPORTS / "images", tmp_path / "images")
    (folder / "data").mkdir()
    for n in range(4):
        Image.new("L", (64, 48)).save(folder / "data" / f"im{n}.png")
    mask = np.zeros((48, 64), np.uint8)
    mask[:10], mask[20:30] = 1, 2
    (folder / "fields" / "seg").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "fields" / "seg" / "mask1.png")
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """The export of a video."""
    folder = shutil.copytree(EXPORTS / "video", tmp_path / "video")
    (folder / "data").mkdir()
    (folder / "data" / "v.avi").write_bytes(b"RIFF")
    return folder


def export(folder: Path, **fields: Any) -> Path:
    """An export of one sample with these fields."""
    (folder / "data").mkdir(parents=True)
    Image.new("L", (64, 48)).save(folder / "data" / "a.png")
    write(folder, {"_id": {"$oid": OID}, "filepath": "data/a.png", "tags": [], "_media_type": "image", **fields})
    return folder


def write(folder: Path, *samples: Any) -> None:
    (folder / "samples.json").write_text(json.dumps({"samples": samples}))


def load(source: Path, tmp_path: Path, **options: Any) -> ab.Dataset:
    return ab.import_dataset(source, tmp_path / "ds", **options).dataset


def rows(ds: ab.Dataset, field: str | None = None) -> list[dict[str, Any]]:
    found = ds.labels(field).to_arrow().drop_columns(["rev"]).sort_by("label_id").to_pylist()
    return [{name: value for name, value in row.items() if value not in (None, [])} for row in found]


def attributes(row: dict[str, Any]) -> dict[str, Any]:
    return {a["name"]: json.loads(a["value"]) for a in row.get("attributes", [])}


def test_an_export_has_all_its_labels_and_columns(images: Path, tmp_path: Path) -> None:
    report = ab.import_dataset(images, tmp_path / "ds")
    assert report.format == "fiftyone"
    assert report.labels == {
        "cls": 1, "inst": 1, "kps": 1, "multi": 2, "objects": 2, "one": 1, "poly": 2, "reg": 1, "seg": 4,
    }  # fmt: skip
    assert report.notes == [
        "1 of 'arr' were left out: an array of more than one dimension is not a column.",
        "1 of 'dct' were left out: a nested document is not a column.",
        "1 of 'heat' were left out: a heatmap is not a label here.",
        "Of the dataset itself, info, default_classes, skeletons were left out.",
        "Of what FiftyOne finds out by itself, the sizes, frames and frame rates were kept.",
    ]
    sample = report.dataset.samples().to_pylist()[0]
    assert (sample["sample_id"], sample["width"], sample["height"], sample["tags"]) == (OID, 64, 48, ["t0", "all"])
    assert (sample["num"], sample["flt"], sample["txt"], sample["bool"], sample["lst"]) == (
        5,
        1.5,
        "hé",
        True,
        ["a", "b"],
    )
    assert (sample["vec"], sample["geo"], str(sample["date"])) == ([0.0, 1.0, 2.0, 3.0], [2.3, 48.8], "2024-01-02")
    assert sample["dt"].isoformat() == "2024-01-02T03:04:05.678000+00:00"


def test_a_box_has_its_attributes_of_both_styles(images: Path, tmp_path: Path) -> None:
    box = next(r for r in rows(load(images, tmp_path), "objects") if r["kind"] == "box")
    assert (box["label_id"], box["label"], box["index"], box["tags"]) == ("6b0154d9c6b1006acbc112b5", "cat", 3, ["x"])
    assert (box["bounding_box"], box["confidence"]) == ([0.1, 0.2, 0.3, 0.4], 0.9)
    assert attributes(box) == {
        "old": "v", "old_confidence": 0.3, "n": 3.0, "b": True, "l": [1, 2], "weight": 1.5, "occluded": True, "color": "red",
        "parts": ["a", "b"],
    }  # fmt: skip


def test_masks_cover_the_image(images: Path, tmp_path: Path) -> None:
    ds = load(images, tmp_path)
    mask = decode_rle(rows(ds, "inst")[0]["mask"])
    assert mask.sum() == 24 * 32
    assert mask[12:36, 16:48].all()
    classes = {(r["label_id"], r["label"]): decode_rle(r["mask"]) for r in rows(ds, "seg")}
    assert classes["6b0154d9c6b1006acbc112bf:road", "road"][:10].all()
    assert classes["6b0154d9c6b1006acbc112c0:sky", "sky"].sum() == 640  # from a file


def test_the_other_labels_keep_what_they_say(images: Path, tmp_path: Path) -> None:
    ds = load(images, tmp_path)
    assert {r["kind"] for r in rows(ds, "poly")} == {"polygon", "polyline"}
    (keypoints,), (scalar,), (weather,) = rows(ds, "kps"), rows(ds, "reg"), rows(ds, "cls")
    assert keypoints["visibility"] == [2, 0, 2]
    assert attributes(keypoints) == {"point_confidence": [0.1, None, 0.9]}
    assert scalar["value"] == "3.25"
    assert attributes(weather) == {"extra": "e", "logits": [0.1, 0.9]}


def test_a_video_has_the_labels_of_its_frames(video: Path, tmp_path: Path) -> None:
    ds = load(video, tmp_path)
    (sample,) = ds.samples().to_pylist()
    assert (sample["media_type"], sample["frames"], sample["fps"], sample["width"]) == ("video", 10, 5.0, 64)
    found = [(r["frame_number"], r["index"], r["keyframe"]) for r in rows(ds, "frames.objs")]
    assert found == [(1, 1, True), (2, 1, False), (3, 1, False)]
    assert [r["value"] for r in ds.labels("frames.speed").to_pylist()] == ["1.0", "2.0", "3.0"]
    assert attributes(rows(ds, "events")[0]) == {"support": [2, 5]}


@pytest.mark.parametrize("which", ["images", "video"])
def test_what_is_written_is_read_as_equal(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    ds = load(request.getfixturevalue(which), tmp_path)
    report = ab.export_dataset(ds, tmp_path / "out", "fiftyone")
    assert report.notes == []
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again").dataset
    assert str(rows(again)) == str(rows(ds))  # as texts, since NaN is not NaN
    before, after = (d.samples().to_arrow().drop_columns(["filepath"]) for d in (ds, again))
    assert after.select(before.column_names).equals(before)


def test_older_forms_are_read(images: Path, tmp_path: Path) -> None:
    """Documents in files of their own; binaries, dates and long numbers as pymongo 3 wrote them; ``write_json``."""
    (sample, *_) = json.loads((images / "samples.json").read_text())["samples"]
    (images / "samples.json").unlink()
    (images / "samples").mkdir()
    mask = sample["inst"]["detections"][0]["mask"]["$binary"]["base64"]
    sample["inst"]["detections"][0]["mask"] = {"$binary": mask, "$type": "00"}
    sample |= {"dt": {"$date": 1704164645678}, "num": {"$numberLong": "5"}}
    (images / "samples" / f"000001-{OID}.json").write_text(json.dumps(sample))
    ds = load(images, tmp_path)
    assert decode_rle(rows(ds, "inst")[0]["mask"]).sum() == 24 * 32
    assert ds.samples(["num", "dt"]).to_pylist()[0]["dt"].isoformat() == "2024-01-02T03:04:05.678000+00:00"
    del sample["_id"]
    text = {"name": "n", "sample_fields": {}, "samples": [sample, {"filepath": "data/im1.png"}]}
    one = images / "all.json"
    one.write_text(json.dumps(text, indent=4))
    assert ab.import_dataset(one, tmp_path / "one").samples == 2


def test_frames_in_the_sample_or_in_a_file_of_its_own(video: Path, tmp_path: Path) -> None:
    frames = json.loads((video / "frames.json").read_text())["frames"]
    (sample,) = json.loads((video / "samples.json").read_text())["samples"]
    (video / "frames.json").unlink()
    (video / "metadata.json").unlink()
    inner = {"frames": {str(f.pop("frame_number")): f for f in frames}}
    write(video, sample | inner)
    assert len(rows(load(video, tmp_path), "frames.objs")) == 3
    (video / "frames").mkdir()
    (video / "frames" / "v.json").write_text(json.dumps(inner))
    write(video, sample | {"frames": "frames/v.json"})
    assert len(rows(ab.import_dataset(video, tmp_path / "file").dataset, "frames.objs")) == 3


def test_what_has_no_place_is_told(tmp_path: Path) -> None:
    source = export(
        tmp_path / "export",
        group={"_cls": "Group", "_id": {"$oid": OID}, "name": "left"},
        nested=[[1], [2]],
        width="wide",
        three=detections({"location": [1, 2, 3]}),
        many={"_cls": "Classifications", "classifications": [], "logits": [0.5]},
        unnamed={"_cls": "Classification", "_id": {"$oid": OID}},
        nothing=None,
    )
    report = ab.import_dataset(source, tmp_path / "ds")
    assert report.notes == [
        "1 of 'group' were left out: a nested document is not a column.",
        "1 of 'many.logits' were left out: it belongs to no label.",
        "1 of 'nested' were left out: a list of lists or documents is not a column.",
        "1 of 'three' were left out: they have no box in the image.",
        "1 of 'unnamed' were left out: they have no class.",
        "Of what FiftyOne finds out by itself, the sizes, frames and frame rates were kept.",
    ]
    assert report.dataset.samples(["width", "width_"]).to_pylist() == [{"width": 64, "width_": "wide"}]


def detections(*labels: dict[str, Any]) -> dict[str, Any]:
    return {"_cls": "Detections", "detections": [{"_cls": "Detection", **label} for label in labels]}


BOX = {"label": "car", "bounding_box": [0.1, 0.2, 0.3, 0.4]}
KEYPOINT = {"_cls": "Keypoint", "label": "k", "points": [[0.1, 0.2], [0.3, 0.4]]}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"x": {"_cls": "Cuboid", "a": 1}},
            "1, sample 1: the field 'x' is a 'Cuboid', which is not known here; leave it out",
        ),
        (
            {"x": detections(BOX, {"_cls": "Box"})},
            "1, sample 1, field 'x', label 2: There is a 'Box' where a label is needed.",
        ),
        (
            {"x": detections({**BOX, "bounding_box": [1, 2]})},
            "label 1: 'bounding_box' is [1, 2]; give [x, y, width, height]",
        ),
        ({"x": detections({**BOX, "mask": 3})}, "label 1: 'mask' is 3, where a binary array is needed."),
        (
            {"x": detections({**BOX, "mask": {"$binary": "eJw=", "$type": "00"}})},
            "label 1: The array 'mask' is not an array of",
        ),
        ({"x": detections({**BOX, "mask_path": "no.png"})}, "no.png' is not there."),
        ({"x": detections({**BOX, "tags": 3})}, "sample 1, field 'x', label 1 has a value of another type"),
        (
            {"x": {**KEYPOINT, "confidence": [0.5]}},
            "label 1: It has 2 points, but 'confidence' has 1 values; give as many.",
        ),
        ({"x": {**KEYPOINT, "visibility": [1, 2, 2]}}, "label 1: It has 2 points, but 'visibility' has 3 values"),
        ({"filepath": None}, "1, sample 1 has no filepath; export the dataset again."),
        ({"filepath": "data/b.png"}, "Media are missing: "),
        ({"_media_type": "point-cloud"}, "1, sample 1 is of the media type 'point-cloud', and only images and videos"),
        ({"frames": "frames/v.json"}, "1, sample 1: its frames are not in "),
    ],
)
def test_a_bad_document_is_an_error_with_its_place(fields: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    source = export(tmp_path / "export", **fields)
    with pytest.raises(InvalidSource) as caught:
        load(source, tmp_path)
    assert sentence in str(caught.value)
    assert str(source) in str(caught.value)
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"samples": [{"filepath": ', "samples.json:1 ends in the middle of sample 1; "),
        ('{"samples": [\n{"filepath": "a"},\n{"filepa', "samples.json:3 ends in the middle of sample 2; "),
        ('{"samples": [\n{"filepath": "a"}', "samples.json:2 ends in the middle of a list or an object; "),
        (
            '{"samples": [\n{"a": 1 "b"}' + " " * 99,
            "samples.json:2 is not JSON as FiftyOne writes it: expecting ',' delimiter;",
        ),
        (
            '{"samples": [\n{}\n{}]}',
            "samples.json:3 is not JSON as FiftyOne writes it: it has '{' where ',' is needed;",
        ),
        (
            '{"samples": [{"filepath": 1}]} x',
            "samples.json:1 is not JSON as FiftyOne writes it: there is something after its end",
        ),
        ('{"samples": [3]}', "samples.json:1, sample 1 is 3, where an object is needed;"),
        ('{"samples": [{"_id": {"$numberInt": "x"}}]}', "a value in sample 1 is not MongoDB's JSON"),
        ('{"samples": [{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]}", "sample 1 is nested too deeply"),
    ],
)
def test_bad_json_is_an_error_with_its_line(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "samples.json").write_text(text)
    with pytest.raises(InvalidSource) as caught:
        list(documents.read_documents(tmp_path / "samples.json", "samples"))
    assert sentence in str(caught.value)


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "samples.json").write_bytes(b'{"samples": [{"a": "\xff"}]}')
    with pytest.raises(InvalidSource, match="it is not UTF-8"):
        list(documents.read_documents(tmp_path / "samples.json", "samples"))


def test_a_folder_without_samples_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match=r"has no samples\.json; give the folder of a FiftyOne export"):
        FiftyOneFormat().open(tmp_path, Reading())


def test_a_column_has_one_type(tmp_path: Path) -> None:
    source = export(tmp_path / "export")
    (sample,) = json.loads((source / "samples.json").read_text())["samples"]
    write(source, sample | {"x": 1}, sample | {"x": "one"})
    with pytest.raises(InvalidSource, match=r"the field 'x' holds values of several types \(int, str\)"):
        load(source, tmp_path)
    write(source, *[sample | {"x": 1}] * 1000, sample | {"x": "one"})  # of two parts
    with pytest.raises(InvalidSource, match=r"the field 'x' holds values of several types \(int64, string\)"):
        load(source, tmp_path)
    write(source, sample | {"x": "one"})
    assert "x" not in load(source, tmp_path, omit_fields=("x",)).samples().schema.names


def test_the_paths_of_images_may_start_elsewhere_and_boxes_be_clipped(tmp_path: Path) -> None:
    source = export(tmp_path / "export", x=detections({**BOX, "bounding_box": [0.5, 0.5, 0.7, 0.5]}))
    (source / "data").rename(tmp_path / "data")
    with pytest.raises(SchemaError, match="not inside the image"):
        load(source, tmp_path, rel_dir=tmp_path)
    ds = load(source, tmp_path, rel_dir=tmp_path, invalid="clip")
    assert rows(ds)[0]["bounding_box"] == [0.5, 0.5, 0.5, 0.5]


def test_it_is_recognised_by_how_it_begins(images: Path, tmp_path: Path) -> None:
    known = FiftyOneFormat().recognises
    assert known(images)
    assert known(images / "samples.json")
    assert not known(images / "data")
    assert not known(tmp_path / "nowhere")
    (images / "samples.json").write_text('{"images": []}')
    assert not known(images)


plain = st.dictionaries(st.sampled_from("ab$"), st.text(max_size=5) | st.integers() | st.just(0.5), max_size=3)


@examples(40)
@given(st.lists(plain, max_size=5), st.integers(1, 40))
def test_documents_are_the_same_however_they_are_cut(found: list[dict[str, Any]], chunk: int) -> None:
    text = json.dumps({"a": 1, "samples": found, "b": [2]}, indent=1)
    window = documents._Window(io.StringIO(text), Path("x"))
    read, window._file.read = window._file.read, lambda _: read(chunk)  # type: ignore[method-assign]
    members = list(window.members("samples"))
    assert [d.values for name, d in members if name == "samples"] == found
    assert [value for name, value in members if name != "samples"] == [1, [2]]


# Writing


def street(tmp_path: Path, **fields: Any) -> ab.Dataset:
    ds = ab.create_dataset(tmp_path / "street")
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    ds.add_samples([ab.Sample(tmp_path / "a.png", "first sample", **fields)])
    return ds


def exported(ds: ab.Dataset, tmp_path: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """The one sample of an export, and the notes."""
    report = ab.export_dataset(ds, tmp_path / "out", "fiftyone", **options)
    (sample,) = json.loads((tmp_path / "out" / "samples.json").read_text())["samples"]
    return sample, report.notes


def test_ids_that_are_not_mongos_are_kept_beside(tmp_path: Path) -> None:
    ds = street(tmp_path, cars=[ab.Detection("car", [0, 0, 1, 1], label_id="my label")])
    sample, _ = exported(ds, tmp_path)
    (label,) = sample["cars"]["detections"]
    assert (sample["annobridge_id"], label["annobridge_id"]) == ("first sample", "my label")
    assert extended_json.is_object_id(sample["_id"]["$oid"])
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again").dataset
    assert (again.sample_ids(), rows(again)[0]["label_id"]) == (["first sample"], "my label")


def test_a_field_of_several_types_is_several_fields(tmp_path: Path) -> None:
    ds = street(tmp_path, mixed=[ab.Detection("a", [0, 0, 1, 1]), ab.Polyline("b", [[(0, 0), (1, 1)]])])
    sample, notes = exported(ds, tmp_path)
    assert notes == ["Labels of 'mixed' are in the field 'mixed_polylines' there."]
    assert (sample["mixed"]["_cls"], sample["mixed_polylines"]["_cls"]) == ("Detections", "Polylines")


def test_an_instance_is_cut_to_its_box_and_a_box_that_is_too_small_grows(tmp_path: Path) -> None:
    mask = np.zeros((48, 64), bool)
    mask[12:24, 16:32] = True
    fit = ab.Detection("fit", [0.25, 0.25, 0.5, 0.5], mask)
    small = ab.Detection("small", [0.25, 0.25, 0.1, 0.1], mask)
    sample, notes = exported(street(tmp_path, x=[fit, small]), tmp_path)
    found = {d["label"]: d for d in sample["x"]["detections"]}
    crop = extended_json.decode_array(base64.b64decode(found["fit"]["mask"]["$binary"]["base64"]))
    assert (crop.shape, int(crop.sum())) == ((24, 32), 12 * 16)
    assert found["small"]["bounding_box"] == [0.25, 0.25, 0.25, 0.25]
    assert notes == ["1 instances had pixels outside their box; the box was made that of the mask."]


def test_kinds_without_a_counterpart_are_refused_or_left_out_by_name(tmp_path: Path) -> None:
    ds = street(tmp_path, talk=[ab.Message("question", "What?")], cars=[ab.Detection("car", [0, 0, 1, 1])])
    with pytest.raises(
        Unsupported, match=r"The field 'talk' holds messages, for which FiftyOne has no label; .*fields="
    ):
        exported(ds, tmp_path)
    assert not (tmp_path / "out").exists()
    sample, _ = exported(ds, tmp_path, fields=("cars",))
    assert "talk" not in sample


def test_images_and_videos_are_not_written_together(tmp_path: Path) -> None:
    ds = street(tmp_path)
    ds.add_samples([ab.Sample(tmp_path / "v.mp4")])
    with pytest.raises(Unsupported, match="The samples are images and videos"):
        exported(ds, tmp_path)


def test_scalars_that_are_no_numbers_are_plain_values(tmp_path: Path) -> None:
    ds = street(tmp_path, day=[ab.Scalar(True)], mood=[ab.Scalar("fine")], count=[ab.Scalar(3)])
    sample, notes = exported(ds, tmp_path)
    assert (sample["day"], sample["mood"], sample["count"]["value"]) == (True, "fine", 3.0)
    assert notes == [
        "1 values of 'day' are plain values there, without an id.",
        "1 values of 'mood' are plain values there, without an id.",
    ]


def test_names_that_fiftyone_does_not_allow_are_changed(tmp_path: Path) -> None:
    ds = street(tmp_path, metadata="x")
    label = ab.Detection("a", [0, 0, 1, 1], attributes={"mask": 1}).row()
    store(ds, [{"sample_id": "first sample", "field": "my.field", **label}])
    sample, notes = exported(ds, tmp_path)
    assert sample["metadata_"] == "x"
    assert sample["my_field"]["detections"][0]["mask_"] == 1
    assert notes == [
        "The column 'metadata' is called 'metadata_' there.",
        "Labels of 'my.field' are in the field 'my_field' there.",
        "1 attributes are called mask_ there, since 'mask' cannot be the name of one.",
    ]


def test_what_samples_have_one_of_there_is_told(tmp_path: Path) -> None:
    ds = street(
        tmp_path, count=[ab.Scalar(1), ab.Scalar(2)], joints=[ab.Keypoint("a", [(0, 0), (1, 1)], confidence=0.5)]
    )
    box = {"kind": "box", "bounding_box": [0, 0, 1, 1], "frame_number": 3}
    store(ds, [{"sample_id": "first sample", "field": "objects", **box}])
    sample, notes = exported(ds, tmp_path)
    assert sample["joints"]["keypoints"][0]["confidence"] == [0.5, 0.5]
    assert "objects" not in sample
    assert sorted(notes) == [
        "1 keypoints have a confidence for each point there, and none for all of them.",
        "1 labels of 'objects' were left out: there, frames.… of videos have a frame_number, and no other.",
        "1 values of 'count' were left out, since samples have one each there.",
    ]


def test_masks_without_a_class_are_refused(tmp_path: Path) -> None:
    ds = street(tmp_path)
    mask = encode_rle(np.eye(48, 64))
    ds.add_labels("seg", [{"sample_id": "first sample", "kind": "segmentation", "mask": mask}])
    with pytest.raises(
        Unsupported, match="The masks of sample 'first sample' in 'seg' have no class, or several sizes"
    ):
        exported(ds, tmp_path)


def test_media_are_copied_linked_or_left_where_they_are(tmp_path: Path) -> None:
    ds = street(tmp_path)
    (tmp_path / "other").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "other" / "A.png")
    ds.add_samples([ab.Sample(tmp_path / "other" / "A.png")])
    for name, mode in (("copy", True), ("link", "symlink"), ("none", False)):
        ab.export_dataset(ds, tmp_path / name, "fiftyone", export_media=mode)
    for name in ("copy", "link"):
        assert sorted(p.name for p in (tmp_path / name / "data").iterdir()) == ["A-2.png", "a.png"]
    assert (tmp_path / "link" / "data" / "a.png").is_symlink()
    assert json.loads((tmp_path / "none" / "samples.json").read_text())["samples"][0]["filepath"] == str(
        tmp_path / "a.png"
    )
    (tmp_path / "a.png").unlink()
    for mode in (True, "symlink"):
        with pytest.raises(
            InvalidMedia, match=r"a\.png' of sample 'first sample' does not exist; .*export_media=False"
        ):
            ab.export_dataset(ds, tmp_path / "gone", "fiftyone", export_media=mode)
    assert not (tmp_path / "gone").exists()


def attached(folder: Path, blob: bool, cells: list[bytes | None]) -> ab.Dataset:
    """Images inside of a table: ``a``, and others whose ids look like addresses."""
    kind = pa.field("image", pa.large_binary(), metadata={"lance-encoding:blob": "true"} if blob else None)
    ids = ["a", "http://images/b"][: len(cells)]
    table = pa.table([pa.array(ids), pa.array(cells, kind.type)], pa.schema([("id", pa.string()), kind]))
    lance.write_dataset(table, folder / "db" / "images.lance", data_storage_version="2.1")
    return ab.attach(folder / "db")


def picture(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 3), shade).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("blob", [False, True])
@pytest.mark.parametrize("mode", [True, "symlink"])
def test_images_inside_of_a_table_are_copied(
    blob: bool, mode: bool | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(picture(9))  # of the name that the image is given
    ds = attached(tmp_path, blob, [picture(1), picture(2)])
    ds.add_labels("weather", [{"sample_id": "a", "kind": "classification", "label": "sun"}])
    ab.export_dataset(ds, tmp_path / "out", "fiftyone", export_media=mode)
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again").dataset
    found = {r["sample_id"]: Path(r["filepath"]) for r in again.samples().to_pylist()}
    assert {i: (p.name, p.read_bytes()) for i, p in found.items()} == {
        "a": ("a.png", picture(1)),
        "http://images/b": ("b.png", picture(2)),
    }
    assert [r["label"] for r in rows(again)] == ["sun"]


def test_images_inside_of_a_table_that_cannot_be_written(tmp_path: Path) -> None:
    ds = attached(tmp_path, False, [picture(1), None])
    with pytest.raises(
        InvalidMedia, match=r"'http://images/b' cannot be read \(the table has no bytes for it in 'image'\)"
    ):
        ab.export_dataset(ds, tmp_path / "out", "fiftyone")
    with pytest.raises(
        InvalidMedia, match=r"The image of sample 'a' lies in a table, .* leave export_media=False out\."
    ):
        ab.export_dataset(ds, tmp_path / "out", "fiftyone", export_media=False)
    assert not (tmp_path / "out").exists()


def test_an_address_is_shown_without_its_secrets_and_names_no_file_by_them(tmp_path: Path) -> None:
    place = "http://me:word@127.0.0.1:9/a.png?signature=s"  # the port of nobody
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample(place, "s")])
    with pytest.raises(InvalidMedia) as caught:
        ab.export_dataset(ds, tmp_path / "out", "fiftyone")
    assert str(caught.value) == (
        "'http://127.0.0.1:9/a.png' of sample 's' cannot be read (the server does not answer (ConnectionError)); "
        "put it there, or write the paths only with export_media=False."
    )
    ab.export_dataset(ds, tmp_path / "out", "fiftyone", export_media=False)
    assert json.loads((tmp_path / "out" / "samples.json").read_text())["samples"][0]["filepath"] == place


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server of this machine, with ``a.png``."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.png").write_bytes(picture(3))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "web")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_part_without_media_has_those_of_its_places(web: str, tmp_path: Path) -> None:
    places = {"sample_id": ["s"], "media_type": ["image"], "filepath": [f"{web}/a.png?signature=s"]}
    for name in ("out", "again"):
        (tmp_path / name).mkdir()
    part = Part(pa.table(places), LABELS.empty_table())
    assert FiftyOneFormat().write(iter([part]), tmp_path / "out", Writing()) == []
    assert (tmp_path / "out" / "data" / "a.png").read_bytes() == picture(3)
    (tmp_path / "web" / "a.png").unlink()
    with pytest.raises(InvalidMedia, match=r"^'http://[\d.:]+/a\.png' of sample 's' does not exist; "):
        FiftyOneFormat().write(iter([part]), tmp_path / "again", Writing())


def test_fields_that_are_not_there_are_refused(tmp_path: Path) -> None:
    ds = street(tmp_path, cars=[ab.Detection("car", [0, 0, 1, 1])])
    with pytest.raises(ab.StoreError, match=r"has no label field 'cras'; did you mean 'cars'\?"):
        exported(ds, tmp_path, fields=("cars", "cras"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({"id": "w", "_id": 3}, {"id_": 3, "id__": "w"}),
        ({"a b": "w", "a_b": 3, "a_b_": 4}, {"a_b__": "w", "a_b": 3, "a_b_": 4}),
        ({"mask": 1, "mask_": 2, "a:b": 3}, {"mask__": 1, "mask_": 2, "a:b": 3}),
        ({"$x": 1, ".x": 2, "_x": 0.5, "x": [4]}, {"x_": 1, "x__": 2, "x___": 0.5, "x": [4]}),
    ],
)
def test_attributes_whose_names_are_changed_are_all_there(
    given: dict[str, Any], there: dict[str, Any], tmp_path: Path
) -> None:
    _, notes = exported(street(tmp_path, cars=[ab.Detection("car", [0, 0, 1, 1], attributes=given)]), tmp_path)
    (row,) = rows(ab.import_dataset(tmp_path / "out", tmp_path / "again").dataset)
    assert sorted(map(str, attributes(row).values())) == sorted(map(str, given.values()))
    assert attributes(row) == there
    changed = {n: next(t for t in there if there[t] == v) for n, v in given.items() if n not in there}
    assert sorted(notes) == sorted(
        f"1 attributes are called {name} there, since {was!r} cannot be the name of one."
        for was, name in changed.items()
    )
    about = json.loads((tmp_path / "out" / "metadata.json").read_text())["sample_fields"]
    (fields,) = next(f for f in about if f["name"] == "cars")["fields"]
    types = {f["name"]: f["ftype"].rsplit(".", 1)[-1] for f in fields["fields"]}
    plain = {float: "FloatField", int: "IntField", str: "StringField"}
    assert {name: types.get(name) for name in there} == {name: plain.get(type(v)) for name, v in there.items()}


def test_columns_and_fields_whose_names_are_changed_are_all_there(tmp_path: Path) -> None:
    columns = {"_width": 1, "width_": 2, "a b": 3, "a_b": 4, "x:y": 5, "cars": 6}
    boxes = [ab.Detection("a", [0, 0, 1, 1]), ab.Polyline("b", [[(0, 0), (1, 1)]])]
    ds = street(tmp_path, **columns)
    ds.add_labels("cars", [{"sample_id": "first sample", **box.row()} for box in boxes])
    names = ["cars", "cars_polylines", "c d", "c_d"]
    for name in names[1:]:
        row = {"sample_id": "first sample", "kind": "classification", "label": f"of {name}"}
        store(ds, [{"field": name, **row}])
    _, notes = exported(ds, tmp_path)
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again").dataset
    (sample,) = again.samples().to_pylist()
    wanted = {"width__": 1, "width_": 2, "a_b_": 3, "a_b": 4, "x:y": 5, "cars_": 6}
    assert {n: sample.get(n) for n in wanted} == wanted
    assert {(r["field"], r["label"]) for r in rows(again)} == {
        ("cars", "a"), ("cars_polylines_", "b"), ("cars_polylines", "of cars_polylines"), ("c_d_", "of c d"),
        ("c_d", "of c_d"),
    }  # fmt: skip
    assert set(notes) == {
        "Labels of 'cars' are in the field 'cars_polylines_' there.",
        "Labels of 'c d' are in the field 'c_d_' there.",
        "The column '_width' is called 'width__' there.",
        "The column 'a b' is called 'a_b_' there.",
        "The column 'cars' is called 'cars_' there.",
    }


unit = st.floats(0, 1)
names = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=5).filter(
    str.strip
)  # a class is not blank
boxes = st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.01, 0.5), st.floats(0.01, 0.5)).map(list)
extras = st.fixed_dictionaries(
    {},
    optional={
        "confidence": unit,
        "index": st.integers(0, 9),
        "rotation": st.floats(0, 90),
        "occluded": st.booleans(),
        "note": st.text(max_size=5),
        "weight": st.floats(allow_nan=False, allow_infinity=False),
        "parts": st.lists(st.integers(0, 3), max_size=2),
        "tags": st.lists(names, min_size=1, max_size=2),
    },
)
masks = st.integers(0, 2**12 - 1).map(lambda bits: np.array([bits >> n & 1 for n in range(12)], bool).reshape(3, 4))
points = st.lists(st.tuples(unit, unit), min_size=3, max_size=5)
labels = st.one_of(
    st.builds(lambda name, box, extra: ab.Detection(name, box, **extra), names, boxes, extras),
    st.builds(lambda name, box, mask, extra: ab.Detection(name, box, mask, **extra), names, boxes, masks.filter(np.any), extras),
    st.builds(lambda name, ring, extra: ab.Polyline(name, [ring, ring], filled=True, **extra), names, points, extras),
    st.builds(lambda name, xy, seen: ab.Keypoint(name, xy, [1 + s for s in seen][: len(xy)]), names, points,
              st.lists(st.booleans(), min_size=5, max_size=5)),
)  # fmt: skip


@examples(12)
@given(found=st.lists(labels, min_size=1, max_size=6), classes=st.lists(names, max_size=3))
def test_a_dataset_comes_back_equal(found: list[ab.Label], classes: list[str], tmp_path: Path) -> None:
    root = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    root.mkdir()
    Image.new("L", (4, 3)).save(root / "a.png")
    ds = ab.create_dataset(root / "ds")
    fields: dict[str, list[ab.Label]] = {}
    for label in found:
        fields.setdefault({"box": "x", "mask": "x", "polygon": "y", "keypoints": "z"}[label.kind], []).append(label)
    if classes:
        fields["classes"] = [ab.Classification(name) for name in classes]
    ds.add_samples([ab.Sample(root / "a.png", "s", note="é", **fields)])
    report = ab.export_dataset(ds, root / "out", "fiftyone")
    again = ab.import_dataset(root / "out", root / "again").dataset
    assert (
        again.samples(["sample_id", "note", "width"]).to_pylist()
        == ds.samples(["sample_id", "note", "width"]).to_pylist()
    )
    before, after = rows(ds), rows(again)
    if report.notes:  # a box was made that of its mask
        for row in (*before, *after):
            row.pop("bounding_box", None)
    assert after == before
