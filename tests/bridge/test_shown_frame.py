"""Sizes, positions and masks refer to the image as it is shown, its EXIF orientation applied, wherever they come from."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import lancedb
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

import annobridge as ab
from annobridge.backend.memory import SERVERS, MemoryBackend

FORMS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}
TURNED = pytest.mark.parametrize("orientation", [1, 3, 6, 8])
BOX = [0.25, 0.05, 0.5, 0.2]
SCHEMA = {"objects": {"type": "detections", "classes": ["cup"]}}


def photo(path: Path, orientation: int, size: tuple[int, int] = (100, 40)) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "tan").save(path, FORMS[path.suffix[1:]], exif=exif)
    return path


def shown(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).size


def write(folder: Path, *lines: dict[str, Any]) -> None:
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """The sizes that the memory tool is given, which looks at files here."""
    seen: list[tuple[Any, Any]] = []
    upload = MemoryBackend.upload

    def spy(self: MemoryBackend, task: ab.Task) -> ab.Receipt:
        seen.extend((row["width"], row["height"]) for row in task.samples.to_pylist())
        return upload(self, task)

    monkeypatch.setattr(MemoryBackend, "upload", spy)
    files = dataclasses.replace(MemoryBackend.capabilities, sends_media=True)
    monkeypatch.setattr(MemoryBackend, "capabilities", files)
    return seen


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[dict[str, Any]]:
    url = f"memory://{tmp_path.name}"
    yield {"backend": "memory", "url": url}
    SERVERS.pop(url, None)


# --- pixels in and out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", FORMS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_those_of_the_shown_image_in_and_out(tmp_path: Path, ending: str, orientation: int) -> None:
    name = f"a.{ending}"
    width, height = shown(photo(tmp_path / "in" / name, orientation))
    pixels = [width - 12, height - 22, 12, 20]  # fits this way round only
    write(tmp_path / "in", {"file_name": name, "objects": {"bbox": [pixels], "categories": ["cup"]}})
    ds = ab.import_dataset(tmp_path / "in", tmp_path / "set").dataset
    assert ds.samples(["width", "height"]).to_pylist() == [{"width": width, "height": height}]
    (label,) = ds.labels().to_pylist()
    assert label["bounding_box"] == pytest.approx(
        [(width - 12) / width, (height - 22) / height, 12 / width, 20 / height]
    )
    ab.export_metadata(ds, tmp_path / "out", dialect="file_name")
    (line,) = (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()
    assert json.loads(line)["objects"]["bbox"] == [pytest.approx(pixels)]


@TURNED
def test_an_export_of_unknown_sizes_reads_them_as_shown(tmp_path: Path, orientation: int) -> None:
    ds = ab.create_dataset(tmp_path / "set")
    path = photo(tmp_path / "a.jpg", orientation)
    ds.add_samples(pa.table({"sample_id": ["s"], "filepath": [str(path)]}))
    ds.add_labels("objects", {"s": [ab.Detection("cup", BOX)]})
    ab.export_metadata(ds, tmp_path / "out", dialect="file_name")
    width, height = shown(path)
    found = json.loads((tmp_path / "out" / "metadata.jsonl").read_text())["objects"]["bbox"]
    assert found == [pytest.approx([BOX[0] * width, BOX[1] * height, BOX[2] * width, BOX[3] * height])]


@TURNED
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_pixels_of_an_attached_table(tmp_path: Path, orientation: int, ending: str) -> None:
    path = photo(tmp_path / f"a.{ending}", orientation)
    width, height = shown(path)
    boxes = [{"bbox": [0.25 * width, 0.05 * height, 0.5 * width, 0.2 * height], "category": "cup"}]
    rows = [{"id": "s", "image": path.read_bytes(), "boxes": boxes}]
    lancedb.connect(tmp_path / "mine").create_table("images", rows)
    ds = ab.attach(tmp_path / "mine", table="images", id="id", media="image")
    ds.adopt_labels("boxes", "objects", coordinates="pixels")
    assert ds.labels().to_pylist()[0]["bounding_box"] == pytest.approx(BOX)
    assert ds.samples(["width", "height"]).to_pylist() == [{"width": width, "height": height}]


def test_what_fiftyone_measured_before_it_turned_images_is_set_right(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples([ab.Sample(photo(tmp_path / "a.jpg", 6), objects=[ab.Detection("cup", BOX)])])
    ab.export_dataset(ds, tmp_path / "fo", format="fiftyone")
    place = tmp_path / "fo" / "samples.json"
    content = json.loads(place.read_text())
    content["samples"][0]["metadata"].update(width=100, height=40)
    place.write_text(json.dumps(content))
    report = ab.import_dataset(tmp_path / "fo", tmp_path / "again")
    assert report.dataset.samples(["width", "height"]).to_pylist() == [{"width": 40, "height": 100}]
    assert any("1 images are turned by their EXIF data" in note for note in report.notes)


def test_a_pixano_library_has_and_gives_the_shown_size(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples(
        ab.Sample(photo(tmp_path / f"{e}.{e}", 6), e, objects=[ab.Detection("cup", BOX)]) for e in ("jpg", "png")
    )
    report = ab.export_dataset(ds, tmp_path / "library" / "set", format="pixano")
    assert any("1 images are turned by their EXIF data and are no JPEG or WebP" in note for note in report.notes)
    images = lance.dataset(tmp_path / "library" / "set" / "db" / "images.lance")
    assert images.to_table(["width", "height"]).to_pylist() == [{"width": 40, "height": 100}] * 2
    with Image.open(io.BytesIO(images.to_table(["preview"])["preview"][0].as_py())) as preview:
        assert preview.width < preview.height
    images.update({"width": "100", "height": "40"})  # as Pixano's own import has it
    again = ab.import_dataset(tmp_path / "library" / "set", tmp_path / "again", media_folder=str(tmp_path / "m"))
    assert again.dataset.samples(["width", "height"]).to_pylist() == [{"width": 40, "height": 100}] * 2
    assert any("2 images are turned by their EXIF data" in note for note in again.notes)


# --- masks at every door --------------------------------------------------------------------------------------------


def mask(height: int, width: int) -> ab.Label:
    return ab.Detection("cup", mask=np.ones((height, width), bool))


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    made = ab.create_dataset(tmp_path / "set")
    made.add_samples([ab.Sample(photo(tmp_path / "a.jpg", 6), "s")])
    return made


SWAPPED = r"covers 100×40 pixels, but the image has 40×100; .*exif_transpose"


def test_masks_of_the_stored_frame_are_refused_by_add_labels(ds: ab.Dataset) -> None:
    with pytest.raises(ab.InvalidLabels, match=SWAPPED):
        ds.add_labels("objects", {"s": [mask(40, 100)]})
    with pytest.raises(ab.InvalidLabels, match="covers 10×10 pixels, but the image has 40×100; resize the mask"):
        ds.add_labels("objects", {"s": [mask(10, 10)]})
    assert ds.count_labels() == 0
    assert ds.add_labels("objects", {"s": [mask(100, 40)]}) == 1


def test_masks_of_the_stored_frame_are_refused_by_add_samples(tmp_path: Path, ds: ab.Dataset) -> None:
    with pytest.raises(ab.InvalidLabels, match=SWAPPED):
        ds.add_samples([ab.Sample(photo(tmp_path / "b.jpg", 6), objects=[mask(40, 100)])])
    assert (len(ds), ds.count_labels()) == (1, 0)


def test_masks_of_the_stored_frame_are_refused_by_set_labels(ds: ab.Dataset) -> None:
    ds.add_labels("objects", {"s": [mask(100, 40)]})
    (row,) = ds.labels().to_pylist()
    with pytest.raises(ab.InvalidLabels, match=SWAPPED):
        ds.set_labels([{"label_id": row["label_id"], "mask": mask(40, 100).columns["mask"]}])
    assert ds.labels().to_pylist() == [row]


def test_masks_of_the_stored_frame_are_refused_by_imports(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.png", 6)
    rle = mask(40, 100).columns["mask"]
    box = {"coords": [0, 0, 1, 1], "format": "xywh", "is_normalized": True}
    write(
        tmp_path / "in",
        {"image": "a.png", "objects": {"bboxes": [box], "category": ["cup"],
                                       "masks": [{"size": rle["size"], "counts": rle["counts"].decode()}]}},
    )  # fmt: skip
    with pytest.raises(ab.AnnobridgeError, match=SWAPPED):
        ab.import_dataset(tmp_path / "in", tmp_path / "set", dialect="pixano")
    assert not (tmp_path / "set").exists()


def test_a_mask_without_a_pixel_is_called_one(ds: ab.Dataset) -> None:
    with pytest.raises(ab.InvalidLabels, match="that of its mask and has no area; give a mask with a pixel"):
        ds.add_labels("objects", {"s": [ab.Detection("cup", mask=np.zeros((100, 40), bool))]})


def test_a_mask_is_looked_at_again_when_the_file_is(ds: ab.Dataset, tmp_path: Path, sent: list, tool: Any) -> None:
    ds.add_samples(pa.table({"sample_id": ["t"], "filepath": [str(photo(tmp_path / "t.jpg", 6))]}))
    ds.add_labels("objects", {"t": [mask(40, 100)]})  # the size is not known yet
    with pytest.raises(ab.InvalidLabels, match=SWAPPED):
        ds.annotate("r", label_schema={"objects": {"type": "instances", "classes": ["cup"]}}, **tool)
    assert not sent
    assert not ds.list_annotation_runs()


# --- what is sent ---------------------------------------------------------------------------------------------------


@TURNED
def test_the_tool_gets_the_shown_size(tmp_path: Path, orientation: int, sent: list, tool: Any) -> None:
    path = photo(tmp_path / "a.jpg", orientation)
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples(pa.table({"sample_id": ["s"], "filepath": [str(path)]}))
    ds.annotate("r", label_schema=SCHEMA, **tool)
    assert sent == [shown(path)]
    assert ds.samples(["width", "height"]).to_pylist() == [dict(zip(("width", "height"), shown(path), strict=True))]


@pytest.mark.parametrize("known", [True, False])
def test_files_of_another_column_have_sizes_of_their_own(tmp_path: Path, known: bool, sent: list, tool: Any) -> None:
    big, small = photo(tmp_path / "a.jpg", 1, (640, 480)), photo(tmp_path / "t.jpg", 6, (48, 64))
    sizes = {"width": pa.array([640], pa.int32()), "height": pa.array([480], pa.int32())} if known else {}
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples(pa.table({"sample_id": ["s"], "filepath": [str(big)], "thumb": [str(small)], **sizes}))
    before = ds.samples().to_pylist()
    ds.annotate("r", label_schema=SCHEMA, media_field="thumb", **tool)
    assert sent == [(64, 48)]
    assert ds.samples().to_pylist() == before


def test_a_resumed_run_gives_the_sizes_of_the_files_that_are_sent(
    tmp_path: Path, sent: list, tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples([ab.Sample(photo(tmp_path / "a.jpg", 1, (640, 480)), "s", thumb=str(photo(tmp_path / "t.jpg", 6)))])
    whole = MemoryBackend.upload

    def down(*_: object) -> ab.Receipt:
        raise ab.Unreachable("down")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "upload", down)
        with pytest.raises(ab.Unreachable):
            ds.annotate("r", label_schema=SCHEMA, media_field="thumb", **tool)
    assert MemoryBackend.upload is whole
    ds.resume_annotation("r", url=tool["url"])
    assert sent == [(40, 100)]


def test_pixano_refuses_what_its_page_does_not_turn(tmp_path: Path) -> None:
    from annobridge_pixano import checks

    samples = pa.table({
        "sample_id": [f"{e}{n}" for e in FORMS for n in (1, 6)],
        "filepath": [str(photo(tmp_path / f"{n}.{e}", n)) for e in FORMS for n in (1, 6)],
    })  # fmt: skip
    media = type("Files", (), {"open": lambda _, i: io.BytesIO((tmp_path / f"{i[-1]}.{i[:-1]}").read_bytes())})()
    task = ab.Task("t", ab.LabelSchema.parse(SCHEMA, {}, {}), samples, pa.table({}), media)
    (told,) = checks.image_problems(task)
    assert told.startswith("2 images are turned by their EXIF data and are no JPEG or WebP")
    assert os.fspath(tmp_path / "6.png") in told
