"""What is written is read as it was; what a dialect cannot hold is refused before a line is written."""

from __future__ import annotations

import ast
import io
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.formats.metadata_cases import attributes, folder, image, opened, street_objects
from tests.generated import examples

from annobridge.core import geometry
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import Classification, Detection, Ellipse, Keypoint, Label, Message, Polyline, Scalar
from annobridge.exceptions import InvalidMedia, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.folder import FolderFormat
from annobridge.formats.metadata.options import Writing
from annobridge.io.export_dataset import export_dataset
from annobridge.io.import_dataset import import_dataset
from annobridge.testing import strategies

GOLDEN = Path(__file__).parents[1] / "golden" / "metadata"
SIZE = (8, 6)
DIALECTS = ("file_name", "opsml", "opsml2", "pixano", "pixano-0.8")


def part(
    root: Path, fields: dict[str, list[list[Label]]], columns: dict[str, list[Any]] | None = None, count: int = 2
) -> Part:
    """Samples with images of their own, and the labels of each, field by field."""
    ids = [f"s{n}" for n in range(count)]
    paths = [image(root / "media" / f"{n}.png", SIZE) for n in range(count)]
    base = {
        "sample_id": ids,
        "filepath": list(map(str, paths)),
        "width": [SIZE[0]] * count,
        "height": [SIZE[1]] * count,
    }
    samples = pa.table({n: pa.array(v, SAMPLES.field(n).type) for n, v in base.items()} | (columns or {}))
    rows = [
        {"label_id": f"{field}-{n}-{k}", "rev": 1, **label.row(), "sample_id": ids[n], "field": field}
        for field, parts in fields.items()
        for n, labels in enumerate(parts)
        for k, label in enumerate(labels)
    ]
    return Part(samples, pa.Table.from_pylist(rows, LABELS))


def written(root: Path, parts: Sequence[Part], dialect: str, **options: Any) -> Path:
    out = root / f"out-{dialect}"
    out.mkdir()
    FolderFormat().write(iter(parts), out, Writing(dialect=dialect, **options))
    return out


def state(parts: Iterator[Part], ids: bool) -> tuple[Any, Any]:
    """Samples and labels, in forms that can be compared: without places, and without ids where a dialect has none."""
    samples, labels = {}, []
    for p in parts:
        names = {}
        for row in p.samples.to_pylist():
            name = names[row["sample_id"]] = row["sample_id"] if ids else Path(row["filepath"]).stem.rjust(2, "s")
            samples[name] = {k: v for k, v in row.items() if k not in ("sample_id", "filepath") and v is not None}
        for row in p.labels.to_pylist():
            kept = {
                k: row.get(k) for k in ("field", "kind", "label", "value", "confidence", "index", "visibility", "tags")
            }
            kept["tags"] = kept["tags"] or None
            kept["id"] = row.get("label_id") if ids and row["kind"] not in ("message", "classification") else None
            kept["attributes"] = json.dumps(attributes(row), sort_keys=True)
            numbers = [row.get("bounding_box"), row.get("points")]
            kept["mask"] = row.get("mask") and str(geometry.decode_rle(row["mask"]).tolist())
            labels.append((names[row["sample_id"]], json.dumps(kept, sort_keys=True), numbers))
    return samples, sorted(labels, key=lambda entry: (entry[0], entry[1], str(np.round(_flat(entry[2]), 9))))


def _flat(numbers: Any) -> list[float]:
    return [0.0 if v is None else v for v in _leaves(numbers)]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def assert_same(before: Sequence[Part], out: Path, dialect: str, **options: Any) -> None:
    ids = not dialect.startswith("opsml")
    coordinates = None if dialect.startswith("pixano") else "pixels"  # boxes may be smaller than a pixel here
    source = opened(out, dialect=dialect, coordinates=coordinates, **options)
    told = state(iter(before), ids), state(source.parts(), ids)
    (samples, labels), (new_samples, new_labels) = told
    assert {k: {n: v for n, v in row.items() if n != "split"} for k, row in new_samples.items()} == samples
    assert [x[:2] for x in new_labels] == [x[:2] for x in labels]
    for old, new in zip(labels, new_labels, strict=True):
        # Pixels and back cost a bit; what is written relative comes back to the bit.
        exact = dialect.startswith("pixano")
        compare = (
            np.array_equal
            if exact
            else lambda a, b, equal_nan: np.allclose(a, b, rtol=0, atol=1e-15, equal_nan=equal_nan)
        )
        assert compare(_flat(old[2]), _flat(new[2]), equal_nan=True)


