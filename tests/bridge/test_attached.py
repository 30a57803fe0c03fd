"""Attached tables: samples that are somebody else's rows, in every form of media; never written, read no further than needed."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import annobridge as ab
from annobridge.store.media import check_media

COUNT = 6
SIZE = (64, 48)
BOX = pa.struct(
    [("bbox", pa.list_(pa.float32())), ("category", pa.string()), ("score", pa.float32()), ("sure", pa.bool_())]
)


def picture(n: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", SIZE, (40 * n, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def table(folder: Path, media: str, **columns: Any) -> pa.Table:
    """Six images as ``media``: bytes, blobs or paths; with labels of several forms in their columns."""
    cells: list[Any] = [picture(n) for n in range(COUNT)]
    type_ = pa.large_binary()
    if media == "path":
        for n, cell in enumerate(cells):
            (folder / f"{n}.png").write_bytes(cell)
        cells, type_ = [str(folder / f"{n}.png") for n in range(COUNT)], pa.string()
    marks = {"lance-encoding:blob": "true"} if media == "blob" else None
    boxes = [[{"bbox": [8, 12, 16, 24], "category": "car", "score": 0.5, "sure": True}] * (n % 3) for n in range(COUNT)]
    rows = {
        "id": pa.array([f"im{n}" for n in range(COUNT)]),
        "image": pa.array(cells, type_),
        "boxes": pa.array(boxes, pa.list_(BOX)),
        "weather": pa.array(["sun", "rain", None, "sun", "sun", "sun"]),
        "things": pa.array([[], ["a"], ["a", "b"], None, [], []], pa.list_(pa.string())),
        "speed": pa.array([n / 2 for n in range(COUNT)]),
        **columns,
    }
    made = pa.table(rows)
    return made.set_column(1, pa.field("image", type_, metadata=marks), made["image"]) if marks else made


@pytest.fixture(params=["bytes", "blob", "path"])
def media(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path, media: str) -> Path:
    lance.write_dataset(table(tmp_path, media), tmp_path / "db" / "images.lance", data_storage_version="2.1")
    return tmp_path / "db"


def state(place: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of the user's table."""
    files = sorted(p for p in (place / "images.lance").rglob("*") if p.is_file())
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def test_the_samples_are_the_rows(place: Path, media: str) -> None:
    before = state(place)
    ds = ab.attach(place)
    rows = ds.samples().to_pylist()
    assert [r["sample_id"] for r in rows] == [f"im{n}" for n in range(COUNT)]
    assert {r["media_type"] for r in rows} == {"image"}
    assert [Path(r["filepath"]).name for r in rows][:2] == (
        ["0.png", "1.png"] if media == "path" else ["im0.png", "im1.png"]
    )
    assert ds.match("speed > 1").sample_ids() == ["im3", "im4", "im5"]
    assert ds.sort_by("-speed").limit(2).sample_ids() == ["im5", "im4"]
    assert ds.select(["im4", "im1"], ordered=True).samples(["sample_id", "speed"]).to_pylist() == [
        {"sample_id": "im4", "speed": 2.0},
        {"sample_id": "im1", "speed": 0.5},
    ]
    ds.optimize()
    assert state(place) == before


def test_labels_in_columns_are_taken_over(place: Path) -> None:
    before = state(place)
    ds = ab.attach(place)
    assert ds.adopt_labels("boxes", "objects", coordinates="pixels") == 6
    assert ds.adopt_labels("weather") == 5
    assert ds.adopt_labels("things", "tags") == 3
    assert ds.adopt_labels("speed") == 6
    box = ds.labels("objects").to_pylist()[0]
    assert (box["sample_id"], box["label"], box["bounding_box"], box["confidence"]) == (
        "im1",
        "car",
        [1 / 8, 1 / 4, 1 / 4, 1 / 2],
        0.5,
    )
    assert box["attributes"] == [{"name": "sure", "type": "bool", "value": "true"}]
    assert ds.samples(["width", "height"]).to_pylist()[0] == {"width": 64, "height": 48}, "learnt on the way"
    assert [r["value"] for r in ds.labels("speed").to_pylist()] == ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]
    assert ds.sort_by(ab.LabelCount("objects"), reverse=True).sample_ids()[:2] == ["im2", "im5"]
    assert state(place) == before


