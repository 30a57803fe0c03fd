"""Pixano libraries: their tables are read, exports come back exactly, and a real server opens it."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from tests.backend import pixano_cases as full
from tests.generated import examples

import annobridge as ab
from annobridge.core import rows
from annobridge.exceptions import InvalidLabels, InvalidMedia, InvalidOption, InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.pixano_library.reading import samples as sampling
from annobridge.io.export_dataset import export_dataset
from annobridge.io.import_dataset import import_dataset
from annobridge.testing import strategies
from annobridge_pixano import PixanoBackend, PixanoConfig, server
from annobridge_pixano.annotator import ScriptedAnnotator

from . import pixano_library_cases as cases
from .pixano_library_cases import of_e, one_image, read

BOX = {"id": "b", "coords": [0.1, 0.2, 0.3, 0.4]}


def attributes(label: dict[str, Any]) -> dict[str, Any]:
    return {a["name"]: json.loads(a["value"]) for a in label.get("attributes", ())}


# --- shapes and objects


def test_a_box_of_an_object(tmp_path: Path) -> None:
    box = of_e(**BOX, confidence=0.5)
    samples, labels, notes = read(one_image(tmp_path / "d", bboxes=[box]))
    assert [(s["sample_id"], s["filepath"], s["width"], s["split"]) for s in samples] == [
        ("r", "http://images/a.png", 32, "train")
    ]
    assert labels == [
        {"label_id": "e", "sample_id": "r", "field": "objects", "kind": "box", "label": "car", "confidence": 0.5,
         "bounding_box": [0.1, 0.2, 0.3, 0.4]}
    ]  # fmt: skip
    assert notes == []


@pytest.mark.parametrize(
    ("form", "coords"),
    [
        ({"format": "xyxy"}, [0.25, 0.5, 0.75, 0.75]),
        ({"is_normalized": False}, [8.0, 12.0, 16.0, 6.0]),
        ({"is_normalized": False, "format": "xyxy"}, [8.0, 12.0, 24.0, 18.0]),
    ],
)
def test_boxes_of_every_form(tmp_path: Path, form: dict[str, Any], coords: list[float]) -> None:
    _, labels, _ = read(one_image(tmp_path / "d", bboxes=[of_e(id="b", coords=coords, **form)]))
    assert labels[0]["bounding_box"] == [0.25, 0.5, 0.5, 0.25]


def test_pixels_of_an_image_of_unknown_size(tmp_path: Path) -> None:
    images = [{"id": "v", "record_id": "r", "width": 0}]
    source = one_image(tmp_path / "d", images=images, bboxes=[of_e(**BOX, is_normalized=False)])
    with pytest.raises(InvalidSource, match=r"'b' is in pixels, and the width and height of its image are not known"):
        read(source)


def test_all_other_shapes(tmp_path: Path) -> None:
    rle = rows.geometry.encode_rle(full.pixels())
    source = one_image(
        tmp_path / "d",
        entities=[{"id": i, "record_id": "r", "category": "car"} for i in ("e", "m", "p", "k")],
        bboxes=[of_e(**BOX, confidence=0.25) | {"entity_id": "m"}],
        masks=[of_e(id="mask", size=rle["size"], counts=rle["counts"]) | {"entity_id": "m"}],
        multi_paths=[
            of_e(id="closed", coords=[0, 0, 1, 0, 1, 1], num_points=[3], is_closed=True) | {"entity_id": "p"},
            of_e(id="open", coords=[0, 0, 1, 0], num_points=[2]) | {"entity_id": "p"},
        ],
        keypoints=[
            of_e(id="k", template_id="face", coords=[0.5, 0.5, 0, 0], states=["hidden", "invisible"])
            | {"entity_id": "k"}
        ],
    )
    _, labels, _ = read(source, field="things")
    found = {label["label_id"]: label for label in labels}
    assert {label["field"] for label in labels} == {"things"}
    assert {i: label["kind"] for i, label in found.items()} == {
        "m": "mask", "closed": "polygon", "open": "polyline", "k": "keypoints"
    }  # fmt: skip
    assert found["m"]["bounding_box"] == BOX["coords"]
    assert found["m"]["confidence"] == 0.25
    assert found["k"]["visibility"] == [1, 0]
    assert attributes(found["k"]) == {"template_id": "face"}


def test_keypoints_in_pixels(tmp_path: Path) -> None:
    points = of_e(id="k", coords=[16.0, 12.0, 1.0, 0.0], states=["visible", "visible"])
    _, labels, notes = read(one_image(tmp_path / "d", keypoints=[points]))
    assert labels[0]["points"] == [[[0.5, 0.5], [1 / 32, 0.0]]]
    assert "The keypoints are in pixels: one of them is beyond 1." in notes


def test_attributes_of_objects_and_of_annotations(tmp_path: Path) -> None:
    entity = {
        "id": "e",
        "record_id": "r",
        "category": "",
        "age": 2,
        "parts": ["a"],
        "sizes": [1, 2],
        "note": "",
        "ok": False,
    }
    _, labels, _ = read(one_image(tmp_path / "d", entities=[entity], bboxes=[of_e(**BOX, blur=0.5)]))
    assert attributes(labels[0]) == {"age": 2, "parts": ["a"], "sizes": [1, 2], "ok": False, "blur": 0.5}
    assert "label" not in labels[0]


def test_the_class_may_have_another_name(tmp_path: Path) -> None:
    cases.TABLES["entities"].pop("category")
    try:
        entity = {"id": "e", "record_id": "r", "species": "cat"}
        source = one_image(tmp_path / "d", entities=[entity], bboxes=[of_e(**BOX)])
    finally:
        cases.TABLES["entities"]["category"] = pa.string()
    _, labels, notes = read(source)
    assert attributes(labels[0]) == {"species": "cat"}
    assert notes == [
        "The entities have no attribute 'category', so the labels have no class; give one of species as class_attribute."
    ]
    _, labels, notes = read(source, class_attribute="species")
    assert (labels[0]["label"], attributes(labels[0]), notes) == ("cat", {}, [])
    with pytest.raises(InvalidOption, match=r"class_attribute='kind': .* have the text attributes species; give one"):
        read(source, class_attribute="kind")


def test_classifications_and_messages(tmp_path: Path) -> None:
    asked = {"record_id": "r", "conversation_id": "c", "number": 1}
    source = one_image(
        tmp_path / "d",
        classifications=[
            of_e(id="one", labels=["big"], confidences=[0.5]) | {"entity_id": ""},
            of_e(id="two", labels=["old", "red"], confidences=[-1.0, 1.0]),
        ],
        messages=[
            {**asked, "id": "q", "type": "QUESTION", "content": "which?", "choices": ["a", "b"], "question_type": "SINGLE_CHOICE"},
            {**asked, "id": "a", "type": "ANSWER", "content": "[[B]]", "user": "me"},
        ],
    )  # fmt: skip
    _, labels, _ = read(source)
    found = {label["label_id"]: label for label in labels}
    assert {(i, found[i]["label"], found[i].get("confidence")) for i in ("one", "two:0", "two:1")} == {
        ("one", "big", 0.5), ("two:0", "old", None), ("two:1", "red", 1.0)
    }  # fmt: skip
    assert [(found[i]["label"], found[i]["value"], found[i]["index"], found[i]["field"]) for i in "qa"] == [
        ("question", '"which?"', 1, "messages"), ("answer", '"b"', 1, "messages")
    ]  # fmt: skip
    assert attributes(found["a"]) == {"conversation": "c", "user": "me"}


def test_record_attributes(tmp_path: Path) -> None:
    record = {
        "id": "r",
        "scene": "day",
        "weather": ["wet", "cold"],
        "rating": 3,
        "tags": ["x"],
        "width": 7,
        "view": "hill",
        "comment": "hm",
    }
    source = one_image(tmp_path / "d", records=[record])
    samples, labels, _ = read(source)
    assert labels == []
    wanted = {
        "scene": "day",
        "weather": ["wet", "cold"],
        "rating": 3,
        "tags": ["x"],
        "record_width": 7,
        "comment": "hm",
    }
    assert wanted.items() <= samples[0].items()
    assert (samples[0]["width"], samples[0]["record_view"]) == (cases.WIDTH, "hill")
    samples, labels, _ = read(source, record_labels=["scene", "weather", "rating"])
    assert "scene" not in samples[0]
    assert [(x["field"], x["kind"], x.get("label") or x["value"]) for x in labels] == [
        ("scene", "classification", "day"),
        ("weather", "classification", "wet"),
        ("weather", "classification", "cold"),
        ("rating", "scalar", "3"),
    ]
    with pytest.raises(InvalidOption, match=r"record_labels='place': the records of .* have the attributes scene, "):
        read(source, record_labels=["place"])


def test_attributes_that_are_named_as_ours(tmp_path: Path) -> None:
    entity = {"id": "e", "record_id": "r", "category": "car", "label_id": "x"}
    source = one_image(tmp_path / "d", records=[{"id": "r", "sample_id": "y"}], entities=[entity], bboxes=[of_e(**BOX)])
    samples, labels, _ = read(source)
    assert (samples[0]["sample_id"], samples[0]["record_sample_id"]) == ("r", "y")
    assert (labels[0]["label_id"], attributes(labels[0])) == ("e", {"label_id": "x"})


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    broken = of_e(id="broken", size=[cases.HEIGHT, cases.WIDTH], counts=b"!!!")
    source = one_image(
        tmp_path / "d",
        records=[{"id": "r"}, {"id": "bare"}],
        images=[{"id": "v", "record_id": "r"}, {"id": "stray", "record_id": "gone"}],
        bboxes=[
            of_e(**BOX),
            of_e(**BOX) | {"id": "b2", "entity_id": "gone"},
            of_e(**BOX) | {"id": "b3", "record_id": "gone"},
        ],
        masks=[broken],
        relations=[of_e(id="x")],
    )
    samples, labels, notes = read(source)
    assert [s["sample_id"] for s in samples] == ["r"]
    assert [label["label_id"] for label in labels] == ["e"]
    assert notes == [
        "1 records have no image, and were left out.",
        "1 images belong to no record, and were left out.",
        "2 of Pixano's bboxes belong to no object or no image (it was deleted), and were left out.",
        "1 masks cannot be read (broken), and were left out; draw them again in Pixano.",
        "1 relations of Pixano (table relations) have no place here, and were left out.",
    ]


def test_annotations_of_one_id_in_two_tables(tmp_path: Path) -> None:
    source = one_image(
        tmp_path / "d",
        bboxes=[of_e(**BOX)],
        keypoints=[
            of_e(id="b", coords=[0.0, 0.5], states=["visible"]),
            of_e(id="k", coords=[0.1, 0.5], states=["visible"]),
        ],
    )
    _, labels, notes = read(source)
    assert [(x["kind"], x.get("label_id")) for x in labels] == [("box", "b"), ("keypoints", None), ("keypoints", "k")]
    assert "1 annotations have the id of another one, and were given new ids." in notes


# --- several images for a record


def test_two_views(tmp_path: Path) -> None:
    images = [{"id": f"{r}{v}", "record_id": r, "logical_name": v} for r in ("r", "s") for v in ("left", "right")][:3]
    source = one_image(
        tmp_path / "d",
        records=[{"id": "r", "place": "x"}, {"id": "s", "place": "y"}],
        images=images,
        entities=[{"id": i, "record_id": i, "category": i} for i in ("r", "s")],
        bboxes=[
            {**BOX, "id": "1", "record_id": "r", "entity_id": "r", "view_id": "rleft"},
            {**BOX, "id": "2", "record_id": "r", "entity_id": "r", "view_id": "rright"},
            {**BOX, "id": "3", "record_id": "s", "entity_id": "s", "view_id": "ghost"},
            {**BOX, "id": "4", "record_id": "r", "entity_id": "r", "view_id": "ghost"},
        ],
    )
    samples, labels, notes = read(source)
    assert [(s["sample_id"], s["record"], s["view"], s["place"]) for s in samples] == [
        ("r:left", "r", "left", "x"), ("r:right", "r", "right", "x"), ("s:left", "s", "left", "y")
    ]  # fmt: skip
    assert [(x["label_id"], x["sample_id"], x["label"]) for x in labels] == [
        ("1", "r:left", "r"), ("2", "r:right", "r"), ("s", "s:left", "s")
    ]  # fmt: skip
    assert notes[0].startswith("1 of Pixano's bboxes belong to no object or no image")


def sequence(folder: Path) -> Path:
    """A clip of four frames, with two objects that move."""
    place = {"record_id": "r", "view_id": "f0"}
    boxes = [
        {
            **place,
            "id": f"{e}{i}",
            "entity_id": e,
            "frame_id": f"f{i}",
            "frame_index": i,
            "coords": [0.1 * i, 0.1, 0.2, 0.2],
        }
        for e, frames in (("e", (0, 1, 2)), ("late", (2, 3)))
        for i in frames
    ]
    mask = rows.geometry.encode_rle(full.pixels())
    return cases.dataset(
        folder,
        records=[{"id": "r"}],
        sequence_frames=[
            {"id": f"f{i}", "record_id": "r", "logical_name": "cam", "frame_index": i, "timestamp": i / 10}
            for i in range(4)
        ],
        entities=[{"id": i, "record_id": "r", "category": i, "hidden": False} for i in ("e", "late")],
        bboxes=boxes,
        masks=[{**place, "id": "m", "entity_id": "late", "frame_id": "f3", "frame_index": 3, **mask}],
        entity_dynamic_states=[
            {**place, "id": "st", "entity_id": "e", "frame_id": "f1", "frame_index": 1, "hidden": True, "pose": "up"}
        ],
        tracklets=[{"id": "t", "record_id": "r", "entity_id": "e"}],
    )


@pytest.mark.parametrize("size", [5000, 1, 3])
def test_frames_of_a_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(sampling, "PART", size)
    samples, labels, notes = read(sequence(tmp_path / "d"))
    assert [(s["sample_id"], s["record"], s["frame_index"], s["timestamp"]) for s in samples] == [
        (f"r:{i}", "r", i, i / 10) for i in range(4)
    ]
    found = {label["label_id"]: label for label in labels}
    assert {i: (x["sample_id"], x["index"], x["label"], x["kind"]) for i, x in found.items()} == {
        "e0": ("r:0", 1, "e", "box"), "e1": ("r:1", 1, "e", "box"), "e2": ("r:2", 1, "e", "box"),
        "late2": ("r:2", 2, "late", "box"), "m": ("r:3", 2, "late", "mask"),
    }  # fmt: skip
    assert found["m"]["bounding_box"] == pytest.approx([0.3, 0.1, 0.2, 0.2])
    assert attributes(found["e1"]) == {"hidden": True, "pose": "up"}
    assert attributes(found["e2"]) == {"hidden": False}
    assert "1 tracklets became the index of their labels; when they begin and end was left out." in notes


def test_images_that_cannot_be_told_apart(tmp_path: Path) -> None:
    images = [{"id": i, "record_id": "r"} for i in "vw"]
    with pytest.raises(
        InvalidSource, match=r"has several images 'r' \(a record, its view and frame\); give each image"
    ):
        read(one_image(tmp_path / "d", images=images))


# --- where images are


def embedded(folder: Path) -> Path:
    images = [
        {"id": f"v{i}", "record_id": r, "uri": "", "raw_bytes": cases.png(i)} for i, r in enumerate(["r", "a/b é"])
    ]
    return cases.dataset(folder, records=[{"id": "r"}, {"id": "a/b é"}], images=images)


def test_images_inside_of_tables_become_files(tmp_path: Path) -> None:
    source = embedded(tmp_path / "root" / "library" / "d")
    for _ in range(2):  # the second finds them
        samples, _, notes = read(source)
        assert [Path(s["filepath"]).read_bytes() for s in samples] == [cases.png(0), cases.png(1)]
    assert samples[0]["filepath"] == str(tmp_path / "root" / "media" / "d" / "r.png")
    assert {Path(s["filepath"]).parent for s in samples} == {tmp_path / "root" / "media" / "d"}
    assert notes == [
        f"2 images were inside of Pixano's tables; they are files in {tmp_path / 'root' / 'media' / 'd'} now."
    ]
    assert sorted(p.name for p in source.iterdir()) == ["db", "info.json"]


def test_images_are_put_where_one_says(tmp_path: Path) -> None:
    source = embedded(tmp_path / "d")
    samples, *_ = read(source, media_folder=tmp_path / "mine")
    assert {Path(s["filepath"]).parent for s in samples} == {tmp_path / "mine"}
    assert not (tmp_path / "d-media").exists()
    (tmp_path / "mine" / "r.png").write_bytes(b"holiday")
    with pytest.raises(InvalidSource, match=r"r\.png is another image than that of Pixano; give another media_folder"):
        read(source, media_folder=tmp_path / "mine")
    assert (tmp_path / "mine" / "r.png").read_bytes() == b"holiday"


def test_an_image_without_pixels(tmp_path: Path) -> None:
    source = one_image(tmp_path / "d", images=[{"id": "v", "record_id": "r", "uri": ""}])
    with pytest.raises(InvalidSource, match=r"The image 'r' of .* has neither pixels nor an address; restore"):
        read(source)


def test_images_beside_the_library(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.png").write_bytes(cases.png())
    elsewhere = tmp_path / "b c.png"
    elsewhere.write_bytes(cases.png())
    images = [{"id": "1", "record_id": "1", "uri": "a.png"}, {"id": "2", "record_id": "2", "uri": elsewhere.as_uri()}]
    source = cases.dataset(tmp_path / "library" / "d", records=[{"id": "1"}, {"id": "2"}], images=images)
    samples, *_ = read(source)
    assert [s["filepath"] for s in samples] == [str(tmp_path / "media" / "a.png"), str(elsewhere)]
    elsewhere.unlink()
    with pytest.raises(
        InvalidSource, match=r"1 images of .* are not where its tables say, as 'file:.*'; put them there"
    ):
        read(source)


# --- what is no dataset that can be read


def test_a_library_with_one_dataset_and_with_two(tmp_path: Path) -> None:
    one_image(tmp_path / "library" / "first")
    for source in (tmp_path, tmp_path / "library", tmp_path / "library" / "first"):
        assert cases.FORMAT.recognises(source)
        assert len(read(source)[0]) == 1
    one_image(tmp_path / "library" / "second")
    with pytest.raises(
        InvalidSource, match=r"library holds 2 Pixano datasets \(first, second\); give the folder of one"
    ):
        read(tmp_path / "library")


def test_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "info.json").write_text("{}")
    assert not cases.FORMAT.recognises(tmp_path)
    assert not cases.FORMAT.recognises(tmp_path / "nothing")
    assert not cases.FORMAT.recognises(tmp_path / "info.json")
    with pytest.raises(InvalidSource, match=r"holds no Pixano dataset, which is a folder with info\.json and db"):
        read(tmp_path)


def test_the_item_generation_is_named(tmp_path: Path) -> None:
    source = one_image(tmp_path / "d")
    (source / "db" / "records.lance").rename(source / "db" / "item.lance")
    assert cases.FORMAT.recognises(source)
    with pytest.raises(
        InvalidSource, match=r"item generation \(Pixano 0\.6 .* import the folder of images and metadata"
    ):
        read(source)


def test_a_newer_layout_is_named(tmp_path: Path) -> None:
    source = cases.dataset(tmp_path / "d", {"spec_version": 3}, records=[])
    with pytest.raises(InvalidSource, match=r"of layout 3, which is newer than Pixano 0\.8 \(layout 2\); export it"):
        read(source)


def test_pixano_0_7_is_read(tmp_path: Path) -> None:
    source = one_image(tmp_path / "d", bboxes=[of_e(**BOX)])
    (source / "info.json").write_text('{"name": "old"}')
    assert len(read(source)[1]) == 1


def test_damaged_files(tmp_path: Path) -> None:
    source = one_image(tmp_path / "d", bboxes=[of_e(**BOX)])
    shutil.rmtree(source / "db" / "bboxes.lance" / "_versions")
    with pytest.raises(InvalidSource, match=r"bboxes\.lance cannot be read \(.*\); restore the table"):
        read(source)
    (source / "info.json").write_text("{")
    with pytest.raises(InvalidSource, match=r"info\.json cannot be read: .*; restore it"):
        read(source)


def test_a_missing_column(tmp_path: Path) -> None:
    source = one_image(tmp_path / "d", bboxes=[of_e(**BOX)])
    lance.dataset(str(source / "db" / "bboxes.lance")).drop_columns(["coords"])
    with pytest.raises(InvalidSource, match=r"The table bboxes of .* has no column 'coords', which Pixano's have"):
        read(source)


def test_no_images_at_all(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidSource, match=r"has no images \(its tables are entities, records\), and annobridge is for"
    ):
        read(cases.dataset(tmp_path / "d", records=[{"id": "r"}]))
    assert read(cases.dataset(tmp_path / "empty", records=[]))[:2] == ([], [])


# --- out, and in again


def everything(folder: Path) -> Part:
    columns = {
        "place": ["x", None, "", "y"],
        "number": pa.array([1, 2, None, 3], pa.int32()),
        "pair": [[1, 2], None, [], [3]],
    }
    return Part(cases.samples(folder, full.SAMPLE_IDS, **columns), full.table(full.labels()))


def test_an_export_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    part = everything(tmp_path)
    notes = cases.written(tmp_path / "d", [part], name="My set")
    assert notes == [
        "The confidence of 1 labels that are no boxes is not seen in Pixano; an import has it again.",
        "3 labels lack a number or a yes/no that others of their kind have: Pixano shows 0 or no there; "
        "an import has it right again.",
    ]
    opened = cases.FORMAT.open(tmp_path / "d", cases.FORMAT.reading())
    (got,) = opened.parts()
    with pytest.raises(InvalidOption, match=r"record_labels cannot be chosen for .*; leave the option out"):
        read(tmp_path / "d", record_labels=["scene"])
    assert full.plain(got.labels) == full.plain(part.labels)
    for name in ("sample_id", "place", "number", "pair"):
        assert got.samples[name].combine_chunks() == part.samples[name].combine_chunks()
    pixels = [Path(p).read_bytes() for p in got.samples["filepath"].to_pylist()]
    assert pixels == [Path(p).read_bytes() for p in part.samples["filepath"].to_pylist()]


def test_the_layout_is_that_of_pixano_0_8(tmp_path: Path) -> None:
    cases.written(tmp_path / "d", [everything(tmp_path)], name="My set", description="why")
    info = json.loads((tmp_path / "d" / "info.json").read_text())
    assert (info["name"], info["description"], info["spec_version"]) == ("My set", "why", 2)
    assert (info["workspace"], info["storage_mode"], info["views"]) == (
        "image_vqa", "embedded", {"image": {"base": "Image", "fields": {}}}
    )  # fmt: skip
    assert info["entity"]["fields"]["parts"] == {"collection": False, "type": "str", "required": False, "default": ""}
    choices = json.loads((tmp_path / "d" / "features_values.json").read_text())
    assert choices["entities"] == {
        "entities": [{"name": "category", "restricted": False, "values": ["bus", "car", "road"]}]
    }
    for path in (tmp_path / "d" / "db").iterdir():
        table = lance.dataset(str(path))
        assert table.data_storage_version == "2.0"
        assert [f.name for f in table.schema if f.nullable] == (["raw_bytes"] if path.stem == "images" else [])


def test_an_export_tells_nothing_of_this_machine(tmp_path: Path) -> None:
    cases.written(tmp_path / "d", [everything(tmp_path)])
    assert sorted(p.name for p in (tmp_path / "d" / "annobridge").iterdir()) == [
        "labels.arrow", "layout.json", "samples.arrow"
    ]  # fmt: skip
    for path in (tmp_path / "d").rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes(), path


def test_parts_are_regrouped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = everything(tmp_path)
    ids = part.samples["sample_id"]
    halves = [pa.array(ids.to_pylist()[:3]), pa.array(ids.to_pylist()[3:])]
    split = [
        Part(part.samples.filter(pc.is_in(ids, half)), part.labels.filter(pc.is_in(part.labels["sample_id"], half)))
        for half in halves
    ]  # fmt: skip
    cases.written(tmp_path / "d", split)
    monkeypatch.setattr(sampling, "PART", 2)
    parts = list(cases.FORMAT.open(tmp_path / "d", cases.FORMAT.reading()).parts())
    assert [len(p.samples) for p in parts] == [2, 2]
    assert full.plain(pa.concat_tables([p.labels for p in parts])) == full.plain(part.labels)


FIELDS = {n: t for n, t in strategies.FIELDS.items() if t not in ("skeletons", "ellipses", "cuboids")}


@examples(25)
@given(table=strategies.tables(fields=FIELDS))
def test_any_labels_come_back(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> None:
    folder = tmp_path_factory.mktemp("any")
    part = Part(cases.samples(folder, ["sample1", "sample2"]), table)
    try:
        cases.written(folder / "d", [part])
    except Unsupported:  # rotated boxes and the like
        assert not (folder / "d" / "db").exists()
        return
    (got,) = cases.FORMAT.open(folder / "d", cases.FORMAT.reading()).parts()
    assert full.plain(got.labels) == full.plain(table)


def test_a_sidecar_that_is_damaged_or_gone(tmp_path: Path) -> None:
    cases.written(tmp_path / "d", [everything(tmp_path)])
    layout = tmp_path / "d" / "annobridge" / "layout.json"
    layout.write_text("{}")
    with pytest.raises(InvalidSource, match=r"layout\.json cannot be read .* or remove the folder .*annobridge: the"):
        read(tmp_path / "d")
    shutil.rmtree(layout.parent)
    samples, labels, notes = read(tmp_path / "d")
    assert [s["sample_id"] for s in samples] == full.SAMPLE_IDS
    shapes = {x["label_id"] for x in labels if "label_id" in x and x["kind"] != "message"}
    assert {"bad/id é", "thing", "area", "l0"} <= shapes
    fields = {x["label_id"]: x["field"] for x in labels if "label_id" in x}
    assert (fields["thing"], fields["area"], fields["l0"]) == ("things", "areas", "objects")
    assert "occluded" not in attributes(next(x for x in labels if x.get("label_id") == "area"))
    assert notes[0].startswith("The record attributes scene, tags, count, mixed, code, attr_status")


def test_web_images_stay_there(tmp_path: Path) -> None:
    samples = cases.samples(tmp_path, ["a", "b"])
    places = ["https://images/a.png", samples["filepath"][1].as_py()]
    samples = samples.set_column(samples.column_names.index("filepath"), "filepath", pa.array(places))
    cases.written(tmp_path / "d", [Part(samples, cases.no_labels())])
    assert json.loads((tmp_path / "d" / "info.json").read_text())["storage_mode"] == "mixed"
    assert read(tmp_path / "d")[0][0]["filepath"] == places[0]


def test_nothing_to_export(tmp_path: Path) -> None:
    assert cases.written(tmp_path / "d", []) == []
    assert read(tmp_path / "d") == ([], [], [])


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([("a", "f", rows.Ellipse("x", [0, 0, 1, 1]))], "Pixano has no ellipse labels"),
        ([("a", "f", rows.Detection("x", [0, 0, 1, 1], rotation=9.0))], "are rotated, and Pixano's boxes are upright"),
        ([("a", "f", rows.Detection("x", [0, 0, 1, 1], frame_number=1))], "Videos cannot be exported, only images"),
        (
            [("a", "f", rows.Classification("x")), ("a", "f", rows.Scalar(1))],
            "kinds classification and scalar, and Pixano",
        ),
        ([("a", "f", rows.Scalar(2)), ("a", "f", rows.Scalar(1))], "'f' has several values for one image"),
    ],
)
def test_what_pixano_cannot_hold(tmp_path: Path, items: list[Any], words: str) -> None:
    part = Part(cases.samples(tmp_path, ["a"]), full.table(items))
    with pytest.raises(Unsupported, match=words) as error:
        cases.written(tmp_path / "d", [part])
    assert "nothing was exported" in str(error.value)
    assert not (tmp_path / "d" / "db").exists()


def test_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    part = Part(cases.samples(tmp_path, ["a"]), cases.no_labels())
    (tmp_path / "image0.png").write_bytes(b"no image")
    with pytest.raises(InvalidMedia, match=r"image0\.png' of sample 'a' cannot be read \(.*\); mend or replace"):
        cases.written(tmp_path / "d", [part])
    (tmp_path / "image0.png").unlink()
    with pytest.raises(InvalidMedia, match=r"image0\.png' of sample 'a' does not exist; mend or replace"):
        cases.written(tmp_path / "e", [part])


@pytest.mark.parametrize("blob", [False, True])
def test_images_that_lie_inside_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blob: bool) -> None:
    """An id may look like an address, and a file of the name that is made of it may exist in the working directory."""
    ids = ["a", "http://images/b"]
    kind = pa.field("image", pa.large_binary(), metadata={"lance-encoding:blob": "true"} if blob else None)
    table = pa.table(
        [pa.array(ids), pa.array([cases.png(1), cases.png(2)], kind.type)], pa.schema([("id", pa.string()), kind])
    )
    lance.write_dataset(table, tmp_path / "db" / "images.lance", data_storage_version="2.1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(cases.png(9))
    attached = ab.attach(tmp_path / "db")
    export_dataset(attached, tmp_path / "d", "pixano")
    assert json.loads((tmp_path / "d" / "info.json").read_text())["storage_mode"] == "embedded"
    samples, _, _ = read(tmp_path / "d", media_folder=tmp_path / "media")
    assert [s["sample_id"] for s in samples] == ids
    assert [Path(s["filepath"]).read_bytes() for s in samples] == [cases.png(1), cases.png(2)]


def test_an_image_that_is_not_in_its_table(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "image": pa.array([cases.png(), None], pa.binary())})
    lance.write_dataset(table, tmp_path / "db" / "images.lance", data_storage_version="2.1")
    with pytest.raises(
        InvalidMedia,
        match=r"^The image of sample 'b' cannot be read \(the table has no bytes for it in 'image'\); mend",
    ):
        export_dataset(ab.attach(tmp_path / "db"), tmp_path / "d", "pixano")
    assert not (tmp_path / "d").exists()


# --- as a whole


def test_into_a_dataset_and_out_again(tmp_path: Path) -> None:
    part = everything(tmp_path)
    inside = part.labels.filter(pc.not_equal(part.labels["label_id"], "bad/id é"))
    cases.written(tmp_path / "first", [Part(part.samples, inside)])
    report = import_dataset(tmp_path / "first", tmp_path / "data")
    assert (report.format, report.samples, sum(report.labels.values())) == ("pixano", 4, len(inside))
    export = export_dataset(report.dataset, tmp_path / "second", "pixano")
    assert (export.samples, export.labels) == (4, len(inside))
    assert json.loads((tmp_path / "second" / "info.json").read_text())["name"] == "second"
    again = import_dataset(tmp_path / "second", tmp_path / "again").dataset
    assert full.plain(again.labels().to_arrow()) == full.plain(inside)


def test_a_bad_source_leaves_nothing(tmp_path: Path) -> None:
    source = one_image(tmp_path / "d", bboxes=[of_e(**BOX)])
    (source / "db" / "records.lance").rename(source / "db" / "item.lance")
    with pytest.raises(InvalidSource, match="item generation"):
        import_dataset(source, tmp_path / "data")
    source = one_image(tmp_path / "e", bboxes=[of_e(id="b", coords=[0.9, 0.9, 0.5, 0.5])])
    with pytest.raises(InvalidLabels, match="not inside the image"):
        import_dataset(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


# --- a real server


@pytest.fixture
def library(pixano_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of the running server."""
    roots = [p for p in tmp_path_factory.getbasetemp().glob("pixano*") if server.status(p)]
    return next(r for r in roots if server.status(r).url == pixano_url) / "library"