typed = st.fixed_dictionaries(
    {},
    optional={
        "occluded": st.booleans(),
        "colour": strategies.texts,
        "score": st.floats(-1e6, 1e6),
        "n": st.integers(-(2**53), 2**53),
    },
)
whole = st.fixed_dictionaries(
    {
        "occluded": st.booleans(),
        "colour": strategies.texts,
        "score": st.floats(-1e6, 1e6),
        "n": st.integers(-(2**53), 2**53),
    }
)


@st.composite
def detections(draw: Any, attrs: st.SearchStrategy[Any], sure: bool = True) -> Label:
    extra = {"confidence": draw(st.none() | strategies.share)} if sure else {}
    return Detection(
        draw(st.sampled_from(strategies.CLASSES)), draw(strategies.boxes()), attributes=draw(attrs), **extra
    )


def two(labels: st.SearchStrategy[Label]) -> st.SearchStrategy[list[list[Label]]]:
    return st.lists(st.lists(labels, max_size=4), min_size=2, max_size=2)


@pytest.mark.parametrize("dialect", DIALECTS)
@examples(12)
@given(data=st.data())
def test_boxes_come_back(dialect: str, data: st.DataObject) -> None:
    attrs = {"pixano": whole, "opsml": st.just({}), "opsml2": st.just({})}.get(dialect, typed)
    fields = {"objects": data.draw(two(detections(attrs, not dialect.startswith("opsml"))))}
    if dialect in ("file_name", "pixano"):
        fields["faces"] = data.draw(two(detections(attrs)))
    if data.draw(st.booleans()):
        classes = st.lists(st.sampled_from(strategies.CLASSES), max_size=3, unique=True)
        fields["categories"] = [[Classification(c) for c in data.draw(classes)] for _ in range(2)]
    columns = {"caption": [data.draw(strategies.texts) for _ in range(2)]}
    if not dialect.startswith("opsml"):
        columns |= {
            "speed": [data.draw(st.floats(-1e6, 1e6)) for _ in range(2)],
            "lanes": [["l"], ["l", "r"]],
            "wet": [True, False],
        }
    with tempfile.TemporaryDirectory() as folder_name:
        root = Path(folder_name)
        before = [part(root, fields, columns)]
        assert_same(before, written(root, before, dialect), dialect)


@pytest.mark.parametrize("dialect", ["pixano", "pixano-0.8"])
@examples(12)
@given(data=st.data())
def test_shapes_come_back(dialect: str, data: st.DataObject) -> None:
    drawn = {
        "mask": st.builds(
            lambda m, c: Detection(c, mask=m), strategies.masks(SIZE), st.sampled_from(strategies.CLASSES)
        ),
        "boxed": st.builds(lambda m, b: Detection("x", b, mask=m), strategies.masks(SIZE), strategies.boxes()),
        "keypoints": st.builds(lambda p: Keypoint("x", p), strategies.joints()),
        "polygon": st.builds(
            lambda p, c: Polyline("x", [p], filled=True, confidence=c),
            strategies.points(3),
            st.none() | strategies.share,
        ),
        "polyline": st.builds(lambda p: Polyline("x", [p]), strategies.points(2)),
        "box": detections(st.just({})),
    }
    if dialect == "pixano":
        kind = data.draw(st.sampled_from(("mask", "boxed", "keypoints")))
        fields = {"objects": data.draw(two(drawn[kind]))}
    else:
        fields = {"objects": data.draw(two(st.one_of(*drawn.values())))}
    with tempfile.TemporaryDirectory() as folder_name:
        root = Path(folder_name)
        before = [part(root, fields)]
        assert_same(before, written(root, before, dialect), dialect)


def talk() -> list[Label]:
    choices = ["a cat", "a dog"]
    return [
        Message("question", "What color?", 0, question_type="OPEN"),
        Message("answer", "red", 0, user="u"),
        Message("question", "Which?", 1, question_type="MULTI_CHOICE", choices=choices, user="v"),
        Message("answer", "a cat, a dog: both", 1, user="u"),
        Message("answer", "a dog", 1),
        Message("question", "Again?", 0, conversation="1", question_type="OPEN"),
    ]