def test_a_struct_of_lists_and_classes_by_number(tmp_path: Path) -> None:
    objects = pa.struct([("bbox", pa.list_(pa.list_(pa.float64(), 4))), ("category", pa.list_(pa.int64()))])
    cells = [{"bbox": [[0, 0, 0.5, 1.0]], "category": [1]}, None, *[{"bbox": [], "category": []}] * 4]
    lance.write_dataset(table(tmp_path, "bytes", objects=pa.array(cells, objects)), tmp_path / "db" / "images.lance")
    ds = ab.attach(tmp_path / "db")
    with pytest.raises(ab.SchemaError, match=r"The class number 1 has no name \(no names were given\); give classes="):
        ds.adopt_labels("objects")
    assert ds.adopt_labels("objects", box_format="xyxy", classes=["cat", "dog"]) == 1
    (row,) = ds.labels("objects").to_pylist()
    assert (row["label"], row["bounding_box"]) == ("dog", [0, 0, 0.5, 1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ds: ds.adopt_labels("boxs"), "The samples have no column 'boxs'"),
        (lambda ds: ds.adopt_labels("id"), "The samples have no column 'id'"),
        (lambda ds: ds.adopt_labels("when"), "The column 'when' is timestamp[us], which holds no labels"),
        (lambda ds: ds.adopt_labels("parts"), r"The structs of the column 'parts' have no box (a)"),
        (lambda ds: ds.adopt_labels("boxes", coordinates="pixel"), "'pixel' is not known; give 'relative' or 'pixels'"),
        (lambda ds: ds.adopt_labels("boxes"), "which is not inside the image"),
        (lambda ds: ds.add_samples([ab.Sample("a.jpg")]), "The samples of this dataset are the table 'images'"),
        (lambda ds: ds.delete_samples("im1"), "which annobridge never changes"),
    ],
)
def test_what_cannot_be_is_a_sentence(tmp_path: Path, call: Any, words: str) -> None:
    more = {"when": pa.array([0] * COUNT, pa.timestamp("us")), "parts": pa.array([[{"a": 1}]] * COUNT)}
    lance.write_dataset(table(tmp_path, "bytes", **more), tmp_path / "db" / "images.lance")
    ds = ab.attach(tmp_path / "db")
    with pytest.raises(ab.AnnobridgeError) as caught:
        call(ds)
    assert words in str(caught.value)
    assert ds.count_labels() == 0
    assert len(ds) == COUNT


@pytest.mark.parametrize(
    ("columns", "arguments", "words"),
    [
        ({}, {"table": "image"}, "There is no table 'image' at"),
        ({}, {"id": "ids"}, "The table 'images' has no column 'ids' (id=); did you mean 'id'?"),
        ({}, {"media": "img"}, "The table 'images' has no column 'img' (media=)"),
        ({}, {"media": "boxes"}, "media are paths, URIs, bytes, Lance blobs, or structs with bytes and a path"),
        ({}, {"id": "speed"}, "ids are text or whole numbers"),
        ({"id": pa.array(["a", None, "c", "d", "e", "f"])}, {}, "1 rows of the table 'images' have no 'id'"),
        ({"id": pa.array(["a", "b", "a", "d", "e", "f"])}, {}, "The id 'a' is in several rows of the table 'images'"),
        ({"image": pa.array([b"text"] * COUNT)}, {}, "are not an image that Pillow can read"),
        ({"image": pa.nulls(COUNT, pa.binary())}, {}, "holds no media yet"),
    ],
)
def test_tables_that_cannot_be_attached(tmp_path: Path, columns: Any, arguments: Any, words: str) -> None:
    lance.write_dataset(table(tmp_path, "bytes", **columns), tmp_path / "db" / "images.lance")
    with pytest.raises(ab.StoreError) as caught:
        ab.attach(tmp_path / "db", **arguments)
    assert words in str(caught.value)
    assert [p.name for p in (tmp_path / "db").iterdir()] == ["images.lance"]


def test_attached_again_is_the_same_and_otherwise_is_refused(tmp_path: Path) -> None:
    rows = table(tmp_path, "bytes", number=pa.array(range(COUNT)))
    lance.write_dataset(rows, tmp_path / "db" / "images.lance")
    ab.attach(tmp_path / "db").adopt_labels("weather")
    assert ab.attach(tmp_path / "db").count_labels() == 5
    assert ab.load_dataset(tmp_path / "db").sample_ids()[0] == "im0"
    with pytest.raises(ab.DatasetExists):
        ab.attach(tmp_path / "db", id="number")
    beside = ab.attach(tmp_path / "db", id="number", dataset=tmp_path / "elsewhere")
    assert beside.select(["3"]).samples(["sample_id", "filepath"]).to_pylist() == [
        {"sample_id": "3", "filepath": "3.png"}
    ]
    assert ab.load_dataset(tmp_path / "elsewhere").adopt_labels("weather") == 5


