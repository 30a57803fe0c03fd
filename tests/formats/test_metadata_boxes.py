"""What the numbers of boxes mean: one decision for a file, and nothing turned into another form in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.formats.metadata_cases import contents, folder, labels_of, opened, refused

from annobridge.exceptions import InvalidSource
from annobridge.io.import_dataset import import_dataset

NAMES = ("a.jpg", "b.jpg")
SMALL, LARGE = [0.1, 0.2, 0.3, 0.4], [16, 12, 32, 24]


def lines(dialect: str, *boxes: Any) -> list[dict[str, Any]]:
    """A line for each image, the boxes in turn."""
    if dialect == "file_name":
        return [{"file_name": n, "objects": {"bbox": list(boxes[k::2])}} for k, n in enumerate(NAMES)]
    return [{"image": n, "objects": {"bboxes": list(boxes[k::2])}} for k, n in enumerate(NAMES)]


def boxes_of(root: Path, **options: Any) -> list[list[float]]:
    return [x["bounding_box"] for x in labels_of(root, **options)]


def test_pixels_by_nature_of_the_dialect(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, lines("file_name", LARGE, [0.5, 0.5, 1, 1]))
    assert boxes_of(root) == [[0.25, 0.25, 0.5, 0.5], [0.5 / 64, 0.5 / 48, 1 / 64, 1 / 48]]
    assert any("boxes are [x, y, width, height], in pixels." in note for note in opened(root).assumptions)


def test_pixels_that_look_relative_are_asked_for(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, lines("file_name", SMALL, [0, 0, 1, 1]))
    said = refused(root)
    assert (
        "metadata.jsonl:1 and all other lines have boxes of which no number is above 1; say coordinates='normalized'"
        in said
    )
    assert boxes_of(root, coordinates="normalized") == [SMALL, [0, 0, 1, 1]]
    assert boxes_of(root, coordinates="pixels")[1] == [0, 0, 1 / 64, 1 / 48]


@pytest.mark.parametrize(
    ("boxes", "wanted"), [((SMALL, [0, 0, 1, 1]), SMALL), ((LARGE, [2, 2, 3, 3]), [0.25, 0.25, 0.5, 0.5])]
)
def test_pixano_is_decided_by_the_file(tmp_path: Path, boxes: Any, wanted: list[float]) -> None:
    assert boxes_of(folder(tmp_path, NAMES, lines("pixano", *boxes)))[0] == wanted


def test_a_mixed_file_is_asked_for(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, lines("pixano", SMALL, LARGE))
    said = refused(root)
    assert "metadata.jsonl:1 has a box with all numbers from 0 to 1, and " in said
    assert (
        "metadata.jsonl:2 one with others; a file has one unit, so say coordinates='normalized' or coordinates='pixels'."
        in said
    )
    source = opened(root, coordinates="pixels")
    assert "1 of these boxes Pixano's own import would take for the other unit." in source.assumptions


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        (
            [10, 10, 60, 20],
            "has the box [10.0, 10.0, 60.0, 20.0], which is more than 1 pixel beyond its image of 64×48 pixels; correct",
        ),
        ([-2, 10, 6, 20], "is more than 1 pixel beyond its image"),
        ([10, 10, -6, 20], "has the box [10.0, 10.0, -6.0, 20.0], with a negative side; correct it."),
        ([1, 2, 3], "has the box [1, 2, 3]; a box is four numbers, [x, y, width, height]."),
        ([1, 2, 3, "4"], "has the box [1, 2, 3, '4']; a box is four numbers"),
        ([1, 2, 3, True], "has the box [1, 2, 3, True]; a box is four numbers"),
        ([1, 2, 3, None], "has the box [1, 2, 3, None]; a box is four numbers"),
        (None, "has the box None; a box is four numbers"),
        ([10**400, 2, 3, 4], "a box is four numbers"),
    ],
)
@pytest.mark.parametrize("dialect", ["file_name", "pixano"])
def test_wrong_boxes(tmp_path: Path, dialect: str, box: Any, sentence: str) -> None:
    said = refused(folder(tmp_path, NAMES, lines(dialect, LARGE, box)))
    assert "metadata.jsonl:2" in said
    assert sentence in said


def test_up_to_a_pixel_beyond_is_cut_and_told(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, lines("file_name", [-0.5, 10, 10, 39], [10, 10, 54, 38]))
    assert boxes_of(root) == [[0, 10 / 48, 9.5 / 64, 38 / 48], [10 / 64, 10 / 48, 54 / 64, 38 / 48]]
    assert "1 boxes were up to 1 pixel beyond their image, and were cut to it." in opened(root).notes


def test_boxes_without_area_are_left_out_and_told(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, lines("file_name", LARGE, [5, 5, 0, 9], [64, 5, 1, 9]))
    source = opened(root)
    assert sum(p.labels.num_rows for p in source.parts()) == 1
    assert any(note.startswith("2 boxes have no area, and were left out (the first: ") for note in source.notes)


def test_corners_are_not_guessed(tmp_path: Path) -> None:
    corners = lines("file_name", [40, 30, 60, 45], [50, 20, 64, 40], [1, 1, 5, 5])
    root = folder(tmp_path, NAMES, corners)
    said = refused(root)
    assert "as are 1 more, and all of the file would fit as [x1, y1, x2, y2]; say box_format='xyxy'" in said
    assert any("they were cut to it, so say box_format='xyxy'" in note for note in opened(root, clip=True).notes)
    assert boxes_of(root, box_format="xyxy")[0] == [40 / 64, 30 / 48, 20 / 64, 15 / 48]
    assert any("boxes are [x1, y1, x2, y2], in pixels." in note for note in opened(root, box_format="xyxy").assumptions)
    wrong = folder(tmp_path / "x", NAMES, lines("file_name", [40, 30, 20, 45]))
    assert "of which the second corner is before the first; correct it." in refused(wrong, box_format="xyxy")


def test_boxes_that_leave_their_image_are_cut_when_told(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", NAMES, lines("file_name", LARGE, [-16, 24, 48, 48], [10, 10, -6, 20]))
    assert "with a negative side; correct it." in refused(root)
    source = opened(root, clip=True)
    assert [x["bounding_box"] for x in contents(source)[1]] == [[0.25, 0.25, 0.5, 0.5], [0, 0.5, 0.5, 0.5]]
    assert any("more than 1 pixel beyond its image of 64×48 pixels; it was cut to it." in note for note in source.notes)
    assert any(note.startswith("1 boxes have no area, and were left out") for note in source.notes)


def test_the_import_cuts_what_is_refused_otherwise(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", NAMES, lines("file_name", LARGE, [48, 24, 60, 24]))
    with pytest.raises(InvalidSource, match=r"box_format=…, or have it cut with invalid='clip'\.$"):
        import_dataset(root, tmp_path / "ds", progress=False)
    assert not (tmp_path / "ds").exists()
    report = import_dataset(root, tmp_path / "ds", invalid="clip", progress=False)
    boxes = report.dataset.labels("objects").to_pylist()
    assert sorted(row["bounding_box"] for row in boxes) == [[0.25, 0.25, 0.5, 0.5], [0.75, 0.5, 0.25, 0.5]]
