"""Market-1501: images whose names are their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import attributes
from annobridge.exceptions import Unsupported
from annobridge.formats.base import Part
from annobridge.formats.market1501 import MarketFormat

MARKET = MarketFormat()
NAMES = (
    "bounding_box_train/0002_c1s3_000151_00.jpg",
    "bounding_box_test/-1_c6s1_000001_02.jpg",
    "query/0002_c2s3_000111_00.jpg",
)
TRAIN = {"person_id": "0002", "camera_id": 1, "track_id": 3, "frame_id": 151, "bbox_id": 0, "query": False}
QUERY = {"person_id": "0002", "camera_id": 2, "track_id": 3, "frame_id": 111, "bbox_id": 0, "query": True}
JUNK = {"person_id": "-1", "camera_id": 6, "track_id": 1, "frame_id": 1, "bbox_id": 2, "query": False}


def source(folder: Path, **texts: str) -> Path:
    for name in (*NAMES, "gt_bbox/0002_c1s3_000151_00.jpg"):
        image(folder / name)
    return files(folder, texts)


def given(rows: list[dict[str, Any]]) -> dict[str, Any]:
    assert all((row["kind"], row["label"]) == ("classification", "market-1501") for row in rows)
    return {row["image"]: row["attributes"] for row in rows}


def test_folders(tmp_path: Path) -> None:
    zipped = packed(source(tmp_path / "x"), tmp_path / "x.zip")
    assert MARKET.recognises(zipped)
    samples, rows, found = read(MARKET, zipped, media_dir=tmp_path / "media")
    assert given(rows) == {
        name.rpartition("/")[2]: values for name, values in zip(NAMES, (TRAIN, JUNK, QUERY), strict=True)
    }
    assert sorted(sample["split"] for sample in samples) == ["query", "test", "train"]
    assert not found.notes


def test_lists_without_images(tmp_path: Path) -> None:
    lists = {"images_train.txt": NAMES[0], "images_default.txt": f"{NAMES[1]}\n{NAMES[2]}\nquery/plain.jpg\n"}
    files(tmp_path / "x", lists)
    for name in (*NAMES, "plain.jpg"):
        image(tmp_path / "images" / name.rpartition("/")[2])
    assert MARKET.recognises(tmp_path / "x")
    samples, rows, _ = read(MARKET, tmp_path / "x", image_dir=tmp_path / "images")
    assert list(given(rows).values()) == [JUNK, QUERY, TRAIN]
    assert [sample.get("split") for sample in samples] == [None, None, None, "train"]


def test_the_split_of_a_listed_image_is_that_of_its_list(tmp_path: Path) -> None:
    samples, _, _ = read(MARKET, source(tmp_path, **{"images_test.txt": f"{NAMES[1]}\n{NAMES[2]}\n"}))
    assert sorted(sample["split"] for sample in samples) == ["test", "test", "train"]


def test_the_name_before_is_at_the_end(tmp_path: Path) -> None:
    files(
        tmp_path / "x", {"images_train.txt": "query/0002_c2s3_000111_00frame_1.jpg\nquery/0002_c2s3_000112_00_7.jpg\n"}
    )
    for name in ("frame_1.jpg", "7.jpg"):
        image(tmp_path / "images" / name)
    _, rows, _ = read(MARKET, tmp_path / "x", image_dir=tmp_path / "images", first_camera=0)
    assert given(rows) == {
        "frame_1.jpg": QUERY | {"camera_id": 1},
        "7.jpg": QUERY | {"camera_id": 1, "frame_id": 112},
    }


def test_names_that_lead_out_are_told(tmp_path: Path) -> None:
    _, _, found = read(MARKET, source(tmp_path, **{"images_test.txt": f"{NAMES[1]}\n../x.jpg\nquery/none.jpg\n"}))
    assert "no name of an image ('" in found.notes[0]
    assert "line 2" in found.notes[0]
    assert "1 images were not found, as 'none.jpg'" in " ".join(found.assumptions)


def test_detection(tmp_path: Path) -> None:
    assert not MARKET.recognises(files(tmp_path / "x", {"images_train.txt": "a.jpg\n"}))
    image(tmp_path / "y/query/a.jpg")
    image(tmp_path / "y/bounding_box_train/a.jpg")
    assert not MARKET.recognises(tmp_path / "y")


def test_writing(tmp_path: Path) -> None:
    origin, out = source(tmp_path / "x"), tmp_path / "out"
    assert rewritten(MARKET, origin, out) == []
    assert (out / "images_train.txt").read_text() == f"{NAMES[0]}\n"
    assert (out / "images_query.txt").read_text() == f"{NAMES[2]}\n"
    assert given(read(MARKET, out)[1]) == given(read(MARKET, origin)[1])


def person(folder: Path, name: str, label: str = "market-1501", **values: Any) -> Part:
    sample = {"sample_id": name, "filepath": str(image(folder / name)), "width": 100, "height": 50}
    row = {"label_id": name, "sample_id": name, "field": "f", "kind": "classification", "label": label, "rev": 0}
    label_row = row | {"attributes": attributes(values)}
    return Part(pa.Table.from_pylist([sample], schema=SAMPLES), pa.Table.from_pylist([label_row], schema=LABELS))


def test_images_get_names_of_market_1501(tmp_path: Path) -> None:
    parts = [
        person(tmp_path / "x", "a.jpg", person_id=7, camera_id=0),
        person(tmp_path / "x", "b.jpg", label="Ann", person_id=7, camera_id=0, query=True),
        person(tmp_path / "x", "7.jpg", person_id=12345, frame_id=3),
        person(tmp_path / "x", "c.jpg", label="day"),
    ]
    (tmp_path / "out").mkdir()
    notes = MARKET.write(parts, tmp_path / "out", MARKET.writing(first_camera=0))
    assert notes == [
        "1 classes of images have no person_id, and are left out.",
        "1 persons have another class than 'market-1501', which they will have.",
    ]
    assert (tmp_path / "out/images_default.txt").read_text().splitlines() == [
        "bounding_box_default/0007_c1s1_000000_00a.jpg",
        "query/0007_c1s1_000001_00b.jpg",
        "bounding_box_default/12345_c1s1_000003_00_7.jpg",
        "bounding_box_default/c.jpg",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [({"person_id": "Ann"}, "person_id 'Ann'"), ({"person_id": 1, "camera_id": "x"}, "camera_id 'x'")],
)
def test_values_that_no_name_can_have(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        MARKET.write([person(tmp_path, "a.jpg", **values)], tmp_path / "out", MARKET.writing())