@pytest.mark.parametrize("dialect", ["pixano", "pixano-0.8"])
def test_conversations_come_back(tmp_path: Path, dialect: str) -> None:
    before = [part(tmp_path, {"conversations": [talk(), []]})]
    out = written(tmp_path, before, dialect)
    assert_same(before, out, dialect)
    if dialect == "pixano":
        line = json.loads((out / "default/metadata.jsonl").read_text().splitlines()[0])
        assert line["conversations"][0][1]["responses"][0] == {
            "content": "a cat, a dog",
            "explanation": "both",
            "user": "u",
        }
        assert "DefaultVQADatasetItem" in (out / "schema.py").read_text()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_lines_are_those_of_the_files_here(tmp_path: Path, dialect: str) -> None:
    extra = {} if dialect.startswith("opsml") else {"confidence": 0.5, "occluded": True}
    boxes = [[Detection("car", [0.125, 0.25, 0.5, 0.5], **extra)], []]
    fields = {"objects": boxes, "categories": [[Classification("night"), Classification("rain")], []]}
    if dialect.startswith("pixano"):
        fields["conversations"] = [[], talk()]
    out = written(
        tmp_path, [part(tmp_path, fields, {"caption": ["Fußgänger", "x"], "split": ["train", "val"]})], dialect
    )
    names = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file() and p.suffix != ".png")
    golden = GOLDEN / dialect
    size = f'"size": {(out / "train/0.png").stat().st_size}'  # of a file that Pillow wrote
    for name in names:
        text = (out / name).read_text().replace(size, '"size": 0')
        if os.environ.get("ANNOBRIDGE_TEST_GOLDEN"):  # writes them anew
            (golden / name).parent.mkdir(parents=True, exist_ok=True)
            (golden / name).write_text(text)
        assert text == (golden / name).read_text()
    assert names == sorted(p.relative_to(golden) for p in golden.rglob("*") if p.is_file())


def test_street_objects_there_and_back(tmp_path: Path) -> None:
    first = import_dataset(street_objects(tmp_path / "in"), tmp_path / "ds", format="folder", progress=False)
    for dialect in DIALECTS:
        export_dataset(first.dataset, tmp_path / dialect, "folder", progress=False, dialect=dialect)
        again = import_dataset(tmp_path / dialect, tmp_path / f"ds-{dialect}", format="folder", progress=False)
        assert (again.samples, again.labels) == (5, {"objects": 3})
        found = {(r["label"], *np.round(r["bounding_box"], 12)) for r in again.dataset.labels().to_pylist()}
        assert found == {(r["label"], *r["bounding_box"]) for r in first.dataset.labels().to_pylist()}
        splits = [r["split"] for r in again.dataset.samples().to_pylist()]
        assert sorted(splits) == ["train"] * 3 + ["val"] * 2


def test_the_schema_of_the_quickstart(tmp_path: Path) -> None:
    labels = [[Detection("car", [0, 0, 0.5, 0.5], hidden=True, note="x", parts=["a"])], []]
    columns = {"place": ["Paris", "Rome"], "speed": [1.5, 2], "lanes": [[1], [2]], "wet": [True, False]}
    out = written(tmp_path, [part(tmp_path, {"objects": labels}, columns)], "pixano")
    tree = ast.parse((out / "schema.py").read_text())
    classes = {c.name: [ast.unparse(x) for x in c.body] for c in tree.body if isinstance(c, ast.ClassDef)}
    assert classes == {
        "ObjectsEntity": [
            "category: str = ''",
            "label_id: str = ''",
            "hidden: bool = False",
            "note: str = ''",
            "parts: list[str] = []",
        ],
        "ExportedItem": [
            "objects: list[ObjectsEntity]",
            "sample_id: str = ''",
            "place: str = ''",
            "speed: float = 0.0",
            "lanes: list[int] = []",
            "wet: bool = False",
        ],
    }


