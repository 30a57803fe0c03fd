"""An import of files that the dataset has at other places: they are recognised by their content, and nothing is doubled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import annobridge as ab
from annobridge.store import fingerprints
from annobridge.store.schemas import FILES


def photos(folder: Path, names: Sequence[str], seeds: Sequence[int] | None = None, boxes: int = 1) -> Path:
    """Images of noise, of one content for one seed, with a box each."""
    lines = []
    for number, name in enumerate(names):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng((seeds or range(99))[number]).integers(0, 255, (20, 40, 3), np.uint8)
        Image.fromarray(noise).save(place)
        lines.append({"file_name": name, "objects": {"bbox": [[1, 2, 30, 14]] * boxes, "categories": ["car"] * boxes}})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def files(ds: ab.Dataset) -> list[str]:
    return sorted(row["filepath"] for row in ds.samples(["filepath"]).to_pylist())


def add(source: Path, ds: ab.Dataset) -> ab.ImportReport:
    return ab.import_dataset(source, ds.uri, mode="add")


def told(report: ab.ImportReport) -> list[str]:
    """The notes, without those on how the lines were read."""
    return [note for note in report.notes if "metadata.jsonl: lines with" not in note]


def test_files_of_a_folder_are_not_opened_again_for_their_fingerprints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = photos(tmp_path / "source", ["0.png", "1.png"])
    photos(source, ["2.png"], [2])  # writes lines that do not name the others
    expected = fingerprints.of_places([str(source / f"{n}.png") for n in range(3)]).to_pylist()
    monkeypatch.setattr(fingerprints, "of_file", None)
    ds = ab.import_dataset(source, tmp_path / "ds").dataset
    rows = sorted(ds.samples(["sample_id", "filepath"]).to_pylist(), key=lambda row: row["filepath"])
    assert ds.stores.fingerprints.of(pa.array([row["sample_id"] for row in rows])).to_pylist() == expected


@pytest.mark.parametrize("way", ["moved", "copied", "linked"])
def test_the_same_files_at_another_place_are_the_same_samples(tmp_path: Path, way: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    ds = ab.import_dataset(photos(old, ["a/0.png", "a/1.png", "b/0.png"]), tmp_path / "ds").dataset
    before, labels = ds.samples().to_pylist(), ds.labels().to_pylist()
    {"moved": old.rename, "copied": lambda to: shutil.copytree(old, to), "linked": new.symlink_to}[way](
        new if way != "linked" else old
    )
    report = add(new, ds)
    assert (report.samples, report.known, report.kept) == (0, 3, {"objects": 3})
    assert report.dataset.samples().to_pylist() == before
    assert report.dataset.labels().to_pylist() == labels
    (note,) = told(report)
    assert note.startswith(
        f"3 files are in the dataset already, at other paths, as {str(old / 'a/0.png')!r} for {str(new / 'a/0.png')!r}."
    )
    assert (f"repoint({str(old)!r}, {str(new)!r})" in note) == (way == "moved")


def test_labels_of_fields_that_are_new_are_taken(tmp_path: Path) -> None:
    old, new = photos(tmp_path / "old", ["0.png", "1.png"], boxes=0), tmp_path / "new"
    ds = ab.import_dataset(old, tmp_path / "ds").dataset
    old.rename(new)
    photos(new, ["1.png", "0.png"], [1, 0], boxes=2)
    report = add(new, ds)
    assert (report.samples, report.labels) == (0, {"objects": 4})
    assert {row["sample_id"] for row in report.dataset.labels().to_pylist()} == set(ds.sample_ids())


def test_a_folder_that_has_new_files_too(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["0.png", "1.png"]), tmp_path / "ds").dataset
    (tmp_path / "old").rename(tmp_path / "new")
    report = add(photos(tmp_path / "new", ["0.png", "1.png", "2.png"]), ds)
    assert (report.samples, report.known) == (1, 2)
    assert files(report.dataset) == [
        str(tmp_path / "new/2.png"),
        str(tmp_path / "old/0.png"),
        str(tmp_path / "old/1.png"),
    ]


def test_a_file_that_was_renamed_is_added_and_told(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["0.png"]), tmp_path / "ds").dataset
    shutil.rmtree(tmp_path / "old")
    report = add(photos(tmp_path / "new", ["first.png"], [0]), ds)
    assert (report.samples, report.known) == (1, 0)
    (note,) = told(report)
    assert note.startswith(
        "1 of the new samples has the size, and parts of the content, of samples whose files are gone and had other names, as "
        f"{str(tmp_path / 'new/first.png')!r} and {str(tmp_path / 'old/0.png')!r}."
    )


def test_another_frame_that_differs_where_no_fingerprint_looks_is_not_lost(tmp_path: Path) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    (tmp_path / "cam").mkdir()
    (tmp_path / "new").mkdir()
    Image.fromarray(frame).save(tmp_path / "cam/1.bmp")
    ds = ab.import_dataset(tmp_path / "cam", tmp_path / "ds").dataset
    (tmp_path / "cam").rename(tmp_path / "archive")
    frame[100:140, 100:140] = 255
    Image.fromarray(frame).save(tmp_path / "new/2.bmp")
    assert fingerprints.of_file(tmp_path / "archive/1.bmp") == fingerprints.of_file(tmp_path / "new/2.bmp")
    assert add(tmp_path / "new", ds).samples == 1


def test_notes_have_no_secrets(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["0.png"]), tmp_path / "ds").dataset
    ds.stores.database.table("samples").update({"filepath": "'https://me:word@host.invalid/0.png'"})
    (tmp_path / "old").rename(tmp_path / "new")
    (note,) = told(add(tmp_path / "new", ds))
    assert note.startswith("1 file is in the dataset already, at another path, as 'https://host.invalid/0.png' for ")
    assert "It was recognised by its content" in note
    assert "word@" not in note


def test_frames_in_which_nothing_moves_stay_samples_of_their_own(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "in", ["0.png", "1.png"], [7, 7]), tmp_path / "ds").dataset
    assert len(ds) == 2
    report = add(photos(tmp_path / "in", ["0.png", "1.png", "2.png"], [7, 7, 7]), ds)
    assert (report.samples, report.known, told(report)) == (1, 2, [])


def test_two_copies_in_one_source_stay_two(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "in", ["a/0.png"], [7], boxes=0), tmp_path / "ds").dataset
    report = add(photos(tmp_path / "in", ["b/0.png", "a/0.png"], [7, 7]), ds)
    assert (report.samples, report.known, report.labels) == (1, 1, {"objects": 2})
    assert len({row["sample_id"] for row in report.dataset.labels().to_pylist()}) == 2


def test_of_samples_of_one_content_the_path_says_which(tmp_path: Path) -> None:
    names = ["a/0.png", "b/0.png", "b/1.png"]
    ds = ab.import_dataset(photos(tmp_path / "old", names, [7, 7, 7]), tmp_path / "ds").dataset
    ids = {Path(r["filepath"]).relative_to(tmp_path / "old"): r["sample_id"] for r in ds.samples().to_pylist()}
    ds.delete_labels(field="objects")
    (tmp_path / "old").rename(tmp_path / "new")
    photos(tmp_path / "new", names[::-1], [7, 7, 7])
    for count, name in enumerate(["b/1.png", "b/0.png", "a/0.png"]):
        lines = (tmp_path / "new/metadata.jsonl").read_text().splitlines()
        line = json.loads(lines[count])
        line["objects"]["categories"] = [name]
        (tmp_path / "new/metadata.jsonl").write_text("\n".join([*lines[:count], json.dumps(line), *lines[count + 1 :]]))
    report = add(tmp_path / "new", ds)
    assert report.samples == 0
    assert {row["label"]: row["sample_id"] for row in report.dataset.labels().to_pylist()} == {
        str(name): sample_id for name, sample_id in ids.items()
    }


def test_where_the_path_does_not_say_it_the_file_is_added_and_told(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["a/0.png", "b/0.png"], [7, 7]), tmp_path / "ds").dataset
    shutil.rmtree(tmp_path / "old")
    report = add(photos(tmp_path / "new", ["0.png"], [7]), ds)
    assert report.samples == 1
    assert told(report) == [
        f"1 of the new samples has the content of several samples of the dataset, as {str(tmp_path / 'new/0.png')!r}, and it is "
        "not clear of which; it was added."
    ]


def test_two_copies_of_one_sample_are_not_both_it(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["0.png"], [7]), tmp_path / "ds").dataset
    shutil.rmtree(tmp_path / "old")
    report = add(photos(tmp_path / "new", ["x/9.png", "x/0.png"], [7, 7]), ds)
    assert (report.samples, report.known) == (1, 1)
    assert files(report.dataset) == [str(tmp_path / "new/x/9.png"), str(tmp_path / "old/0.png")]


def test_other_content_of_the_same_name_is_another_sample(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["0.png"], [1]), tmp_path / "ds").dataset
    shutil.rmtree(tmp_path / "old")
    report = add(photos(tmp_path / "new", ["0.png"], [2]), ds)
    assert (report.samples, told(report)) == (1, [])


def test_files_that_differ_where_no_fingerprint_looks_are_two_while_both_are_there(tmp_path: Path) -> None:
    content = [bytearray(np.random.default_rng(0).bytes(100_000)) for _ in range(2)]
    content[1][50_000] ^= 1
    ds = ab.create_dataset(tmp_path / "ds")
    for folder, data in zip(("a", "b"), content, strict=True):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.bmp").write_bytes(data)
    assert fingerprints.of_file(tmp_path / "a/0.bmp") == fingerprints.of_file(tmp_path / "b/0.bmp")
    ds.add_samples(pa.table({"filepath": [str(tmp_path / "a/0.bmp")]}))
    (tmp_path / "b/labels.csv").write_text("")
    from annobridge.ingest.existing_samples import ExistingSamples
    from annobridge.ingest.moved_files import MovedFiles

    moved = MovedFiles(ds.stores, ExistingSamples(ds.stores.samples))
    place = str(tmp_path / "b/0.bmp")
    assert moved.find([place], fingerprints.of_places([place])["fingerprint"]).tolist() == [-1]


def test_samples_without_a_record_are_read_where_they_are(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["0.png", "1.png"]), tmp_path / "ds").dataset
    shutil.rmtree(tmp_path / "ds/annotation_files.lance")  # as in a dataset of an earlier version
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    report = add(tmp_path / "new", ab.load_dataset(ds.uri))
    assert (report.samples, report.known) == (0, 2)


def test_records_of_deleted_samples_do_not_count(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", ["0.png", "1.png"]), tmp_path / "ds").dataset
    first = next(row["sample_id"] for row in ds.samples().to_pylist() if row["filepath"].endswith("0.png"))
    ds.delete_samples([first])
    assert ds.stores.database.count("annotation_files") == 1
    (tmp_path / "old").rename(tmp_path / "new")
    report = add(tmp_path / "new", ds)
    assert (report.samples, report.known) == (1, 1)


def test_a_path_that_was_that_of_another_sample_gives_a_new_id(tmp_path: Path) -> None:
    ds = ab.import_dataset(photos(tmp_path / "in", ["0.png"], [1]), tmp_path / "ds").dataset
    (tmp_path / "in").rename(tmp_path / "moved")
    ds.stores.database.table("samples").update({"filepath": f"'{tmp_path}/moved/0.png'"})
    report = add(photos(tmp_path / "in", ["0.png"], [2]), ds)
    assert report.samples == 1
    assert len({*report.dataset.sample_ids()}) == 2
    assert report.labels == {"objects": 1}
    assert report.dataset.count_labels("objects") == 2


@given(st.binary(max_size=10_000), st.data())
def test_the_fingerprint_of_a_small_file_is_of_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("files")
    (folder / "a").write_bytes(content)
    (folder / "b").write_bytes(content)
    found = fingerprints.of_file(folder / "a")
    assert found is not None
    assert found[0] == len(content)
    assert found == fingerprints.of_file(folder / "b")
    if 0 < len(content) <= 4096:
        at = data.draw(st.integers(0, len(content) - 1))
        (folder / "b").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert found != fingerprints.of_file(folder / "b")


def test_what_is_no_file_has_no_fingerprint(tmp_path: Path) -> None:
    places = [str(tmp_path), str(tmp_path / "none"), "s3://bucket/a.png", "https://host/a.png", "a\0b", None]
    assert fingerprints.of_places(places).to_pylist() == [{"size": None, "fingerprint": None}] * len(places)


def test_of_several_records_of_a_sample_the_last_counts(tmp_path: Path) -> None:
    stored = ab.create_dataset(tmp_path / "ds").stores.fingerprints
    for size in (1, 2):
        stored.record(pa.Table.from_pylist([{"sample_id": "a", "size": size, "fingerprint": 5}], FILES).to_batches())
    assert stored.of(pa.array(["b", "a"]))["size"].to_pylist() == [None, 2]
