"""Doctor: damage is noticed and named, nothing is written without repair, and a repair leaves nothing to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from typer.testing import CliRunner

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.cli import app
from annobridge.core import geometry
from annobridge.core.labels import BASELINE, LABELS, conform
from annobridge.doctor.duplicates import repeated_texts

TABLES = ("samples", "labels", "annotation_runs", "annotation_baseline")
BOX = [0.1, 0.2, 0.3, 0.4]


def photo(path: Path, orientation: int = 1, size: tuple[int, int] = (100, 40)) -> str:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, "tan").save(path, exif=exif)
    return str(path)


def made(folder: Path, *orientations: int) -> ab.Dataset:
    """A dataset as earlier versions made it: the sizes are those of the files as they are stored, 100 × 40."""
    ds = ab.create_dataset(folder / "set.lancedb")
    ds.add_samples(
        ab.Sample(photo(folder / f"{n}.jpg", turn), f"s{n}", width=100, height=40)
        for n, turn in enumerate(orientations)
    )
    return ds


def versions(ds: ab.Dataset) -> list[int]:
    return [lance.dataset(f"{ds.uri}/{name}.lance").version for name in TABLES]


def put(ds: ab.Dataset, table: str, rows: pa.Table) -> None:
    """Write behind the back of the stores, as a fault would."""
    lance.write_dataset(rows, f"{ds.uri}/{table}.lance", mode="append")


def content(ds: ab.Dataset, table: str) -> pa.Table:
    return lance.dataset(f"{ds.uri}/{table}.lance").to_table()


def names(report: ab.DoctorReport) -> list[str]:
    return [f.name for f in report.findings]


def healed(ds: ab.Dataset, name: str, **options: Any) -> ab.DoctorReport:
    """The repair of one kind of damage, which is found without a write, and not found again."""
    before = versions(ds)
    found = ds.doctor()
    assert names(found) == [name]
    assert not found.ok
    assert versions(ds) == before
    report = ds.doctor(repair=True, **options)
    assert report.ok
    assert list(report.repaired) == [name]
    assert ds.doctor().findings == ()
    return report


def test_a_sound_dataset_has_nothing(tmp_path: Path) -> None:
    ds = made(tmp_path, 1, 3)
    ds.add_labels("objects", {"s0": [ab.Detection("cup", BOX)]})
    report = ds.doctor(repair=True)
    assert report.ok
    assert "Nothing is wrong." in repr(report)
    assert report.to_dict() == {
        "dataset": ds.uri, "ok": True, "findings": [], "repaired": {}, "left": [], "notes": [],
    }  # fmt: skip


def test_an_unknown_choice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ab.InvalidOption, match="pixel_labels='turn' is not known; give 'keep' or 'rescale'"):
        made(tmp_path, 6).doctor(repair=True, pixel_labels="turn")


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_of_the_stored_frame_are_set(tmp_path: Path, orientation: int) -> None:
    ds = made(tmp_path, orientation)
    if orientation < 5:
        assert ds.doctor().ok
        return
    report = healed(ds, "sizes")
    assert report.findings[0].ids == ("s0",)
    assert ds.samples(["width", "height"]).to_pylist() == [{"width": 40, "height": 100}]


def test_labels_in_pixels_are_rescaled_and_those_of_tools_are_not(tmp_path: Path) -> None:
    ds = made(tmp_path, 6, 1)
    pixels = np.array([10, 5, 20, 20])  # of the shown image, 40 × 100, divided by 100 × 40
    wrong = (pixels / [100, 40, 100, 40]).tolist()
    ds.add_labels("objects", {n: [ab.Detection("cup", wrong, label_id=f"{n}.box")] for n in ("s0", "s1")})
    ds.add_labels("lines", {"s0": [ab.Polyline("rim", [[(0.1, 0.5), (0.2, 0.25)]], label_id="line")]})
    ds.add_labels("joints", {"s0": [ab.Keypoint("cup", [(0.1, 0.5), (float("nan"), float("nan"))], label_id="joints")]})
    tool = {"label_id": "drawn", "sample_id": "s0", "field": "objects", "kind": "box", "label": "cup", "tool": "cvat",
            "bounding_box": BOX, "rev": 1, "run": "r"}  # fmt: skip
    put(ds, "labels", pa.Table.from_pylist([tool], LABELS))
    assert "3 labels on them came from no tool" in ds.doctor().findings[0].sentence
    assert "1 labels from tools are right" in ds.doctor().findings[0].sentence
    report = healed(ds, "sizes", pixel_labels="rescale")
    assert "3 labels in pixels were rescaled" in report.repaired["sizes"]
    rows = {row["label_id"]: row for row in ds.labels().to_pylist()}
    assert rows["s0.box"]["bounding_box"] == pytest.approx([0.25, 0.05, 0.5, 0.2])
    assert rows["s0.box"]["rev"] == 2
    assert rows["s1.box"]["bounding_box"] == wrong
    assert rows["drawn"]["bounding_box"] == BOX
    assert np.allclose(rows["line"]["points"], [[[0.25, 0.2], [0.5, 0.1]]])
    assert np.allclose(rows["joints"]["points"], [[[0.25, 0.2], [np.nan, np.nan]]], equal_nan=True)


def test_labels_in_pixels_are_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    ds = made(tmp_path, 8)
    ds.add_labels("objects", {"s0": [ab.Detection("cup", BOX)]})
    before = ds.labels().to_pylist()
    healed(ds, "sizes")
    assert ds.labels().to_pylist() == before


def test_a_sample_of_which_a_label_would_leave_its_image_is_kept(tmp_path: Path) -> None:
    ds = made(tmp_path, 6, 6)
    far = [0.7, 0.1, 0.2, 0.1]  # 0.7 × 2.5 is beyond 1
    ds.add_labels("objects", {"s0": [ab.Detection("cup", far), ab.Detection("cup", BOX)]})
    ds.add_labels("objects", {"s1": [ab.Detection("cup", BOX, label_id="moved")]})
    report = healed(ds, "sizes", pixel_labels="rescale")
    assert "The labels of 1 samples, as 's0', stay" in report.repaired["sizes"]
    rows = ds.labels().to_pylist()
    assert [r["bounding_box"] for r in rows if r["sample_id"] == "s0"] == [far, BOX]
    assert next(r for r in rows if r["label_id"] == "moved")["bounding_box"] == pytest.approx([0.25, 0.08, 0.75, 0.16])


@pytest.mark.parametrize("orientation", range(5, 9))
def test_masks_of_the_stored_pixels_are_turned_with_them(tmp_path: Path, orientation: int) -> None:
    ds = made(tmp_path, orientation)
    pixels = np.zeros((40, 100), bool)
    pixels[5:9, 10:60] = pixels[20, 3] = True
    ds.add_labels("objects", {"s0": [ab.Detection("cup", mask=pixels, label_id="m")]})
    ds.add_labels("ground", {"s0": ab.Segmentation(pixels.astype(np.uint8))})
    report = healed(ds, "sizes")
    assert "2 masks were turned" in report.repaired["sizes"]
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    shown = np.asarray(ImageOps.exif_transpose(image))
    for row in ds.labels().to_pylist():
        assert (geometry.decode_rle(row["mask"]) == shown).all()
        assert row["bounding_box"] == (geometry.mask_box(row["mask"]) if row["label_id"] == "m" else None)


def test_a_repair_that_was_killed_after_the_labels_does_not_rescale_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = made(tmp_path, 6)
    ds.add_labels("objects", {"s0": [ab.Detection("cup", BOX)]})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("annobridge.store.samples.Samples.set_sizes", killed)
        with pytest.raises(KeyboardInterrupt):
            ds.doctor(repair=True, pixel_labels="rescale")
    assert ds.doctor(repair=True, pixel_labels="rescale").ok
    assert ds.labels().to_pylist()[0]["bounding_box"] == pytest.approx([0.25, 0.08, 0.75, 0.16])


def test_annotate_refuses_a_transposed_size_and_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from annobridge.backend.memory import MemoryBackend

    files = dataclasses.replace(MemoryBackend.capabilities, sends_media=True)
    monkeypatch.setattr(MemoryBackend, "capabilities", files)
    ds = made(tmp_path, 6, 1)
    options = {"label_field": "objects", "label_type": "detections", "classes": ["cup"], "backend": "memory"}
    with pytest.raises(ab.InvalidMedia, match=r"1 samples, as 's0', .*annobridge doctor --repair"):
        ds.annotate("r", url="memory://transposed", **options)
    assert not ds.list_annotation_runs()
    assert not SERVERS["memory://transposed"].labels
    ds.doctor(repair=True)
    ds.annotate("r", url="memory://transposed", **options)


# --- labels and samples ---------------------------------------------------------------------------------------------


def labelled(folder: Path) -> ab.Dataset:
    ds = made(folder, 1, 1)
    ds.add_labels("objects", {n: [ab.Detection("cup", BOX, label_id=f"{n}.a", colour="red")] for n in ("s0", "s1")})
    return ds


def test_equal_labels_of_one_id_become_the_newest(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    twin = content(ds, "labels").slice(0, 1)
    put(ds, "labels", twin.set_column(twin.column_names.index("rev"), "rev", pa.array([5])))
    report = healed(ds, "label ids")
    assert report.findings[0].ids == ("s0.a",)
    assert sorted((r["label_id"], r["rev"]) for r in ds.labels().to_pylist()) == [("s0.a", 5), ("s1.a", 1)]


def test_labels_of_one_id_that_differ_get_ids_of_their_own(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    other = content(ds, "labels").slice(0, 1)
    put(ds, "labels", other.set_column(other.column_names.index("label"), "label", pa.array(["bowl"])))
    put(ds, "labels", other)
    report = healed(ds, "label ids")
    assert "1 equal labels were removed, and 1 that differ have new ids" in report.repaired["label ids"]
    rows = ds.labels().to_pylist()
    assert sorted(r["label"] for r in rows) == ["bowl", "cup", "cup"]
    assert len({r["label_id"] for r in rows}) == 3


def test_labels_that_may_not_be_stored_are_named_and_left(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    bad = {"label_id": "bad", "sample_id": "s0", "field": "areas", "kind": "polygon", "label": "x", "rev": 1}
    put(ds, "labels", pa.Table.from_pylist([bad], LABELS))
    before = versions(ds)
    report = ds.doctor(repair=True)
    assert not report.ok
    assert report.left[0].ids == ("bad",)
    assert "'bad' is a polygon without 'points'" in report.left[0].sentence
    assert "set_labels" in report.left[0].sentence
    assert versions(ds) == before


def test_labels_without_a_sample_are_deleted(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    stray = {"label_id": "x", "sample_id": "none", "field": "objects", "kind": "box", "bounding_box": BOX, "rev": 1}
    put(ds, "labels", pa.Table.from_pylist([stray], LABELS))
    report = healed(ds, "labels without a sample")
    assert "mode='add'" in report.findings[0].sentence
    assert {r["label_id"] for r in ds.labels().to_pylist()} == {"s0.a", "s1.a"}


def test_equal_samples_become_one(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    put(ds, "samples", content(ds, "samples").slice(0, 1))
    healed(ds, "sample ids")
    assert sorted(ds.sample_ids()) == ["s0", "s1"]


def test_samples_that_differ_get_ids_if_no_label_can_be_meant(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    ds.add_samples([ab.Sample(photo(tmp_path / "n.jpg"), "s2", width=100, height=40)])
    rows = content(ds, "samples")
    other = rows.set_column(rows.column_names.index("tags"), "tags", pa.array([["new"]] * 3, pa.list_(pa.string())))
    put(ds, "samples", other.slice(2))
    healed(ds, "sample ids")
    assert len(set(ds.sample_ids())) == len(ds.sample_ids()) == 4
    put(ds, "samples", other.slice(0, 1))
    report = ds.doctor(repair=True)
    assert not report.ok
    assert "1 differ and have labels, of which nobody can say whose they are, as 's0'" in report.left[0].sentence


# --- runs -----------------------------------------------------------------------------------------------------------


def sent(ds: ab.Dataset, key: str) -> None:
    ds.annotate(
        key, label_field="objects", classes=["cup"], backend="memory", url=f"memory://{key}-{Path(ds.uri).parent}"
    )


def test_runs_of_one_key_are_told_apart(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    for key in ("a", "b", "a_2"):
        sent(ds, key)
    lance.dataset(f"{ds.uri}/annotation_runs.lance").update({"anno_key": "'a'"}, where="anno_key = 'b'")
    healed(ds, "keys of runs")
    assert ds.list_annotation_runs() == ["a", "a_3", "a_2"]
    assert not ds.plan_annotations("a_3", url=f"memory://b-{tmp_path}").total


def test_a_baseline_that_was_written_twice_is_repaired(tmp_path: Path) -> None:
    ds = labelled(tmp_path)
    sent(ds, "a")
    put(ds, "annotation_baseline", conform(content(ds, "annotation_baseline"), BASELINE))
    report = healed(ds, "baselines")
    assert report.findings[0].ids == ("a",)
    assert content(ds, "annotation_baseline").num_rows == 2
    assert not ds.plan_annotations("a").total


# --- how it is told -------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.text(max_size=3), max_size=20), max_size=5))
def test_repeated_texts_are_found_in_any_stream(parts: list[list[str]]) -> None:
    texts = [t for part in parts for t in part]
    arrays = [pa.array(["padding", *part], pa.string()).slice(1) for part in parts]
    assert set(repeated_texts(lambda: iter(arrays)).to_pylist()) == {t for t in texts if texts.count(t) > 1}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})


def test_the_command_exits_with_1_until_all_is_repaired(tmp_path: Path) -> None:
    ds = made(tmp_path, 6)
    for place in ((ds.uri,), ("-d", ds.uri)):
        found = run("doctor", *place)
        assert found.exit_code == 1
        assert "--repair" in found.stdout
    told = json.loads(run("doctor", ds.uri, "--json").stdout)
    assert (told["ok"], told["findings"][0]["name"], told["left"]) == (False, "sizes", ["sizes"])
    done = run("doctor", ds.uri, "--repair", "--json")
    assert (done.exit_code, json.loads(done.stdout)["ok"]) == (0, True)
    again = run("doctor", ds.uri)
    assert (again.exit_code, "Nothing is wrong" in again.stdout) == (0, True)
    assert run("doctor", ds.uri, "--pixel-labels", "x").exit_code == 1
    assert "&lt;" not in ds.doctor()._repr_html_()


def test_the_help_says_what_holds_for_each_orientation() -> None:
    text = " ".join(run("doctor", "--help").stdout.replace("│", " ").split())
    assert "orientations 2 to 4" in text
    assert "keep|rescale" in text