def test_pixano_has_no_null_and_it_is_told(tmp_path: Path) -> None:
    labels = [[Detection("car", [0, 0, 0.5, 0.5], note="x"), Detection("car", [0, 0, 0.5, 0.5])], []]
    out = tmp_path / "out"
    out.mkdir()
    before = [part(tmp_path, {"objects": labels}, {"place": ["Paris", None]})]
    notes = FolderFormat().write(iter(before), out, Writing(dialect="pixano"))
    assert notes == [
        "Pixano has no null; 1 of 'note' were written as empty values.",
        "Pixano has no null; 1 of 'place' were written as empty values.",
    ]


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    one, other = image(tmp_path / "x/a.png", SIZE), image(tmp_path / "y/A.png", SIZE)
    samples = pa.table({"sample_id": ["1", "2"], "filepath": [str(one), str(other)]})
    out = written(tmp_path, [Part(samples, LABELS.empty_table())], "file_name")
    assert sorted(p.name for p in out.iterdir()) == ["A-2.png", "a.png", "metadata.jsonl"]


@pytest.mark.parametrize(("media", "links"), [("copy", 1), ("link", 2)])
def test_images_are_copied_or_linked(tmp_path: Path, media: str, links: int) -> None:
    out = written(tmp_path, [part(tmp_path, {})], "file_name", media=media)
    assert (out / "0.png").stat().st_nlink == links


def test_images_may_be_left_out(tmp_path: Path) -> None:
    out = written(tmp_path, [part(tmp_path, {})], "file_name", media="none")
    assert [p.name for p in out.iterdir()] == ["metadata.jsonl"]


CAR = Detection("car", [0, 0, 0.5, 0.5])


def test_a_missing_image_is_told(tmp_path: Path) -> None:
    before = part(tmp_path, {})
    (tmp_path / "media/1.png").unlink()
    with pytest.raises(InvalidMedia, match=r"1.png' of sample 's1' does not exist; put it there"):
        written(tmp_path, [before], "file_name")


class Bytes:
    """Media that are no files, as those of an attached table; some cannot be opened."""

    def __init__(self, content: bytes | Exception) -> None:
        self._content = content

    def path(self, sample_id: str) -> Path | None:
        return None

    def open(self, sample_id: str) -> BinaryIO:
        if isinstance(self._content, Exception):
            raise self._content
        return io.BytesIO(self._content)


def elsewhere(root: Path, content: bytes | Exception, place: str = "s0.png") -> Part:
    """A part with boxes of which the media are given by ``Bytes``, and the size is not known."""
    made = part(root, {"objects": [[CAR]]}, count=1)
    samples = made.samples.set_column(1, "filepath", pa.array([place])).drop(["width", "height"])
    return Part(samples, made.labels, Bytes(content))


@pytest.mark.parametrize("media", ["copy", "link"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_media_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str, media: str) -> None:
    monkeypatch.chdir(image(tmp_path / "here/s0.png", (3, 3)).parent)  # not the one that is meant
    content = image(tmp_path / "there.png", SIZE).read_bytes()
    out = written(tmp_path, [elsewhere(tmp_path, content)], dialect, media=media)
    (found,) = out.rglob("s0.png")
    assert found.read_bytes() == content
    (read,) = opened(out, dialect=dialect).parts()
    assert read.labels["bounding_box"].to_pylist() == [[0, 0, 0.5, 0.5]]


ADDRESS = "https://me:secret@host/deep/s0.png?signature=secret"


@pytest.mark.parametrize("media", ["copy", "none"])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FileNotFoundError(), "of sample 's0' does not exist"),
        (OSError("the server does not answer"), "the server does not answer"),
        (ValueError(f"Cannot parse {ADDRESS}"), "ValueError"),
    ],
)
def test_media_that_cannot_be_opened(tmp_path: Path, error: Exception, sentence: str, media: str) -> None:
    with pytest.raises(InvalidMedia) as caught:
        written(tmp_path, [elsewhere(tmp_path, error, ADDRESS)], "file_name", media=media)
    said = str(caught.value)
    assert "The image 'https://host/deep/s0.png' of sample 's0'" in said
    assert "secret" not in said
    if media == "copy":  # otherwise it is opened for its size only
        assert sentence in said


