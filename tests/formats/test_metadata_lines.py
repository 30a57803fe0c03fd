"""Lines: bad JSON and bad paths, each refused with file and line; repeated images; columns of the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.formats.metadata_cases import contents, folder, labels_of, opened, refused, samples_of

BOX = {"bbox": [[1, 2, 30, 40]], "categories": ["car"]}
GOOD = {"file_name": "a.jpg", "objects": BOX}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"file_name": "a.jpg"', ":2 is not JSON: Expecting ',' delimiter"),
        ("[1]", ":2 is a list, not a JSON object; write one object {…} on each line."),
        ('{"file_name": "a.jpg", "x": NaN}', ":2 holds NaN, which is not JSON; write a number, or null."),
        ('{"file_name": "a.jpg", "x": -Infinity}', ":2 holds -Infinity"),
        ('{"file_name": "a.jpg", "x": 1e999}', ":2 has a number in 'x' that is too large; correct it."),
        (
            '{"file_name": "a.jpg", "x": 99999999999999999999}',
            ":2 has a number in 'x' that is too large; write it as a text.",
        ),
        (
            '{"file_name": "a.jpg", "file_name": "b.jpg"}',
            ":2 has the key 'file_name' twice in one object; keep one of them.",
        ),
        ('{"file_name": "a.jpg", "objects": {"bbox": [], "bbox": []}}', ":2 has the key 'bbox' twice"),
        ('{"file_name": "a.jpg", "x": "\\ud800"}', ":2 has a text in 'x' that is not Unicode; correct it."),
        ("[" * 100_000, ":2 cannot be read as JSON"),
        ('{"file_name": "a.jpg", "\\uD800": 1}', ":2 has a text in '\\ud800' that is not Unicode; correct it."),
        (
            '{"file_name": "a.jpg", "sample_id": "\\ud800"}',
            ":2 has a text in 'sample_id' that is not Unicode; correct it.",
        ),
        (
            '{"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "\\ud800": [1]}}',
            ":2 has a text in 'objects' that is not Unicode; correct it.",
        ),
    ],
)
def test_what_is_not_json(tmp_path: Path, line: str, sentence: str) -> None:
    assert f"metadata.jsonl{sentence}" in refused(folder(tmp_path, lines=[{"file_name": "a.jpg", "x": None}, line]))


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [(b"\xff\xfe{\x00", ":1 is UTF-16; save"), (b'{"file_name": "\xe9"}', ":1 is not UTF-8 (byte 16)")],
)
def test_a_wrong_encoding(tmp_path: Path, raw: bytes, sentence: str) -> None:
    root = folder(tmp_path)
    (root / "metadata.jsonl").write_bytes(raw)
    assert f"metadata.jsonl{sentence}" in refused(root)


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "metadata.jsonl").write_bytes(b'\xef\xbb\xbf{"file_name": "a.jpg", "text": "x"}\r\n\r\n  \n')
    assert samples_of(root)[0]["text"] == "x"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("b.jpg", "names the image 'b.jpg', which does not exist in"),
        ("A.jpg", "names the image 'A.jpg', but the file is 'a.jpg'; spell it exactly so."),
        ("../a.jpg", "names the image '../a.jpg', which is outside the folder; put the images into it."),
        ("x/../a.jpg", "which is outside the folder"),
        ("/a.jpg", "give a path with '/', relative to the folder of the file."),
        ("x\\b.jpg", "which does not exist in"),
        ("C:/x/b.jpg", "a path of Windows, and no end of it is a file in"),
        ("", "names the image ''; give its path, a text."),
        (7, "names the image 7; give its path, a text."),
        (".", "names the image '.', which is the folder; give the path of a file in it."),
        ("./", "names the image './', which is the folder; give the path of a file in it."),
    ],
)
@pytest.mark.parametrize("key", ["file_name", "filepath", "image"])
def test_paths(tmp_path: Path, key: str, name: Any, sentence: str) -> None:
    said = refused(folder(tmp_path, lines=[{key: "a.jpg"}, {key: name}]))
    assert "metadata.jsonl:2 " in said
    assert sentence in said


def test_a_path_may_start_with_a_dot(tmp_path: Path) -> None:
    assert labels_of(folder(tmp_path, lines=[{**GOOD, "file_name": "./a.jpg"}]))


def test_two_readings_of_a_path_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "train", ("x.jpg", "train/x.jpg"), [{"filepath": "train/x.jpg"}])
    assert "which could be 'train/x.jpg' or 'x.jpg'; rename one." in refused(root)


def test_lines_of_one_image_are_put_together(tmp_path: Path) -> None:
    lines = [{"file_name": "a.jpg", "caption": "x"}, GOOD, {**GOOD, "caption": "x"}]
    samples, labels = contents(opened(folder(tmp_path, lines=lines)))
    assert [s["caption"] for s in samples] == ["x"]
    assert len(labels) == 2


def test_they_are_also_far_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annobridge.formats.metadata.reading.chunk_tables.LINES", 2)
    names = [f"{n}.jpg" for n in range(5)]
    lines = [{"file_name": n, "objects": BOX} for n in names] + [
        {"file_name": names[0], "note": "late", "objects": BOX}
    ]
    samples, labels = contents(opened(folder(tmp_path, names, lines)))
    assert [s["name"] for s in samples] == names
    assert samples[0]["note"] == "late"
    assert [x["image"] for x in labels].count("0.jpg") == 2
    assert len(labels) == 6


def test_lines_of_one_image_that_differ_are_refused(tmp_path: Path) -> None:
    said = refused(
        folder(tmp_path, lines=[{"file_name": "a.jpg", "caption": "x"}, {"file_name": "a.jpg", "caption": "y"}])
    )
    assert "metadata.jsonl:2 has 'y' as 'caption' of an image of which " in said
    assert "metadata.jsonl:1 has 'x'; lines of one image are put together, so make them equal." in said


def test_columns_take_the_type_of_all_lines(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(3)]
    lines = [
        {"file_name": "0.jpg", "n": 1, "f": 1, "t": "a", "b": True, "l": ["x"], "d": {"k": 1}, "e": [[1], "x"]},
        {"file_name": "1.jpg", "n": 2, "f": 2.5, "tags": ["night"], "width": 64},
        {"file_name": "2.jpg", "z": None},
    ]
    samples = samples_of(folder(tmp_path, names, lines))
    wanted = {"n": 1, "f": 1.0, "t": "a", "b": True, "l": ["x"], "d": '{"k": 1}', "e": '[[1], "x"]', "tags": None}
    assert {k: samples[0][k] for k in wanted} == wanted
    assert type(samples[0]["f"]) is float
    assert samples[1]["tags"] == ["night"]
    assert samples[2]["n"] is None
    assert "z" not in samples[0]


def test_types_are_settled_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annobridge.formats.metadata.reading.chunk_tables.LINES", 1)
    names = ("a.jpg", "b.jpg", "c.jpg")
    lines = [{"file_name": n, "v": v} for n, v in zip(names, (None, 1, 2.5), strict=True)]
    assert [s["v"] for s in samples_of(folder(tmp_path / "x", names, lines))] == [None, 1.0, 2.5]
    mixed = [*lines, {"file_name": "d.jpg", "v": "two"}]
    said = refused(folder(tmp_path / "y", (*names, "d.jpg"), mixed))
    assert "'v' is a number at " in said
    assert "metadata.jsonl:4; give it one type in all lines." in said


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"fps": 3}, "has the key 'fps', which is a column of annobridge's own; rename the key."),
        ({"a.b": 3}, "has the key 'a.b', which cannot be a column; rename it"),
        ({"_rowid": 3}, "has the key '_rowid', which cannot be a column; rename it"),
        ({"width": 65}, "says width=65, but its image has 64; correct it."),
        ({"sample_id": 3}, "has the id 3; give a text."),
        ({"split": 3}, "has the split 3; give a text."),
        ({"categories": "car"}, "has 'categories' = 'car'; give a list of classes, or null."),
        ({"tags": "x"}, "has 'tags' = 'x'; give a list of texts."),
    ],
)
def test_keys_that_cannot_be_columns(tmp_path: Path, extra: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(folder(tmp_path, lines=[{"file_name": "a.jpg", **extra}]))


def test_ids_of_lines_are_kept_and_must_differ(tmp_path: Path) -> None:
    lines = [{"file_name": "a.jpg", "sample_id": "one"}, {"file_name": "b.jpg", "sample_id": "two"}]
    root = folder(tmp_path / "x", ("a.jpg", "b.jpg"), lines)
    assert [s["sample_id"] for s in samples_of(root)] == ["one", "two"]
    lines[1]["sample_id"] = "one"
    said = refused(folder(tmp_path / "y", ("a.jpg", "b.jpg"), lines))
    assert "The id 'one' is given to several images, at " in said
    assert "metadata.jsonl:1 and " in said


def test_two_halves_of_a_character_are_one(tmp_path: Path) -> None:
    assert samples_of(folder(tmp_path, lines=['{"file_name": "a.jpg", "x": "\\ud83d\\ude00"}']))[0]["x"] == "😀"


LARGE = 2**53 + 1


@pytest.mark.parametrize("values", [(1.5, LARGE), (LARGE, 1.5), ([1.5], [1, LARGE]), ([-LARGE], [1.5])])
@pytest.mark.parametrize("size", [1, 1000])
def test_large_numbers_among_fractions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: tuple[Any, Any], size: int
) -> None:
    monkeypatch.setattr("annobridge.formats.metadata.reading.chunk_tables.LINES", size)
    names = ("a.jpg", "b.jpg")
    columns = [{"file_name": name, "n": value} for name, value in zip(names, values, strict=True)]
    boxes = [{"file_name": name, "objects": {**BOX, "n": [value]}} for name, value in zip(names, values, strict=True)]
    at = 1 + ("9007199254740993" in str(values[1]))
    for part, lines in (("columns", columns), ("boxes", boxes)):
        said = refused(folder(tmp_path / part, names, lines))
        assert f"metadata.jsonl:{at} has a whole number beyond 2**53 in 'n', and other values have fractions" in said
        assert said.endswith("write it as a text.")


def test_large_numbers_alone_are_kept(tmp_path: Path) -> None:
    lines = [{"file_name": "a.jpg", "n": 2**62 + 1}, {"file_name": "b.jpg", "n": 1}]
    assert [s["n"] for s in samples_of(folder(tmp_path, ("a.jpg", "b.jpg"), lines))] == [2**62 + 1, 1]
