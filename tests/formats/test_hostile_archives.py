"""Archives and label files that are made to harm are refused in a sentence, and the dataset stays as it was.

Every installed format is tried with many more by ``test_contract.py``; here is what they say, and what becomes of a dataset.
"""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import annobridge as ab

DEEP = 100_000
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
CATEGORIES = [{"id": 1, "name": "car"}]
IMAGES = [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}]


def coco(*annotations: dict[str, Any], images: list[dict[str, Any]] = IMAGES) -> str:
    return json.dumps({"images": images, "annotations": list(annotations or [BOX]), "categories": CATEGORIES})


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """A dataset of one image, with a label."""
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    made = ab.create_dataset(tmp_path / "street")
    made.add_samples([ab.Sample(tmp_path / "a.png", sample_id="s0", objects=[ab.Detection("bus", [0, 0, 0.5, 0.5])])])
    return made


def member(name: str, **changes: Any) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("x", (2020, 1, 1, 0, 0, 0))
    entry.filename = entry.orig_filename = name
    for key, value in changes.items():
        setattr(entry, key, value)
    return entry


def packed(path: Path, *more: tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations/instances_default.json", coco())
        for entry, data in more:
            archive.writestr(entry, data)
    return path


def refused(ds: ab.Dataset, source: Path, **options: Any) -> str:
    """What an import says that refuses a source; asserts that the dataset and the folder are as they were."""
    folder = Path(ds.uri).parent
    files = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ab.InvalidSource) as caught:
        ab.import_dataset(source, ds.uri, mode="add", **options)
    now = ab.load_dataset(ds.uri)
    assert (len(now), [row["label"] for row in now.labels().to_pylist()]) == (1, ["bus"])
    assert sorted(path.name for path in folder.iterdir()) == files
    return str(caught.value)


LINK = {"external_attr": (stat.S_IFLNK | 0o777) << 16}
MEMBERS = [
    (member("../../out.json"), b"{}", "'../../out.json' of", "leads out of the archive"),
    (member("/out.json"), b"{}", "'/out.json' of", "leads out of the archive"),
    (member("C:\\out.json"), b"{}", "out.json' of", "leads out of the archive"),
    (member("a\\..\\out.json"), b"{}", "out.json' of", "leads out of the archive"),
    (member("link.json", **LINK), b"/etc/passwd", "'link.json' of", "is a link"),
    (
        member("zeros.bin", compress_type=zipfile.ZIP_DEFLATED),
        bytes(8 << 20),
        "'zeros.bin' of",
        "more than max_ratio=200",
    ),
]


@pytest.mark.parametrize(("entry", "data", "name", "said"), MEMBERS, ids=[m[0].filename for m in MEMBERS])
def test_a_member_that_does_harm(
    ds: ab.Dataset, tmp_path: Path, entry: zipfile.ZipInfo, data: bytes, name: str, said: str
) -> None:
    text = refused(ds, packed(tmp_path / "x.zip", (entry, data)), format="coco")
    assert name in text
    assert said in text


def test_a_member_that_is_there_twice(ds: ab.Dataset, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        source = packed(tmp_path / "x.zip", (member("annotations/instances_default.json"), b"{}"))
    assert "is in" in (said := refused(ds, source, format="coco"))
    assert "more than once; the archive is refused." in said


def patched(path: Path, change: Callable[[bytearray, int, int], None]) -> Path:
    data = bytearray(packed(path).read_bytes())
    change(data, data.find(b"PK\1\2"), data.find(b"PK\3\4"))
    path.write_bytes(data)
    return path


def test_an_encrypted_member(ds: ab.Dataset, tmp_path: Path) -> None:
    def change(data: bytearray, central: int, local: int) -> None:
        data[central + 8] |= 1
        data[local + 6] |= 1

    assert "is encrypted; the archive is refused." in refused(ds, patched(tmp_path / "x.zip", change), format="coco")


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_forged_size(ds: ab.Dataset, tmp_path: Path, size: int) -> None:
    def change(data: bytearray, central: int, local: int) -> None:
        data[central + 24 : central + 28] = data[local + 22 : local + 26] = size.to_bytes(4, "little")

    said = refused(ds, patched(tmp_path / "x.zip", change), format="coco")
    assert "annotations/instances_default.json" in said
    assert "the archive is damaged." in said


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_truncated_archive(ds: ab.Dataset, tmp_path: Path, share: float) -> None:
    source = packed(tmp_path / "x.zip")
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * share)])
    assert "is no whole zip, as its directory at the end is missing" in refused(ds, source, format="coco")


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_files": 1}, "holds 2 files, more than max_files=1; raise that limit."),
        ({"max_bytes": 100}, "bytes unpacked, more than max_bytes=100; raise that limit."),
        ({"max_file_bytes": 100}, "bytes, more than max_file_bytes=100; raise that limit."),
    ],
)
def test_a_limit_is_named_and_can_be_raised(ds: ab.Dataset, tmp_path: Path, limit: dict[str, int], said: str) -> None:
    source = packed(tmp_path / "x.zip", (member("notes.txt"), b"x"))
    assert said in refused(ds, source, format="coco", **limit)
    raised = dict.fromkeys(limit, 10000)
    assert ab.import_dataset(source, ds.uri, mode="add", format="coco", field="read", **raised).labels == {"read": 1}