@pytest.fixture
def annotator(pixano_url: str) -> Iterator[ScriptedAnnotator]:
    found = ScriptedAnnotator(pixano_url)
    yield found
    found.close()


@pytest.fixture
def exported(tmp_path: Path, library: Path, annotator: ScriptedAnnotator) -> Iterator[tuple[Path, str, Part]]:
    """An export in the server's library: its folder, its id there, and what was exported."""
    part, folder = everything(tmp_path), library / "exported"
    cases.written(folder, [part], name="Exported")
    (found,) = [d for d in annotator._http.get("/datasets") if d["name"] == "Exported"]
    yield folder, found["id"], part
    shutil.rmtree(folder)


@pytest.mark.server
def test_the_server_opens_an_export(
    exported: tuple[Path, str, Part], annotator: ScriptedAnnotator, pixano_url: str
) -> None:
    _, dataset, part = exported
    found = {name: {r["id"]: r for r in annotator.rows(dataset, name)} for name in
             ("records", "entities", "bboxes", "masks", "multi-paths", "keypoints", "messages", "images")}  # fmt: skip
    assert {name: len(rows) for name, rows in found.items()} == {
        "records": 4, "entities": 11, "bboxes": 5, "masks": 2, "multi-paths": 3, "keypoints": 2, "messages": 8, "images": 4
    }  # fmt: skip
    assert found["records"]["s0"]["scene"] == "day"
    assert found["records"]["s0"]["tags"] == ["a", "b"]
    assert (found["entities"]["l0"]["category"], found["entities"]["l0"]["count"]) == ("car", -4)
    assert found["bboxes"]["l0.bbox"]["coords"] == [0.1, 0.2, 0.30000000000000004, 0.4]
    assert (found["bboxes"]["l0.bbox"]["confidence"], found["bboxes"]["l1.bbox"]["confidence"]) == (0.5, -1.0)
    assert found["masks"]["thing.mask"]["counts"].encode() == rows.geometry.encode_rle(full.pixels())["counts"]
    assert found["multi-paths"]["area.multi_path"]["num_points"] == [3, 4]
    assert found["keypoints"]["l8.keypoints"]["states"] == ["visible", "invisible", "invisible", "hidden"]
    assert found["messages"]["chosen"]["content"] == "[[A,C]] because"
    image = found["images"]["s0.image"]
    assert (image["width"], image["height"]) == (cases.WIDTH, cases.HEIGHT)
    with urllib.request.urlopen(f"{pixano_url}{image['src']}") as answer:
        assert answer.read() == Path(part.samples["filepath"][0].as_py()).read_bytes()