def test_rows_that_come_and_go_are_samples_that_come_and_go(place: Path, tmp_path: Path, media: str) -> None:
    ds = ab.attach(place)
    lance.dataset(place / "images.lance").delete("id = 'im0'")
    assert "im0" not in ds.sample_ids()
    assert len(ds) == COUNT - 1


@pytest.mark.server
def test_through_a_real_server_and_back(place: Path, pixano_url: str) -> None:
    before = state(place)
    ds = ab.attach(place)
    ds.adopt_labels("boxes", "objects", coordinates="pixels")
    ds.select(["im1", "im2"]).annotate(
        "round", label_field="objects", label_type="detections", classes=["car"], backend="pixano", url=pixano_url
    )
    plan = ds.plan_annotations("round", url=pixano_url)
    assert plan.total == 0
    ds.load_annotations("round", url=pixano_url, cleanup=True)
    assert state(place) == before


@pytest.mark.server
@pytest.mark.parametrize("blob", [False, True])
def test_media_outside_of_the_view_are_not_read(tmp_path: Path, pixano_url: str, blob: bool) -> None:
    """Of 200 images of 300 kB, two are sent; what the process reads stays far below the table."""
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (320, 320, 3), np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    field = pa.field("image", pa.large_binary(), metadata={"lance-encoding:blob": "true"} if blob else None)
    ids = pa.array([f"im{n}" for n in range(200)])
    rows = pa.table(
        [ids, pa.array([stream.getvalue()] * 200, field.type)], schema=pa.schema([("id", pa.string()), field])
    )
    lance.write_dataset(rows, tmp_path / "images.lance", data_storage_version="2.1")
    size = rows.nbytes
    ds = ab.attach(tmp_path)
    before = read_so_far()
    ds.select(["im7", "im150"]).annotate(
        "few", label_field="objects", label_type="detections", classes=["car"], backend="pixano", url=pixano_url
    )
    assert read_so_far() - before < size / 10
    ds.load_annotations("few", url=pixano_url, cleanup=True)


