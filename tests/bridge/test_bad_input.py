"""Bad input: a clear error that names the thing and the cure, nothing sent, nothing written."""

from __future__ import annotations

import io
import json
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import annobridge as ab
from annobridge.backend.base import Capabilities
from annobridge.backend.memory import MemoryBackend

NAN, INF = float("nan"), float("inf")


class MediaConfig(ab.AnnotationBackendConfig):
    """Settings of a tool that reads the files."""

    url: str = "memory://media"


class MediaBackend(MemoryBackend):
    """As the memory backend, but it is sent the files."""

    name: ClassVar[str] = "media"
    Config = MediaConfig
    capabilities: ClassVar[Capabilities] = Capabilities(
        label_types=frozenset({"detections", "classification"}),
        attribute_types=frozenset({"text", "select"}),
        values_required=frozenset({"select"}),
        largest_task=3,
    )
    received: ClassVar[dict[str, dict[str, bytes]]] = {}

    @property
    def server(self) -> Any:
        from annobridge.backend.memory import SERVERS

        return SERVERS[self.config.url]  # type: ignore[attr-defined]

    def upload(self, task: ab.Task) -> ab.Receipt:
        for sample_id in task.samples["sample_id"].to_pylist():
            with task.media.open(sample_id) as stream:
                self.received.setdefault(self.config.url, {})[sample_id] = stream.read()  # type: ignore[attr-defined]
        return super().upload(task)


@pytest.fixture(autouse=True)
def media_backend(monkeypatch):
    monkeypatch.setenv("ANNOBRIDGE_MEDIA_CONFIG_CLS", f"{__name__}.MediaConfig")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this())


def _this() -> Any:
    import types

    module = types.ModuleType(__name__)
    vars(module).update(globals())
    return module


def refused(bridge: Any, error: type[Exception], words: str | list[str], call: Any) -> Exception:
    """The call is refused in these words; nothing is sent, and no table changes."""
    before = bridge.state()
    with pytest.raises(error) as caught:
        call()
    for word in [words] if isinstance(words, str) else words:
        assert word in str(caught.value), str(caught.value)
    assert bridge.state() == before
    return caught.value


# What is asked for


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"backend": "memry"}, ab.UnknownBackend, ["no backend 'memry'", "did you mean 'memory'?"]),
        ({"tsk_size": 2}, ab.InvalidOption, ["no option 'tsk_size'", "did you mean 'task_size'?"]),
        ({"task_size": 0}, ab.InvalidOption, ["task_size", "argument"]),
        ({"media_field": "filpath"}, ab.SchemaError, ["no column 'filpath' (media_field)", "filepath"]),
        ({"schema": "objcts"}, ab.InvalidSchema, ["objcts: the dataset has no such field", "objects"]),
        ({"schema": {"new": {"type": "detections"}}}, ab.InvalidSchema, ["new.classes: is missing", "give a list"]),
        ({"schema": {"new": {"type": "detection5", "classes": ["a"]}}}, ab.InvalidSchema, ["mean 'detections'?"]),
        ({"schema": {"objects": {"type": "polygons"}}}, ab.InvalidSchema, ["holds detections", "another field name"]),
        ({"schema": {"objects": {"classes": ["car", "car"]}}}, ab.InvalidSchema, ["names 'car' more than once"]),
        ({"schema": {"objects": {"classes": "car"}}}, ab.InvalidSchema, ["objects.classes: is 'car'; give a list"]),
        ({"schema": {"objects": {"clases": ["car"]}}}, ab.InvalidSchema, ["did you mean 'classes'?"]),
        ({"schema": {"objects": {"attributes": {"a": {"type": "slider"}}}}}, ab.InvalidSchema,
         ["objects.attributes.a.type", "'slider' is not an attribute type", "select"]),
        ({"schema": {"objects": {"attributes": {"a": {"type": "select"}}}}}, ab.InvalidSchema, ["needs its choices"]),
        ({"schema": {"objects": {"allow_additions": "no"}}}, ab.InvalidSchema, ["is 'no'; give True or False"]),
        ({"schema": {}}, ab.InvalidSchema, ["names no field; give at least one"]),
        ({"schema": {"bad name": {"type": "detections", "classes": ["a"]}}}, ab.InvalidSchema, ["is not a field name"]),
        ({"key": "round 1"}, ab.InvalidSchema, ["'round 1' is not a name; use letters, digits and _"]),
        ({"key": ""}, ab.InvalidSchema, ["'' is not a name"]),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_is_refused(bridge, options, error, words):
    refused(bridge, error, words, lambda: bridge.annotate(**options))