@pytest.mark.server
def test_edits_of_an_export_are_read(
    exported: tuple[Path, str, Part], annotator: ScriptedAnnotator, tmp_path: Path
) -> None:
    folder, dataset, part = exported
    annotator.move(dataset, "l0.bbox", [0.5, 0.5, 0.25, 0.25])
    annotator.rename(dataset, "area", "bus")
    annotator.set_record(dataset, "s2", "scene", "night")
    annotator.set_record(dataset, "s2", "status", "validated")
    annotator.delete(dataset, "doomed")
    drawn, _ = annotator.draw(dataset, "s2", [0.0, 0.0, 0.5, 0.5], "bike")
    opened = cases.FORMAT.open(folder, cases.FORMAT.reading(media_folder=tmp_path / "media"))
    (got,) = opened.parts()
    before, after = full.plain(part.labels), {r["label_id"]: r for r in got.labels.to_pylist()}
    assert set(before) - set(after) == {"doomed"}
    changed = {i for i, text in full.plain(got.labels).items() if before.get(i) != text}
    assert changed == {"l0", "area", None, drawn}
    assert after["l0"]["bounding_box"] == [0.5, 0.5, 0.25, 0.25]
    assert after["area"]["label"] == "bus"
    assert (after[drawn]["field"], after[drawn]["label"], after[None]["label"]) == ("objects", "bike", "night")
    status = dict(zip(got.samples["sample_id"].to_pylist(), got.samples["status"].to_pylist(), strict=True))
    assert [status[i] for i in full.SAMPLE_IDS] == ["new", "new", "validated", "new"]