HARMFUL = {
    "a deep list": ("coco", "x.json", coco()[:-1] + ', "x": ' + "[" * DEEP + "]" * DEEP + "}", "is not valid JSON"),
    "deep objects": ("coco", "x.json", '{"images": [' + '{"a":' * DEEP + "1" + "}" * DEEP + "]}", "nested more than 64 deep"),
    "a deep item": ("datumaro", "x.json", '{"categories": {}, "items": [' + "[" * DEEP + "]" * DEEP + "]}", "valid JSON"),
    "deep annotations": ("createml", "x.json", '[{"image": "a.png", "annotations": ' + "[" * DEEP + "]" * DEEP + "}]", "JSON"),
    "deep elements": ("cvat", "x.xml", "<annotations>" + "<a>" * DEEP + "</a>" * DEEP + "</annotations>", "well-formed XML"),
    "a deep object": ("voc", "Annotations/a.xml", "<annotation>" + "<object>" * DEEP, "not well-formed XML"),
    "a deep YAML": ("yolo", "data.yaml", "names: " + "[" * 200 + "]" * 200, "nested deeper than"),
    "a reference in YAML": ("yolo", "data.yaml", "a: &a [1]\nnames: *a\n", "has the reference *a"),
    "entities": (
        "cvat", "x.xml", '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;">]><annotations>&c;</annotations>', "<!DOCTYPE …>",
    ),
    "an external entity": (
        "voc", "Annotations/a.xml",
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation><filename>&b;</filename></annotation>', "<!DOCTYPE …>",
    ),
    "an external document type": (
        "cvat", "x.xml", '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><annotations/>', "<!DOCTYPE …>",
    ),
    "text that is cut": ("coco", "x.json", coco()[:-30], "ends in the middle of its JSON"),
    "text in UTF-16": ("createml", "x.json", '[{"image": "a.png", "annotations": []}]', "JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_a_file_that_does_harm(ds: ab.Dataset, tmp_path: Path, name: str) -> None:
    format_, file, text, said = HARMFUL[name]
    path = tmp_path / "in" / file
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-16" if "UTF-16" in name else "utf-8")
    (tmp_path / "in/labels").mkdir()
    (tmp_path / "in/labels/a.txt").write_text("0 0.5 0.5 0.1 0.1\n" if format_ == "yolo" else "")
    told = refused(ds, tmp_path / "in", format=format_, image_dir=tmp_path)
    assert said in told
    assert len(told) < 1_000
    assert "root:" not in told


def test_what_is_skipped_is_in_the_report_with_its_place(ds: ab.Dataset, tmp_path: Path) -> None:
    images = [*IMAGES, {"id": 2, "file_name": "lost.png", "width": 8, "height": 8}, {"id": 1, "file_name": "b.png"}]
    mask = {"id": 7, "image_id": 1, "category_id": 1}
    annotations = [
        BOX,
        BOX | {"id": 2, "image_id": 9},
        BOX | {"id": 3, "category_id": 9},
        BOX | {"id": 4, "bbox": [1, 2, float("nan"), 4]},
        BOX | {"id": 5, "image_id": 2},
        BOX | {"id": 6, "bbox": [100, 100, 5, 5]},
        mask | {"segmentation": {"size": [48, 64], "counts": [1, 2]}},
        mask | {"id": 8, "segmentation": {"size": [48, 64], "counts": [4000]}},
        mask | {"id": 9, "segmentation": {"size": [48, 64], "counts": [-1, 3073]}},
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/labels.json").write_text(coco(*annotations, images=images))
    report = ab.import_dataset(tmp_path / "in", ds.uri, mode="add", format="coco", field="read")
    assert report.labels == {"read_detections": 1} or report.labels == {"read": 1}
    said = " ".join(report.notes)
    for reason in (
        "its image is not in the file ('in/labels.json' annotation 2)",
        "its category is not in the file",
        "it has a number that is not finite",
        "its image was not found",
        "it is outside its image",
        "its RLE has fewer pixels than its size",
        "its RLE has more pixels than its size",
        "its RLE has a negative count",
        "1 images have an id that another image",
    ):
        assert reason in said, (reason, report.notes)