def test_a_schema_with_five_mistakes_lists_all_five(bridge):
    schema = {
        "objects": {"type": "detektion", "attributes": {"a": {"type": "slider"}, "b": {"type": "radio"}}},
        "new": {"type": "polylines"},
        "2nd": {"type": "classification", "classes": ["x"]},
    }
    error = refused(bridge, ab.InvalidSchema, "5 mistakes", lambda: bridge.annotate(schema=schema))
    assert len(error.problems) == 5  # type: ignore[attr-defined]
    for path in ("objects.type", "objects.attributes.a.type", "objects.attributes.b.values", "new.classes", "2nd"):
        assert any(p.startswith(path) for p in error.problems), path  # type: ignore[attr-defined]


def test_neither_schema_nor_field(bridge):
    refused(
        bridge, ab.InvalidSchema, "give label_schema, or label_field", lambda: bridge.ds.annotate("r", backend="memory")
    )


def test_what_the_tool_cannot_represent_is_refused_all_at_once_with_the_alternatives(bridge):
    schema = {
        "lanes": {"type": "polylines"},
        "objects": {"attributes": {"n": {"type": "int"}, "s": {"type": "select", "values": ["x"]}}},
    }
    error = refused(bridge, ab.Unsupported, ["lanes: media cannot label polylines; it can: classification, detections",
                                             "objects.attributes.n: media has no attribute of type int"],
                    lambda: bridge.annotate(schema=schema, backend="media"))  # fmt: skip
    assert len(error.problems) == 2  # type: ignore[attr-defined]


def test_an_anno_key_in_use(sent):
    refused(sent, ab.RunExists, ["'r' is in use", "choose another"], lambda: sent.annotate())


@pytest.mark.parametrize(
    "view", [lambda ds: ds.limit(0), lambda ds: ds.match("number > 99"), lambda ds: ds.match_tags("none")]
)
def test_an_empty_view(bridge, view):
    refused(bridge, ab.StoreError, ["The view is empty", "widen"], lambda: bridge.annotate(view=view(bridge.ds)))


def test_an_empty_dataset(empty):
    refused(
        empty,
        ab.AnnobridgeError,
        "empty",
        lambda: empty.annotate(schema={"a": {"type": "detections", "classes": ["x"]}}),
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda ds: ds.load_annotations("r", typo=1),
        lambda ds: ds.plan_annotations("r", typo=1),
        lambda ds: ds.resume_annotation("r", typo=1),
        lambda ds: ds.abort_annotation("r", typo=1),
    ],
)
def test_an_unknown_option_of_a_load(sent, call):
    refused(sent, ab.InvalidOption, "no option 'typo' (argument)", lambda: call(sent.ds))


def test_bad_sql_in_a_view_is_a_sentence(bridge):
    refused(bridge, ab.StoreError, ["numbr", "cannot be run on samples", "number"],
            lambda: bridge.annotate(view=bridge.ds.match("numbr > 1")))  # fmt: skip


# Files


def image(path: Path, size: tuple[int, int] = (32, 24)) -> Path:
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)).save(path)
    return path


@pytest.fixture
def pictures(empty, tmp_path):
    """Makes samples of files, each with one box and no size."""

    def make(*paths: Any) -> Any:
        empty.ds.add_samples(
            ab.Sample(p, sample_id=f"s{n}", objects=[ab.Detection("car", [0, 0, 0.5, 0.5])])
            for n, p in enumerate(paths)
        )
        return empty

    return make


def bad_png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 10, 10)).save(stream, "PNG")
    return stream.getvalue()