def test_names_of_addresses_are_without_their_query(tmp_path: Path) -> None:
    content = image(tmp_path / "there.png", SIZE).read_bytes()
    out = written(tmp_path, [elsewhere(tmp_path, content, ADDRESS)], "file_name")
    assert {p.name for p in out.iterdir()} == {"s0.png", "metadata.jsonl"}


def test_the_size_of_a_missing_image_is_told(tmp_path: Path) -> None:
    before = part(tmp_path, {})
    (tmp_path / "media/1.png").unlink()
    with pytest.raises(InvalidMedia, match=r"1.png' cannot be found \(No such file or directory\); put it there, or"):
        written(tmp_path, [before], "opsml2", media="none")


def test_an_image_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    before = part(tmp_path, {})
    (tmp_path / "media/1.png").unlink()
    (tmp_path / "media/1.png").mkdir()
    with pytest.raises(
        InvalidMedia, match=r"1.png' of sample 's1' cannot be opened \(Is a directory\); mend it, or leave"
    ):
        written(tmp_path, [before], "file_name")


def test_large_numbers_among_fractions_are_not_written(tmp_path: Path) -> None:
    labels = [[Detection("car", [0, 0, 0.5, 0.5], n=v) for v in (1.5, 2**53 + 1)], []]
    with pytest.raises(Unsupported, match="attribute 'n' has the whole number 9007199254740993, and other values have"):
        written(tmp_path, [part(tmp_path, {"objects": labels})], "file_name")


RICH = Detection("car", [0, 0, 0.5, 0.5], occluded=True)
MASK = Detection("car", mask=np.ones(SIZE[::-1], bool))


@pytest.mark.parametrize(
    ("dialect", "fields", "columns", "sentence"),
    [
        (
            "file_name",
            {"objects": [MASK]},
            {},
            "cannot hold masks (field 'objects'); use 'pixano-0.8' or format='fiftyone'",
        ),
        (
            "pixano",
            {"objects": [Ellipse("x", [0, 0, 0.5, 0.5])]},
            {},
            "cannot hold labels of the kind 'ellipse' (field 'objects'); use",
        ),
        ("file_name", {"objects": [Scalar(3)]}, {}, "cannot hold labels of the kind 'scalar'"),
        (
            "file_name",
            {"weather": [Classification("wet")]},
            {},
            "(classes of whole images are held in the field 'categories')",
        ),
        (
            "file_name",
            {"categories": [Classification("wet", confidence=0.5)]},
            {},
            "cannot hold classes with a confidence or attributes",
        ),
        (
            "file_name",
            {"conversations": [Message("question", "?")]},
            {},
            "cannot hold messages (field 'conversations')",
        ),
        ("file_name", {"objects": [Detection("x", [0, 0, 0.5, 0.5], rotation=10.0)]}, {}, "cannot hold rotated boxes"),
        ("pixano", {"objects": [Detection("x", [0, 0, 0.5, 0.5], rotation=1e-3)]}, {}, "or set their rotation to 0"),
        (
            "file_name",
            {"objects": [Detection("x", [0, 0, 0.5, 0.5], v=1), Detection("x", [0, 0, 0.5, 0.5], v="a")]},
            {},
            "several types (int, str)",
        ),
        (
            "file_name",
            {"objects": [Detection("x", [0, 0, 0.5, 0.5], bbox=1)]},
            {},
            "cannot hold an attribute 'bbox', a key of its own",
        ),
        (
            "file_name",
            {"objects": [CAR]},
            {"objects": ["x"]},
            "have a column 'objects', which is a key of the dialect 'file_name'; rename",
        ),
        (
            "opsml",
            {"objects": [RICH]},
            {},
            "cannot hold what boxes have besides a class (occluded) (field 'objects'); use 'file_name'",
        ),
        (
            "opsml",
            {"objects": [CAR], "faces": [CAR]},
            {},
            "cannot hold more than one field of boxes (field 'faces'); use 'file_name'",
        ),
        (
            "opsml2",
            {"objects": [Label("box", {"bounding_box": [0, 0, 0.5, 0.5]})]},
            {},
            "cannot hold boxes without a class",
        ),
        (
            "pixano",
            {"objects": [CAR, MASK]},
            {},
            "cannot hold box and mask in one field (field 'objects'); use 'pixano-0.8', or a field",
        ),
        ("pixano", {"messages": [CAR]}, {}, "cannot hold a field of that name, which Pixano keeps itself"),
        (
            "pixano",
            {"talk": [Message("question", "?")]},
            {},
            "cannot hold messages in another field (field 'talk'); keep them in",
        ),
        (
            "pixano",
            {"conversations": [Message("system", "x")]},
            {},
            "the message 'x' is a system of its own; use 'pixano-0.8'",
        ),
        ("pixano", {"objects": [CAR]}, {"largeur é-": ["x"]}, "The name 'largeur é-' cannot be one in Pixano"),
        (
            "pixano",
            {"objects": [CAR]},
            {"table_info": ["x"]},
            "have a column 'table_info', which Pixano keeps itself; rename it.",
        ),
        (
            "pixano",
            {"objects": [Detection("x", [0, 0, 0.5, 0.5], v=[1, "a"])]},
            {},
            "Pixano holds lists of texts only, and 'v' is [1, ",
        ),
        (
            "pixano-0.8",
            {"objects": [CAR], "faces": [CAR]},
            {},
            "cannot hold more than one field of shapes (field 'faces'); leave it",
        ),
        (
            "pixano-0.8",
            {"objects": [Polyline("x", [[[0, 0], [1, 1]]], closed=True)]},
            {},
            "has no closed line that is not a polygon",
        ),
        (
            "pixano-0.8",
            {"objects": [Detection("x", [0, 0, 0.5, 0.5], label_id="a/b")]},
            {},
            "cannot address the id 'a/b', which has a '/'",
        ),
        (
            "file_name",
            {"objects": [CAR]},
            {"split": ["a/b"]},
            "The split 'a/b' cannot be the name of a folder; rename it.",
        ),
        (
            "file_name",
            {"objects": [CAR]},
            {"media_type": ["video"]},
            "metadata.jsonl is about images, and the view has videos",
        ),
    ],
)
def test_what_cannot_be_held(tmp_path: Path, dialect: str, fields: Any, columns: Any, sentence: str) -> None:
    before = part(tmp_path, {name: [labels] for name, labels in fields.items()}, columns, count=1)
    with pytest.raises(Unsupported) as caught:
        written(tmp_path, [before], dialect)
    assert sentence in str(caught.value)