@pytest.mark.server
def test_a_dataset_of_the_server_is_read_as_over_rest(pixano_url: str, library: Path, tmp_path: Path) -> None:
    backend, task = PixanoBackend(PixanoConfig(url=pixano_url)), full.task()
    receipt = backend.upload(task)
    try:
        over_rest = {r["label_id"]: r for r in backend.download(receipt).labels.to_pylist()}
        samples, labels, _ = read(library / receipt.state["name"], media_folder=tmp_path / "media")
    finally:
        backend.delete(receipt)
        backend.close()
    assert sorted(s["sample_id"] for s in samples) == sorted(full.SAMPLE_IDS)
    shapes = {x["label_id"]: x for x in labels if x["kind"] not in ("message", "classification", "scalar")}
    kinds = ("message", "classification", "scalar")
    assert set(shapes) == {i for i, r in over_rest.items() if r["kind"] not in kinds}
    for label_id, label in shapes.items():
        for name in ("sample_id", "field", "label", "mask", "visibility", "bounding_box"):
            there = over_rest[label_id][name]
            if name != "bounding_box":
                assert repr(label.get(name)) == repr(there), (label_id, name)
            elif there is not None:  # a mask that was sent without a box has that around its pixels
                assert label[name] == pytest.approx(there, rel=1e-15)
    said = [(x["label"], x["value"]) for x in labels if x["kind"] == "message"]
    assert sorted(said) == sorted((r["label"], r["value"]) for r in over_rest.values() if r["kind"] == "message")
    assert {(x["sample_id"], x["label"]) for x in labels if x["field"] == "tags"} == {
        ("s0", "a"),
        ("s0", "b"),
        ("s2", "a"),
    }