BAD = {
    "missing": (None, "does not exist"),
    "zero bytes": (b"", "is empty (0 bytes)"),
    "not an image": (b"<html>not here</html>", "is not an image"),
    "truncated jpeg": ("jpeg", "cannot be read"),
    "truncated png": ("png", "cannot be read"),
    "a folder": ("folder", "cannot be read"),
    "of a scheme that nobody knows": ("nfs4://host/a.jpg", "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_d12_a_file_that_cannot_be_sent(pictures, tmp_path, case):
    content, words = BAD[case]
    good, bad = image(tmp_path / "good.jpg"), tmp_path / "bad.jpg"
    if content == "jpeg":
        data = image(bad, (300, 200)).read_bytes()
        bad.write_bytes(data[: len(data) // 2])
    elif content == "png":
        data = image(tmp_path / "x.png", (300, 200)).read_bytes()
        bad.write_bytes(data[: len(data) // 2])
    elif content == "folder":
        bad.mkdir()
    elif isinstance(content, bytes):
        bad.write_bytes(content)
    path = content if isinstance(content, str) and "://" in content else bad
    bridge = pictures(good, path, good)
    call = lambda: bridge.annotate(schema="objects", backend="media")  # noqa: E731
    refused(bridge, ab.InvalidMedia, [str(path), "'s1'", words, "Mend or replace the file"], call)
    assert bridge.url not in MediaBackend.received
    bridge.annotate(schema="objects", backend="media", view=bridge.ds.exclude("s1"))  # the cure
    assert set(MediaBackend.received[bridge.url]) == {"s0", "s2"}


def test_a_sample_without_a_file(empty):
    empty.ds.add_samples(pa.table({"sample_id": ["s0"], "number": [1]}))
    refused(empty, ab.InvalidMedia, ["'s0'", "filepath"], lambda: empty.annotate(
        schema={"a": {"type": "detections", "classes": ["x"]}}, backend="media"))  # fmt: skip


def test_all_bad_files_are_listed(pictures, tmp_path):
    good = image(tmp_path / "good.jpg")
    bridge = pictures(good, *(tmp_path / f"no{n}.jpg" for n in range(25)))
    refused(bridge, ab.InvalidMedia, ["25 files cannot be used", "no0.jpg", "no19.jpg", "and 5 more"],
            lambda: bridge.annotate(schema="objects", backend="media"))  # fmt: skip


def test_sizes_are_learnt_from_good_files_and_other_columns_stay(pictures, tmp_path):
    bridge = pictures(image(tmp_path / "a.jpg", (32, 24)), image(tmp_path / "b.png", (10, 20)))
    before = bridge.ds.samples().to_pylist()
    bridge.annotate(schema="objects", backend="media")
    after = bridge.ds.samples().to_pylist()
    assert sorted((r["sample_id"], r["width"], r["height"]) for r in after) == [("s0", 32, 24), ("s1", 10, 20)]
    assert [r["filepath"] for r in sorted(after, key=lambda r: r["sample_id"])] == [r["filepath"] for r in before]


@pytest.mark.parametrize("whole", [True, False])
def test_a_picture_too_large_to_decode_is_sent_if_it_is_whole_and_refused_otherwise(pictures, tmp_path, whole):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"") * whole
    )
    bridge = pictures(bomb)
    if whole:
        bridge.annotate(schema="objects", backend="media")
        assert {"s0": bomb.read_bytes()} in MediaBackend.received.values()
    else:
        words = ["bomb.png", "it has 3,600,000,000 pixels, and no more than", "ANNOBRIDGE_MAX_IMAGE_PIXELS=3600000000"]
        refused(bridge, ab.InvalidMedia, words, lambda: bridge.annotate(schema="objects", backend="media"))


NAMES = [
    "a b.jpg",
    "100%.jpg",
    "%20.jpg",
    "🚗.jpg",
    "x" * 251 + ".jpg",
    "é#?&.jpg",
    "-rf.jpg",
    "a'b\".jpg",
    "tab\t.jpg",
]


def test_names_of_every_sort_go_and_come_back_to_their_own_image(pictures, tmp_path):
    bridge = pictures(*(image(tmp_path / n, (8 + i, 8)) for i, n in enumerate(NAMES)))
    bridge.annotate(schema="objects", backend="media")
    received = MediaBackend.received[bridge.url]
    for n, name in enumerate(NAMES):
        assert received[f"s{n}"] == (tmp_path / name).read_bytes()
    for n in range(len(NAMES)):
        row = next(r for r in bridge.hands.rows() if r["sample_id"] == f"s{n}")
        bridge.hands.set(row["remote_id"], index=n)
    assert bridge.load().edited == len(NAMES)
    assert {r["sample_id"]: r["index"] for r in bridge.labels().values()} == {f"s{n}": n for n in range(len(NAMES))}


def test_names_of_every_sort_in_a_folder(empty, tmp_path):
    folder = tmp_path / "a folder é"
    (folder / "deep er").mkdir(parents=True)
    for name in NAMES:
        image(folder / "deep er" / name)
    assert ab.import_dataset(folder, empty.ds.uri, mode="add").samples == len(NAMES)


def test_two_files_of_one_name_are_two_images(pictures, tmp_path):
    for n in range(2):
        (tmp_path / f"d{n}").mkdir()
    bridge = pictures(*(image(tmp_path / f"d{n}" / "same.jpg", (8 + n, 8)) for n in range(2)))
    bridge.annotate(schema="objects", backend="media")
    received = MediaBackend.received[bridge.url]
    assert all(received[f"s{n}"] == (tmp_path / f"d{n}" / "same.jpg").read_bytes() for n in range(2))


def test_one_file_twice_is_two_samples(pictures, tmp_path):
    path = image(tmp_path / "a.jpg")
    bridge = pictures(path, path)
    bridge.annotate(schema="objects", backend="media")
    bridge.again_is_nothing()


def test_a_folder_with_a_bad_image_adds_nothing(empty, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    image(folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"")

    def read(source: Path) -> Callable[[], object]:
        return lambda: ab.import_dataset(source, empty.ds.uri, mode="add")

    refused(empty, ab.InvalidSource, ["b.jpg", "replace them"], read(folder))
    refused(empty, ab.StoreError, ["There is no folder", "correct the path"], read(tmp_path / "no"))
    (tmp_path / "bare").mkdir()
    refused(empty, ab.StoreError, "no image", read(tmp_path / "bare"))


# Values of labels

BOXES = {
    "nan": ([NAN, 0, 0.5, 0.5], "which is not all numbers"),
    "infinite": ([0, 0, INF, 0.5], "which is not all numbers"),
    "negative size": ([0.5, 0.5, -0.1, 0.1], "which has no area"),
    "zero area": ([0.5, 0.5, 0.0, 0.1], "which has no area"),
    "out to the right": ([0.9, 0.1, 0.2, 0.1], "which is not inside the image; clip it, or pass invalid='clip'"),
    "negative corner": ([-0.1, 0.1, 0.2, 0.1], "which is not inside the image"),
    "in pixels": ([10, 20, 300, 200], "which is not inside the image"),
    "huge": ([0, 0, 1e308, 1e308], "which is not inside the image"),
}


@pytest.mark.parametrize("case", BOXES)
def test_a_box_that_means_nothing_is_refused_everywhere(bridge, case):
    box, words = BOXES[case]
    label = ab.Detection("car", box, label_id="bad")
    refused(bridge, ab.InvalidLabels, ["'bad'", words], lambda: bridge.ds.add_labels("objects", {"s0": [label]}))
    rows = pa.table({"sample_id": ["s0", "s0"], "label": ["a", "b"],
                     "bounding_box": pa.array([[0.0, 0.0, 1.0, 1.0], box], pa.list_(pa.float64(), 4))})  # fmt: skip
    refused(bridge, ab.InvalidLabels, ["Row 1", words], lambda: bridge.ds.add_labels("objects", rows))
    sample = ab.Sample("n.jpg", objects=[label])
    refused(bridge, ab.InvalidLabels, ["'bad'", words], lambda: bridge.ds.add_samples([ab.Sample("ok.jpg"), sample]))
    change = [{"label_id": "man0", "bounding_box": [0, 0, 1, 1]}, {"label_id": "car0", "bounding_box": box}]
    refused(bridge, ab.InvalidLabels, ["'car0'", words], lambda: bridge.ds.set_labels(change))


def test_clip_cuts_to_the_image_and_drops_nothing_silently(bridge):
    assert bridge.ds.add_labels("clipped", {"s0": [ab.Detection("car", [0.75, -0.25, 0.5, 0.5])]}, invalid="clip") == 1
    (row,) = bridge.labels("clipped").values()
    assert row["bounding_box"] == [0.75, 0.0, 0.25, 0.25]
    outside = {"s0": [ab.Detection("car", [1.5, 1.5, 0.5, 0.5], label_id="out")]}
    refused(
        bridge, ab.InvalidLabels, ["'out'", "no area"], lambda: bridge.ds.add_labels("clipped", outside, invalid="clip")
    )
    refused(
        bridge, ab.SchemaError, "give 'refuse' or 'clip'", lambda: bridge.ds.add_labels("x", outside, invalid="cut")
    )


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([{"label": "car", "bounding_box": [0, 0, 1, 1]}], ab.InvalidLabels, "add a column sample_id"),
        ([{"sample_id": "s99", "label": "car"}], ab.SampleNotFound, "no sample 's99'"),
        ([{"sample_id": None, "label": "car"}], ab.AnnobridgeError, "sample"),
        ([{"sample_id": "s0", "lable": "car"}], ab.InvalidLabels, "did you mean 'label'?"),
        (
            [{"sample_id": "s0", "label_id": "car0", "label": "x"}],
            ab.InvalidLabels,
            "a label 'car0' already; set_labels",
        ),
        ([{"sample_id": "s0", "label_id": "n", "label": "x"}] * 2, ab.InvalidLabels, "an id of its own"),
        ([{"sample_id": "s0", "kind": "boxx", "label": "x"}], ab.InvalidLabels, "did you mean 'box'?"),
        ([{"sample_id": "s0", "kind": "box", "label": "x"}], ab.InvalidLabels, "without 'bounding_box'"),
        ([{"sample_id": "s0", "label": "x", "confidence": 1.5}], ab.InvalidLabels, "a number from 0 to 1"),
        ([{"sample_id": "s0", "label": "x", "confidence": "high"}], ab.InvalidLabels, "confidence"),
        ([{"sample_id": "s0", "label": "x", "bounding_box": [0, 0, 1]}], ab.InvalidLabels, "bounding_box"),
        ([{"sample_id": "s0", "points": [[[0, 0], [1, 1]]]}], ab.InvalidLabels, "give label_type"),
        ([{"sample_id": "s0", "kind": "scalar", "value": "fast"}], ab.InvalidLabels, "json.dumps"),
        ([{"sample_id": "s0", "bounding_box": ["a", 0, 1, 1]}], ab.InvalidLabels, ["bounding_box", "four numbers"]),
        (
            [{"sample_id": "s0", "attributes": {"a": {1}}}],
            ab.InvalidLabels,
            ["'attributes' should be a list of {'name'"],
        ),
        ([{"sample_id": "s0", "label": object()}], ab.InvalidLabels, ["'label' should be of the type string"]),
        (
            [{"sample_id": "s0", "label": "x", "index": 2**70}],
            ab.InvalidLabels,
            ["'index' should be of the type int32"],
        ),
        ([{"sample_id": "s0", 5: "x"}], ab.InvalidLabels, "5 is not a column of labels"),
        (["car"], ab.InvalidLabels, "'car' is not a label; give labels as Detection(…) makes them"),
        (5, ab.InvalidLabels, "5 is not a label"),
        ({"s0": "car"}, ab.InvalidLabels, "'car' is not a label"),
        ({"sample_id": ["s0", "s1"], "label": ["x"]}, ab.InvalidLabels, ["'label' is ['x']", "as long as that of"]),
        ({"sample_id": ["s0"], "label": 5}, ab.InvalidLabels, ["'label' is 5; give a list"]),
        ({"sample_id": "s0", "label": "x"}, ab.InvalidLabels, ["'sample_id' is 's0'; give a list"]),
    ],
)
def test_labels_that_cannot_be_stored(bridge, rows, error, words):
    refused(bridge, error, words, lambda: bridge.ds.add_labels("objects", rows))


def test_one_id_in_two_parts_of_a_stream_is_refused(bridge):
    part = pa.table({"sample_id": ["s0"], "label_id": ["twice"], "label": ["x"]})
    both = pa.Table.from_batches([*part.to_batches(), *part.to_batches()])
    assert both["label_id"].num_chunks == 2
    refused(bridge, ab.InvalidLabels, "'twice'", lambda: bridge.ds.add_labels("tags", both))


def test_samples_are_not_added_when_their_labels_cannot_be(bridge):
    sample = ab.Sample("n.jpg", objects=[ab.Detection("car", [0, 0, 1, 1], label_id="car0")])
    refused(bridge, ab.InvalidLabels, "a label 'car0' already", lambda: bridge.ds.add_samples([sample]))


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([ab.Sample("a.jpg", sample_id="s0")], "a sample 's0' already"),
        ([ab.Sample("a.jpg", sample_id="x"), ab.Sample("b.jpg", sample_id="x")], "one sample_id"),
        ([{"sample_id": "x"}], "filepath"),
        ([ab.Sample("a.jpg", number="four")], "number"),
        ([ab.Sample("a.jpg", owner=object())], "The column 'owner' of the samples cannot be stored"),
        ([5], "5 is not a sample; give Sample(…), or a dictionary of columns"),
        ([{"filepath": "a.jpg", 5: 1}], "is not a sample"),
        (5, "5 is not a list of samples; give [Sample(…), …]"),
        (ab.Sample("a.jpg"), "is not a list of samples"),
        (
            [{"filepath": "a.jpg", "tags": "train"}],
            "The tags of a sample are 'train'; give a list of texts, as ['train']",
        ),
        ([{"filepath": "a.jpg", "tags": 5}], "The tags of a sample are 5"),
    ],
)
def test_samples_that_cannot_be_added(bridge, samples, words):
    refused(bridge, ab.AnnobridgeError, words, lambda: bridge.ds.add_samples(samples))


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([{"label": "x"}], ab.InvalidLabels, "needs the label_id of every row"),
        ([{"label_id": "nobody", "label": "x"}], ab.InvalidLabels, "no label 'nobody'"),
        ([{"label_id": "car0", "label": "x"}] * 2, ab.InvalidLabels, "given twice"),
        ([{"label_id": "car0", "lable": "x"}], ab.InvalidLabels, "did you mean 'label'?"),
        ([{"label_id": "car0", "rev": 7, "label": "x"}], ab.StalePlan, "read the labels again"),
        ([{"label_id": "car0", "sample_id": "s99"}], ab.SampleNotFound, "no sample 's99'"),
        ([{"label_id": "car0", "kind": None}], ab.InvalidLabels, "kind"),
        ([{"label_id": "car0", "field": None}], ab.InvalidLabels, "field"),
        ([{"label_id": "car0", "bounding_box": None}], ab.InvalidLabels, "without 'bounding_box'"),
        (["car0"], ab.InvalidLabels, "'car0' is not a label"),
        (
            pa.table({"label_id": ["car0"], "confidence": ["high"]}),
            ab.InvalidLabels,
            "'confidence' should be of the type",
        ),
    ],
)
def test_changes_that_cannot_be_made(bridge, rows, error, words):
    refused(bridge, error, words, lambda: bridge.ds.set_labels(rows))


