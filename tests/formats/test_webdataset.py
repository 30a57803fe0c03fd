"""WebDataset: tars of samples; and tars that are made to harm."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.label_files import files, opened, packed, read
from tests.formats.test_huggingface import dataset, mask, png

import annobridge as ab
from annobridge.core.geometry import decode_rle
from annobridge.exceptions import InvalidSource
from annobridge.formats.common.archive import Archive
from annobridge.formats.common.tar import members
from annobridge.formats.webdataset import WebDatasetFormat

WDS = WebDatasetFormat()
OBJECTS = {"objects": [{"bbox": [10, 5, 20, 10], "category": "car", "score": 0.5, "note": "é"}]}
Parts = Mapping[str, Any]


def tar(path: Path, parts: Parts | Sequence[tuple[str, Any]], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in parts.items() if isinstance(parts, Mapping) else parts:
            entry = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            content = (
                b""
                if isinstance(data, tarfile.TarInfo)
                else data
                if isinstance(data, bytes)
                else json.dumps(data).encode()
            )
            entry.size = entry.size or len(content)
            archive.addfile(entry, io.BytesIO(content) if content else None)
    return path


def sample(key: str, colour: int = 0, **parts: Any) -> dict[str, Any]:
    return {f"{key}.png": png(colour=colour), **{f"{key}.{name}": data for name, data in parts.items()}}


@pytest.mark.parametrize("form", ["file", "folder", "zip", "gz"])
def test_samples(tmp_path: Path, form: str) -> None:
    parts = {
        "./": tarfile.TarInfo("./"), **sample("cam 1/é", 1, json={**OBJECTS, "width": 100, "height": 50, "camera": "x", "n": 3}),
        **sample("b", 2, cls=b"1", txt=b" a boat\n"), **sample("c", 3, json=OBJECTS["objects"], npy=b"x"),
    }  # fmt: skip
    parts["./"].type = tarfile.DIRTYPE
    name = "coco-train-000000.tar" + (".gz" if form == "gz" else "")
    source = tar(tmp_path / "x" / name, parts, "w:gz" if form == "gz" else "w")
    if form in ("folder", "zip"):
        source = packed(tmp_path / "x", tmp_path / "x.zip") if form == "zip" else tmp_path / "x"
    assert WDS.recognises(source)
    samples, labels, found = read(WDS, source, media_dir=tmp_path / "m", classes=["none", "boat"])
    assert [(Path(s["filepath"]).relative_to(tmp_path / "m").as_posix(), s["split"]) for s in samples] == [
        ("train/cam 1/é.png", "train"),
        ("train/b.png", "train"),
        ("train/c.png", "train"),
    ]
    assert [(s["camera"], s["n"], s["text"]) for s in samples] == [
        ("x", 3, None),
        (None, None, "a boat"),
        (None, None, None),
    ]
    boxes = [row for row in labels if row["kind"] == "box"]
    assert [row["image"] for row in boxes] == ["é.png", "c.png"]
    assert boxes[0]["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert (boxes[0]["label"], boxes[0]["confidence"], boxes[0]["attributes"]) == ("car", 0.5, {"note": "é"})
    assert [(row["label"], row["image"]) for row in labels if row["kind"] == "classification"] == [("boat", "b.png")]
    assert any("'npy'" in note for note in found.notes)


def test_other_forms_of_objects(tmp_path: Path) -> None:
    forms = [
        {"annotations": [{"bbox": [10, 5, 20, 10], "category_id": 1}]},
        {"objects": {"bbox": [[10, 5, 20, 10]], "labels": [1]}},
        {"boxes": [[10, 5, 20, 10]], "labels": [1]},
        {"objects": [{"bbox": [10, 5, 20, 10], "category_id": 1, "extra": {"deep": [1]}}]},
    ]
    parts: dict[str, Any] = {}
    for n, form in enumerate(forms):
        parts |= sample(str(n), n, json=form)
    _, labels, found = read(WDS, tar(tmp_path / "a.tar", parts), media_dir=tmp_path / "m", classes=["none", "car"])
    assert sorted((row["image"], row["label"]) for row in labels) == [(f"{n}.png", "car") for n in range(4)]
    assert not found.notes


def test_masks_and_classes(tmp_path: Path) -> None:
    values = np.zeros((50, 100), int)
    values[:10, :10] = 1
    parts = {
        "a.seg.png": mask(values),
        **sample("a"),
        **sample("b", 1, json={"label": "boat"}),
        **sample("c", 2, cls=b"7"),
    }
    _, labels, _ = read(WDS, tar(tmp_path / "x/a.tar", parts).parent, media_dir=tmp_path / "m")
    assert {(row["kind"], row["label"]) for row in labels} == {
        ("mask", "1"),
        ("classification", "boat"),
        ("classification", "7"),
    }
    assert decode_rle(next(row["mask"] for row in labels if row["kind"] == "mask")).sum() == 100
    files(tmp_path / "x", {"classes.txt": "none\ncar\n"})
    _, labels, found = read(WDS, tmp_path / "x", media_dir=tmp_path / "m")
    assert {row["label"] for row in labels} == {"car", "boat"}
    assert "the number of its class has no name" in found.notes[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "its JSON cannot be read"),
        (b"[" * 100_000, "its JSON cannot be read"),
        (b"7", "its JSON is no object"),
        ({"objects": [{"bbox": [1, 2, 3], "category": "x"}]}, "not four numbers"),
        ({"objects": [{"bbox": [1, 2, 3, "4"], "category": "x"}]}, "of several types"),
        ({"objects": [{"bbox": ["1", "2", "3", "4"], "category": "x"}]}, "not finite|not four numbers"),
        ({"objects": [{"bbox": [900, 2, 3, 4], "category": "x"}]}, "outside its image"),
        (b'{"objects": [{"bbox": [1, 2, 1e999, 4], "category": "x"}]}', "not finite|cannot be read"),
    ],
)
def test_bad_json_is_left_out(tmp_path: Path, data: Any, reason: str) -> None:
    parts = {**sample("a", json=OBJECTS), **sample("b", 1, json=data)}
    samples, labels, found = read(WDS, tar(tmp_path / "a.tar", parts), media_dir=tmp_path / "m")
    assert (len(samples), len(labels)) == (2, 1)
    assert any(part in found.notes[0] for part in reason.split("|"))
    assert "sample 'b'" in found.notes[0]


def entry(name: str, **values: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (("../a.png", b"x"), "leads out of the archive"),
        (("/a.png", b"x"), "leads out of the archive"),
        (("a\\..\\b.png", b"x"), "leads out of the archive"),
        (("a.png", entry("a.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "is a link"),
        (("a.png", entry("a.png", type=tarfile.LNKTYPE, linkname="b.png")), "is a link"),
        (("a.png", entry("a.png", type=tarfile.FIFOTYPE)), "is neither a file nor a folder"),
        (("a.png", entry("a.png", type=tarfile.CHRTYPE)), "is neither a file nor a folder"),
    ],
)
def test_hostile_members(tmp_path: Path, member: Any, sentence: str) -> None:
    source = tar(tmp_path / "a.tar", [*sample("ok", json=OBJECTS).items(), member])
    with pytest.raises(InvalidSource, match=sentence):
        opened(WDS, source, media_dir=tmp_path / "m")
    with pytest.raises(ab.AnnobridgeError):
        ab.import_dataset(source, tmp_path / "ds", format="webdataset", progress=False)
    assert not (tmp_path / "ds").exists()
    assert not (tmp_path / "ds-media").exists()


def test_members_that_are_repeated_or_too_many(tmp_path: Path) -> None:
    twice = [("a.png", png()), ("a.json", OBJECTS), ("a.png", png())]
    with pytest.raises(InvalidSource, match=r"'a.png' is in 'a.tar' more than once"):
        opened(WDS, tar(tmp_path / "a.tar", twice), media_dir=tmp_path / "m")
    with pytest.raises(InvalidSource, match="has more than 100 parts"):
        opened(WDS, tar(tmp_path / "b.tar", [(f"a.{n}", b"x") for n in range(200)]), media_dir=tmp_path / "m")


@pytest.mark.parametrize("limit", ["max_files", "max_file_bytes", "max_bytes"])
def test_limits(tmp_path: Path, limit: str) -> None:
    source = tar(tmp_path / "a.tar.gz", sample("a", txt=b"x" * 50_000), "w:gz")
    most = {"max_files": 1, "max_file_bytes": 40_000, "max_bytes": 40_000}[limit]
    with pytest.raises(InvalidSource, match=f"holds more than {limit}="):
        opened(WDS, source, media_dir=tmp_path / "m", **{limit: most})


def test_bombs_and_forged_sizes(tmp_path: Path) -> None:
    bomb = tar(tmp_path / "a.tar.gz", sample("a", txt=b"\0" * 4_000_000), "w:gz")
    with pytest.raises(InvalidSource, match="larger than the archive can hold"):
        opened(WDS, bomb, media_dir=tmp_path / "m")
    plain = tar(tmp_path / "b.tar", sample("a", txt=b"x" * 100))
    data = bytearray(plain.read_bytes())
    data[124:136] = b"77777777777\0"  # the size of the first member
    check = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = f"{check:06o}\0 ".encode()
    plain.write_bytes(data)
    with pytest.raises(InvalidSource, match="larger than the archive can hold"):
        opened(WDS, plain, media_dir=tmp_path / "m")
    long = entry("x", type=tarfile.XHDTYPE, size=1 << 30)
    (tmp_path / "c.tar").write_bytes(long.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 10_240)
    with pytest.raises(InvalidSource, match="impossible size"):
        opened(WDS, tmp_path / "c.tar", media_dir=tmp_path / "m")


@pytest.mark.parametrize("damage", ["cut", "junk", "gzip", "header"])
def test_a_damaged_tar(tmp_path: Path, damage: str) -> None:
    source = tar(tmp_path / "a.tar", sample("a", json=OBJECTS))
    data = source.read_bytes()
    source.write_bytes(
        {"cut": data[:700], "junk": b"\x07" * 2000, "gzip": data, "header": data[:1024] + b"\xff" * 512 + data[1536:]}[
            damage
        ]
    )
    if damage == "gzip":
        source = tmp_path / "a.tar.gz"
        source.write_bytes(gzip.compress(data)[:-30])
    with pytest.raises(InvalidSource, match="cannot be read as a tar|ends within|is not in it"):
        opened(WDS, source, media_dir=tmp_path / "m")


def test_members_stream(tmp_path: Path) -> None:
    source = tar(tmp_path / "a.tar", sample("a", json=OBJECTS))
    with Archive(source) as archive:
        assert [name for name, _ in members(archive, "a.tar")] == ["a.png", "a.json"]


def test_other_tars_are_not_recognised(tmp_path: Path) -> None:
    assert not WDS.recognises(
        tar(tmp_path / "a.tar", {"annotations/instances_train.json": {"images": [], "annotations": []}})
    )
    assert not WDS.recognises(tar(tmp_path / "b.tar", {"setup.py": b"x", "README.md": b"y"}))
    assert not WDS.recognises(files(tmp_path / "c", {"a.tar": "junk"}))


def test_writing(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    report = ab.export_dataset(ds, tmp_path / "out", "webdataset", progress=False, shard_samples=1)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "classes.txt", "my_val-000000.tar", "train-000000.tar", "train-000001.tar",
    ]  # fmt: skip
    assert "lines: 2 polylines will be written as the boxes around them." in report.notes
    with tarfile.open(tmp_path / "out/train-000000.tar") as archive:
        assert archive.getnames() == ["a_v1.png", "a_v1.json", "a_v1.cls"]
        assert {(m.mtime, m.uid, m.mode) for m in archive.getmembers()} == {(0, 0, 0o644)}
        found = json.load(archive.extractfile("a_v1.json"))  # type: ignore[arg-type]
    assert (found["file_name"], found["split"], found["label"], found["caption"]) == (
        "a.v1.png",
        "train",
        "day",
        "text 0",
    )
    assert found["objects"][0]["bbox"] == pytest.approx([10, 10, 30, 20])
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again", progress=False)
    assert (again.format, again.samples) == ("webdataset", 3)
    assert again.labels == {"classifications": 2, "detections": 8, "polygons": 6}
    assert sorted((s["split"], s["caption"]) for s in again.dataset.samples().to_pylist()) == [
        ("my val", "text 1"), ("train", "text 0"), ("train", "text 2"),
    ]  # fmt: skip
    car = next(r for r in again.dataset.labels("detections").to_pylist() if r["label"] == "car" and r["confidence"])
    assert {a["name"]: json.loads(a["value"]) for a in car["attributes"]} == {
        "seen": True,
        "n": 3,
        "part": 0.5,
        "text": "é",
    }
    second = ab.export_dataset(ds, tmp_path / "twice", "webdataset", progress=False, shard_samples=1).folder
    assert all((second / p.name).read_bytes() == p.read_bytes() for p in (tmp_path / "out").iterdir())


def test_without_images(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    ab.export_dataset(ds, tmp_path / "out", "webdataset", progress=False, save_media=False)
    report = ab.import_dataset(tmp_path / "out", tmp_path / "ds", mode="add", progress=False)
    assert (report.samples, report.known) == (0, 3)
    assert sum(report.labels.values()) + sum(report.kept.values()) == 16