def read_so_far() -> int:
    """Bytes that this process has read."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"])


def attach_table(tmp_path: Path, **columns: Any) -> ab.Dataset:
    lance.write_dataset(table(tmp_path, "bytes", **columns), tmp_path / "db" / "images.lance")
    return ab.attach(tmp_path / "db")


def test_taken_over_twice_is_taken_over_once(tmp_path: Path) -> None:
    ds = attach_table(tmp_path)
    assert [ds.adopt_labels("weather"), ds.adopt_labels("weather")] == [5, 0]
    assert ds.count_labels() == 5


def test_cells_that_hold_nothing_are_no_labels_and_boxes_are_cut_if_asked(tmp_path: Path) -> None:
    boxes = [
        [{"bbox": [-8, 0, 16, 24], "category": "car", "score": 1, "sure": None}, None, {"bbox": None, "category": "x"}],
        *[[]] * 5,
    ]
    ds = attach_table(
        tmp_path,
        boxes=pa.array(boxes, pa.list_(BOX)),
        speed=pa.array([1.0, float("nan"), None, 2.0, 3.0, 4.0]),
        things=pa.array([["a", None], *[[]] * 5], pa.large_list(pa.large_string())),
        weather=pa.array(["sun", "rain", None, "sun", "sun", "sun"]).dictionary_encode(),
    )
    assert [ds.adopt_labels(name) for name in ("speed", "things", "weather")] == [4, 1, 5]
    with pytest.raises(ab.InvalidLabels, match="invalid='clip'"):
        ds.adopt_labels("boxes", coordinates="pixels")
    assert ds.adopt_labels("boxes", coordinates="pixels", invalid="clip") == 1
    assert ds.labels("boxes").to_pylist()[0]["bounding_box"] == [0, 0, 1 / 8, 1 / 2]


def test_columns_called_as_ours_are_ours_if_they_fit(tmp_path: Path) -> None:
    ds = attach_table(
        tmp_path,
        width=pa.array(["wide"] * COUNT),
        height=pa.array([48] * COUNT, pa.int64()),
        tags=pa.array(["a"] * COUNT),
    )
    assert ds.samples(["width", "height", "tags"]).to_pylist()[0] == {"width": None, "height": 48, "tags": None}
    assert ds.sort_by("height").sample_ids()[0] == "im0"


def test_tables_that_change_under_a_dataset_are_told(tmp_path: Path) -> None:
    ds = attach_table(tmp_path)
    images = lance.dataset(tmp_path / "db" / "images.lance")
    lance.write_dataset(images.take([0]), images.uri, mode="append")
    with pytest.raises(ab.StoreError, match="The id 'im0' is in several rows of the table 'images'"):
        ds.annotate("round", label_field="objects", label_type="detections", classes=["car"], backend="memory")
    assert not ds.has_annotation_runs()
    lance.dataset(images.uri).drop_columns(["id"])
    with pytest.raises(ab.StoreError, match="has no column 'id' any more"):
        ds.sample_ids()
    shutil.rmtree(images.uri)
    with pytest.raises(ab.StoreError, match="The table 'images' that this dataset is attached to cannot be opened"):
        ds.sample_ids()


def test_a_database_with_tables_called_as_ours(tmp_path: Path) -> None:
    for name in ("images", "labels", "more"):
        lance.write_dataset(table(tmp_path, "bytes"), tmp_path / "db" / f"{name}.lance")
    with pytest.raises(
        ab.StoreError, match="called as annobridge's own .*give these a folder of their own with dataset="
    ):
        ab.attach(tmp_path / "db")
    assert len(ab.attach(tmp_path / "db", dataset=tmp_path / "own")) == COUNT
    with pytest.raises(ab.DatasetExists, match="already, of another table"):
        ab.attach(tmp_path / "db", table="more", dataset=tmp_path / "own")


def test_an_import_never_takes_the_place_of_somebodys_tables(place: Path, tmp_path: Path) -> None:
    before = state(place)
    ab.attach(place)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(picture(1))
    with pytest.raises(ab.StoreError, match="holds 'images.lance' beside the dataset, which overwriting would delete"):
        ab.import_dataset(tmp_path / "photos", place, mode="overwrite")
    with pytest.raises(ab.StoreError, match="which annobridge never changes"):
        ab.import_dataset(tmp_path / "photos", place, mode="add")
    assert state(place) == before


def test_a_blob_that_is_null_is_no_image(tmp_path: Path) -> None:
    rows = table(tmp_path, "blob")
    cells = pa.array([picture(0), None, *[picture(n) for n in range(2, COUNT)]], pa.large_binary())
    rows = rows.set_column(1, rows.schema.field("image"), cells)
    lance.write_dataset(rows, tmp_path / "db" / "images.lance", data_storage_version="2.1")
    ds = ab.attach(tmp_path / "db")
    samples = ds.samples().to_arrow()
    _, faults = check_media(samples, ds.stores.samples.media(samples))
    assert faults == ["The image 'im1.png' of sample 'im1' does not exist."]
    with pytest.raises(ab.InvalidMedia, match="im1"):
        ab.export_metadata(ds, tmp_path / "out", "file_name")
    assert not (tmp_path / "out").exists()


def test_images_of_hugging_face_are_structs(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(picture(1))
    images = [{"bytes": picture(0), "path": "a.png"}, {"bytes": None, "path": str(tmp_path / "b.png")}, None]
    made = pa.table(
        {"id": [1, 2, 3], "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}
    )
    lance.write_dataset(made, tmp_path / "db" / "images.lance")
    ds = ab.attach(tmp_path / "db")
    rows = pa.table(ds.samples())
    assert rows["filepath"].to_pylist() == ["1.png", "2.png", "3.png"]
    assert "image" not in rows.column_names
    sizes, faults = check_media(rows, ds.stores.samples.media(rows))
    assert sizes.tolist() == [[*SIZE], [*SIZE], [0, 0]]
    assert faults == ["The image '3.png' of sample '3' does not exist."]


@pytest.mark.parametrize("ids", [["a", "it's"], [1, 2]])
@pytest.mark.parametrize("version", ["legacy", "2.0", "2.1", "stable"])
def test_tables_of_every_storage_format(tmp_path: Path, version: str, ids: list[Any]) -> None:
    made = pa.table({"id": ids, "image": [picture(0), picture(1)]})
    lance.write_dataset(made, tmp_path / "db" / "images.lance", data_storage_version=version)
    ds = ab.attach(tmp_path / "db")
    rows = pa.table(ds.samples())
    media = ds.stores.samples.media(rows)
    for n, name in enumerate(map(str, ids)):
        with media.open(name) as stream:
            assert stream.read() == picture(n)


def test_attaching_a_folder_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(
        ab.StoreError, match=r"There is no folder '.*typo', and so no table to attach; correct the path\."
    ):
        ab.attach(tmp_path / "typo", dataset=tmp_path / "ds")
    assert list(tmp_path.iterdir()) == []