def test_set_labels_changes_of_each_row_only_what_it_says(bridge):
    before = bridge.labels()
    bridge.ds.set_labels([{"label_id": "car0", "label": "bus"}, {"label_id": "man0", "confidence": 0.125}])
    assert bridge.label("car0") == {**before["car0"], "label": "bus", "rev": 2}
    assert bridge.label("man0") == {**before["man0"], "confidence": 0.125, "rev": 2}


def test_set_labels_of_nothing_does_nothing(bridge):
    before = bridge.versions()
    assert bridge.ds.set_labels([]) == 0
    assert bridge.ds.add_labels("objects", []) == 0
    assert bridge.ds.add_samples([]) == []
    assert bridge.versions() == before


def test_delete_labels_needs_a_condition(bridge):
    refused(bridge, ab.SchemaError, "Say which labels to delete", lambda: bridge.ds.delete_labels())
    refused(
        bridge,
        ab.StoreError,
        ["The filter", "cannot be run on labels"],
        lambda: bridge.ds.delete_labels(where="lable = 1"),
    )
    before = bridge.versions()
    assert bridge.ds.delete_labels([]) == 0
    assert bridge.versions() == before


def test_a_bad_label_that_is_here_already_is_not_sent(bridge):
    import lance

    table = lance.dataset(str(bridge.path / "labels.lance"))
    table.update({"confidence": "9.0"}, where="label_id = 'car0'")  # a stranger's writer checks nothing
    refused(bridge, ab.InvalidLabels, ["'car0'", "confidence", "correct them in the dataset first"], bridge.annotate)