def test_a_field_of_another_name_is_written_as_objects(tmp_path: Path) -> None:
    before = [part(tmp_path, {"cars": [[CAR], []]})]
    for dialect in ("opsml", "pixano-0.8"):
        out = written(tmp_path, before, dialect, field="cars")
        (found,) = opened(out).parts() if dialect == "opsml" else opened(out, field="cars").parts()
        assert found.labels["field"].to_pylist() == (["objects"] if dialect == "opsml" else ["cars"])


def test_boxes_below_a_pixel_are_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    tiny = [[Detection("x", [0, 0, 0.125, 0.125])], []]
    notes = FolderFormat().write(iter([part(tmp_path, {"objects": tiny})]), out, Writing())
    assert notes == ["No box reaches beyond the first pixel of its image, so an import asks for coordinates='pixels'."]


def test_columns_that_no_line_holds_are_told(tmp_path: Path) -> None:
    before = part(tmp_path, {}, {"raw": [b"x", b"y"], "speed": [float("nan"), 1.0]})
    out = tmp_path / "out"
    out.mkdir()
    notes = FolderFormat().write(iter([before]), out, Writing())
    assert notes == ["The column 'raw' is binary, which no line holds; it was left out."]
    assert json.loads((out / "metadata.jsonl").read_text().splitlines()[0])["speed"] is None
    assert folder(out)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("rotation", [0.0, -0.0, 360.0, -720.0])
def test_a_box_that_is_not_turned_is_upright_whatever_number_says_so(
    tmp_path: Path, dialect: str, rotation: float
) -> None:
    plain, told = Detection("x", [0, 0, 0.5, 0.5]), Detection("x", [0, 0, 0.5, 0.5], rotation=rotation)
    for name, label in (("plain", plain), ("told", told)):
        written(tmp_path / name, [part(tmp_path / name, {"objects": [[label], []]})], dialect)
    lines = [next((tmp_path / name).rglob("out-*/**/metadata.jsonl")).read_text() for name in ("plain", "told")]
    assert lines[0] == lines[1]