@pytest.mark.parametrize("case", ["nan", "negative size"])
def test_a_box_of_the_tool_that_means_nothing_is_not_stored_and_is_told(sent, case):
    before = sent.labels()
    sent.hands.set("car0", bounding_box=BOXES[case][0])
    sent.hands.add("s1", bounding_box=BOXES[case][0])
    sent.hands.set("man1", label="car")
    report = sent.load(unexpected="ignore")
    assert sent.label("man1")["label"] == "car"  # the rest goes on
    assert sent.label("car0") == before["car0"]
    assert not sent.new(before)
    told = [r for name in ("refused", "dropped", "unexpected") for r in getattr(report, name).to_pylist()]
    assert len({r["label_id"] for r in told}) == 2


# Places


def test_a_folder_that_is_not_ours_is_refused_and_left_alone(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    with pytest.raises(ab.DatasetNotFound, match=r"is not an annobridge dataset.*make one with create_dataset"):
        ab.load_dataset(tmp_path / "photos")
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["a.txt"]
    with pytest.raises(ab.DatasetNotFound, match=r"There is no folder.*create_dataset"):
        ab.load_dataset(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ab.DatasetNotFound, match=r"no folder"):
        ab.load_dataset(tmp_path / "photos" / "a.txt")


def test_somebody_elses_lancedb_is_refused_and_left_alone(tmp_path):
    import lancedb

    lancedb.connect(tmp_path / "db").create_table("things", data=[{"n": 1}])
    before = sorted(p.name for p in (tmp_path / "db").rglob("*"))
    with pytest.raises(ab.DatasetNotFound, match=r"it holds things; .*missing"):
        ab.load_dataset(tmp_path / "db")
    assert sorted(p.name for p in (tmp_path / "db").rglob("*")) == before


def test_a_dataset_beside_many_other_tables_opens(bridge):
    import lancedb

    db = lancedb.connect(bridge.path)
    for n in range(25):
        db.create_table(f"a{n}", data=[{"n": 1}])
    assert len(ab.load_dataset(bridge.path)) == 4


def test_a_dataset_is_not_made_over_another(bridge):
    before = bridge.versions()
    with pytest.raises(ab.DatasetExists, match="already; open it with load_dataset"):
        ab.create_dataset(bridge.path)
    assert bridge.versions() == before


def test_a_dataset_that_cannot_be_made_there(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ab.StoreError, match="file"):
        ab.create_dataset(tmp_path / "file" / "ds")


def test_a_dataset_is_not_made_among_somebodys_files(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"mine")
    with pytest.raises(ab.StoreError, match=r"photos' holds 'a.jpg', so no dataset is made in it; give a new folder"):
        ab.create_dataset(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["a.jpg", "deep"]


def test_a_dataset_is_made_beside_hidden_files_other_tables_and_what_a_killed_attempt_left(tmp_path):
    import lancedb

    (tmp_path / "db").mkdir()
    (tmp_path / "db" / ".DS_Store").touch()
    lancedb.connect(tmp_path / "db").create_table("things", data=[{"n": 1}])
    assert len(ab.create_dataset(tmp_path / "db")) == 0
    ab.create_dataset(tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "annotation_runs.lance")
    assert len(ab.create_dataset(tmp_path / "half")) == 0


def test_a_dataset_of_a_newer_format_is_refused(bridge):
    import lance

    table = lance.dataset(str(bridge.path / "labels.lance"))
    table.update_schema_metadata({"annobridge.format": "99"})
    with pytest.raises(ab.StoreError, match="has format 99, and this annobridge reads format 1"):
        ab.load_dataset(bridge.path)


# Nobody to ask


def test_no_terminal_where_a_choice_is_needed(sent, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    sent.hands.set("car0", label="tank")
    refused(sent, ab.UnexpectedLabels, ["no terminal to ask on", "'keep'", "'ignore'", "'return'"], sent.load)


def test_a_credential_that_nobody_gives(bridge, monkeypatch, tmp_path):
    from pydantic import SecretStr

    class LockedConfig(ab.AnnotationBackendConfig):
        url: str = "http://127.0.0.1:9"
        token: SecretStr
        credentials: ClassVar[tuple[str, ...]] = ("token",)

    class Locked(MemoryBackend):
        name: ClassVar[str] = "locked"
        Config = LockedConfig

    import types

    module = types.ModuleType("locked_for_test")
    module.LockedConfig, module.Locked = LockedConfig, Locked  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "locked_for_test", module)
    monkeypatch.setenv("ANNOBRIDGE_LOCKED_CONFIG_CLS", "locked_for_test.LockedConfig")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    refused(
        bridge,
        ab.MissingCredential,
        ["locked", "token", "no terminal to ask on", "ANNOBRIDGE_LOCKED_TOKEN"],
        lambda: bridge.annotate(backend="locked"),
    )


def test_the_message_is_json_safe(bridge):
    error = refused(
        bridge, ab.InvalidLabels, "0.0", lambda: bridge.ds.add_labels("a", {"s0": [ab.Detection("x", [0, 0, 0, 0])]})
    )
    assert json.dumps({"error": str(error)})
