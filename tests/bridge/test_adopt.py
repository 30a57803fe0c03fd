"""Tasks that were made in the tool become a run: media matched or created, labels paired, nothing changed there."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, BinaryIO

import lance
import pyarrow as pa
import pytest
from PIL import Image

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.core.labels import FOUND_MEDIA, REMOTE
from annobridge.store.baseline import Baseline
from annobridge.store.runs import Runs

CAR = [0.1, 0.1, 0.3, 1 / 3]  # as the labels of the fixture have it
FIELD = {"objects": {"type": "detections", "classes": ["car", "person"], "attributes": {}}}


class Files:
    """The files of the tool, by the name of the media."""

    def __init__(self, red: int = 0) -> None:
        self.red = red

    def open(self, name: str) -> BinaryIO:
        file = BytesIO()
        Image.new("RGB", (64, 48), (self.red, 90, 10)).save(file, "PNG")
        file.seek(0)
        del name
        return file


def make_task(bridge: Any, key: str, labels: dict[str, list[tuple[str, str, list[float]]]]) -> None:
    """A task that somebody made by hand: name of the medium → (remote id, class, box) of its labels."""
    rows = [
        {"sample_id": name, "kind": "box", "label": label, "bounding_box": box, "remote_id": remote, "attributes": []}
        for name, found in labels.items() for remote, label, box in found
    ]  # fmt: skip
    server = bridge.server
    server.labels[key] = pa.Table.from_pylist(rows, REMOTE)
    server.samples[key] = pa.array(list(labels))
    media = [{"name": name, "media_type": "image", "width": 64, "height": 48} for name in labels]
    spec = {"objects": {"type": "detections", "classes": sorted({row["label"] for row in rows})}}
    server.found[key] = ab.FoundTask(key, f"by hand: {key}", pa.Table.from_pylist(media, FOUND_MEDIA), spec)
    server.media[key] = Files()  # type: ignore[assignment]


@pytest.fixture
def by_hand(bridge: Any) -> Any:
    """A task of three images, of which one is not in the dataset, with a label that is here, an edited one, and new ones."""
    make_task(
        bridge, "hand",
        {
            "cam/img0.jpg": [("a", "car", CAR), ("b", "person", [0.2, 0.7, 0.1, 0.1])],
            "cam/img1.jpg": [("c", "person", CAR)],
            "cam/else.jpg": [("d", "car", CAR)],
        },
    )  # fmt: skip
    return bridge


def adopt(bridge: Any, tasks: Any = "hand", **options: Any) -> Any:
    return bridge.ds.adopt_annotation("r", backend="memory", tasks=tasks, url=bridge.url, **options)


def test_the_report_says_what_matched_and_what_did_not(by_hand: Any) -> None:
    adoption = adopt(by_hand, label_schema=FIELD)
    assert (adoption.matched, adoption.created, adoption.paired) == (2, 0, 2)
    assert adoption.unmatched.select(["task", "name"]).to_pylist() == [
        {"task": "by hand: hand", "name": "cam/else.jpg"}
    ]
    assert (adoption.only_there, adoption.only_here) == (1, 2)
    assert "2 are samples here, 0 were created, 1 have no sample" in repr(adoption)
    assert adoption.to_dict()["unmatched"] == [{"task": "by hand: hand", "name": "cam/else.jpg"}]
    assert adoption.results.status()["tasks"]


def test_the_plan_shows_what_is_different_there(by_hand: Any) -> None:
    before = by_hand.hands.rows()
    adopt(by_hand, label_schema=FIELD)
    plan = by_hand.plan()
    assert (plan.added, plan.edited, plan.deleted) == (1, 1, 0)  # b; c is car1 with another class
    by_hand.load()
    assert by_hand.label("car1")["label"] == "person"
    assert by_hand.label("car1")["confidence"] == 0.9
    by_hand.again_is_nothing()
    assert by_hand.hands.rows() == before


def test_deletions_after_the_adoption_come_back(by_hand: Any) -> None:
    adopt(by_hand, label_schema=FIELD)
    by_hand.load()
    by_hand.hands.delete("a")
    assert by_hand.load().deleted == 1
    assert "car0" not in by_hand.labels()


def test_labels_that_are_only_here_are_pushed(by_hand: Any) -> None:
    adopt(by_hand, label_schema=FIELD)
    by_hand.load()
    report = by_hand.ds.push_annotations("r", url=by_hand.url)
    assert report.added == 2  # the persons of the first two images
    assert by_hand.hands.of("man0")["sample_id"] == "cam/img0.jpg"
    by_hand.again_is_nothing()


def test_media_that_are_not_here_are_downloaded(by_hand: Any) -> None:
    adoption = adopt(by_hand, label_schema=FIELD, create=True)
    assert (adoption.matched, adoption.created, adoption.unmatched.num_rows) == (2, 1, 0)
    (row,) = by_hand.ds.exclude([f"s{n}" for n in range(4)]).samples().to_pylist()
    assert Path(row["filepath"]).is_relative_to(by_hand.path)
    with Image.open(row["filepath"]) as image:
        assert image.size == (row["width"], row["height"]) == (64, 48)
    assert by_hand.load().added == 2


def test_an_adoption_that_stopped_is_done_again(by_hand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Baseline, "add", fail)
        with pytest.raises(KeyboardInterrupt):
            adopt(by_hand, label_schema=FIELD, create=True)
    for verb in (by_hand.load, by_hand.plan, lambda: by_hand.ds.resume_annotation("r", url=by_hand.url)):
        with pytest.raises(ab.RunIncomplete, match="The adoption of the run 'r' stopped half-way"):
            verb()
    adoption = adopt(by_hand, label_schema=FIELD, create=True)
    assert (adoption.matched, adoption.created) == (3, 0)
    assert len(by_hand.ds) == 5
    assert by_hand.load().added == 2


def test_adopted_tasks_are_never_removed(by_hand: Any) -> None:
    results = adopt(by_hand, label_schema=FIELD).results
    for removing in (results.cleanup, lambda: by_hand.load(cleanup=True)):
        with pytest.raises(ab.InvalidOption, match="were adopted, and not made by annobridge"):
            removing()
    by_hand.ds.extend_annotation("r", ["s3"], url=by_hand.url)
    assert len(by_hand.server.labels) == 2
    by_hand.load(cleanup=True)
    assert list(by_hand.server.labels) == ["hand"]
    by_hand.ds.abort_annotation("r", url=by_hand.url)
    assert (list(by_hand.server.labels), by_hand.ds.list_annotation_runs()) == (["hand"], [])


def test_the_schema_of_several_tasks_has_the_classes_of_all(by_hand: Any) -> None:
    make_task(by_hand, "other", {"img2.jpg": [("e", "tree", [0.1, 0.1, 0.1, 0.1])]})
    results = adopt(by_hand, ["hand", "other"]).results
    assert list(results.run.schema.fields["objects"].classes) == ["car", "person", "tree"]
    assert len(results.receipts()) == 2


def test_images_are_matched_by_path_or_a_function(bridge: Any, tmp_path: Path) -> None:
    bridge.ds.add_samples(
        [ab.Sample(tmp_path / "a" / "x.jpg", sample_id="a"), ab.Sample(tmp_path / "b" / "x.jpg", sample_id="b")]
    )
    make_task(bridge, "hand", {"b/x.jpg": [("e", "car", CAR)]})
    before = bridge.state()
    with pytest.raises(ab.StoreError, match="'b/x.jpg' is a or b.*Match by match='path'"):
        adopt(bridge)
    assert bridge.state() == before
    adopt(bridge, match="path")
    assert bridge.ds.load_annotation_view("r").sample_ids() == ["b"]
    bridge.ds.delete_annotation_run("r")
    adopt(bridge, match=lambda row: "a" if row["name"] == "b/x.jpg" else None)
    assert bridge.ds.load_annotation_view("r").sample_ids() == ["a"]


def test_two_images_are_not_one_sample(bridge: Any) -> None:
    make_task(bridge, "hand", {"a/img0.jpg": [("e", "car", CAR)], "b/img0.jpg": []})
    before = bridge.state()
    with pytest.raises(
        ab.StoreError, match="Two images of the tasks are the sample 's0': 'a/img0.jpg' and 'b/img0.jpg'"
    ):
        adopt(bridge)
    assert bridge.state() == before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tasks": ()}, ab.InvalidOption, "Say what to adopt: give tasks=[…]"),
        ({"tasks": ["hand", "hand"]}, ab.InvalidOption, "The task hand is given twice"),
        ({"tasks": "nothing"}, ab.Rejected, "no task 'nothing'"),
        ({"tasks": None}, ab.InvalidOption, "tasks= is None; give the ids or names of tasks"),
        ({"tasks": [None]}, ab.InvalidOption, "tasks= has None; give the id or the name of each task"),
        (
            {"match": lambda _: 5},
            ab.InvalidOption,
            "match= returned 5 for the image 'cam/img0.jpg'; let it return the id",
        ),
        ({"match": lambda _: b"s0"}, ab.InvalidOption, "match= returned b's0' for the image 'cam/img0.jpg'"),
        (
            {"match": lambda row: row["no"]},
            ab.InvalidOption,
            "match= failed for the image 'cam/img0.jpg' with KeyError: 'no'",
        ),
        ({"match": "size"}, ab.InvalidOption, "match='size' is not known"),
        ({"match": lambda _: "nowhere"}, ab.SampleNotFound, "no sample 'nowhere'"),
        ({"match": lambda _: None}, ab.StoreError, "None of the 3 images of the task 'by hand: hand' is a sample"),
        ({"media_field": "nothing"}, ab.InvalidOption, "no column 'nothing' (media_field)"),
        ({"label_schema": {"objects": {"type": "boxes"}}}, ab.InvalidSchema, "boxes"),
    ],
)
def test_what_cannot_be_adopted_is_refused(by_hand: Any, options: Any, error: type[Exception], message: str) -> None:
    before = by_hand.state()
    with pytest.raises(error, match=re.escape(message)):
        adopt(by_hand, **options)
    assert by_hand.state() == before


def test_a_key_and_a_task_are_taken_once(by_hand: Any) -> None:
    adopt(by_hand)
    before = by_hand.state()
    with pytest.raises(ab.RunExists, match="'r' is in use"):
        adopt(by_hand)
    with pytest.raises(ab.RunError, match="The run 'r' holds the task hand already"):
        by_hand.ds.adopt_annotation("again", backend="memory", tasks="hand", url=by_hand.url)
    assert by_hand.state() == before


def test_a_schema_that_the_tool_refuses_creates_no_samples(by_hand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> dict[str, Any]:
        raise ab.InvalidSchema("", ["The task has no label 'truck'; it has car."])

    monkeypatch.setattr(MemoryBackend, "adopt", refuse)
    before = by_hand.state()
    with pytest.raises(ab.InvalidSchema, match="no label 'truck'"):
        adopt(by_hand, create=True)
    assert by_hand.state() == before


def test_a_tool_whose_tasks_cannot_be_adopted_names_the_alternative(
    by_hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryBackend, "capabilities", replace(MemoryBackend.capabilities, adopt=False))
    with pytest.raises(ab.Unsupported, match="import the file with import_dataset"):
        adopt(by_hand)


@pytest.mark.parametrize("stops", [False, True])
def test_two_adoptions_at_once_never_both_hold_a_task(
    by_hand: Any, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    """The other adoption happens after this one has looked for runs that hold the task; perhaps it stops half-way."""
    reserve = Runs.reserve

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    def late(self: Runs, run: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(Runs, "reserve", reserve)
            if stops:
                patch.setattr(Baseline, "add", fail)
            with suppress(KeyboardInterrupt):
                by_hand.ds.adopt_annotation("other", backend="memory", tasks="hand", url=by_hand.url)
        return reserve(self, run)

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "reserve", late)
        with pytest.raises(ab.RunError, match="The run 'other' holds the task hand already"):
            adopt(by_hand)
    assert by_hand.ds.list_annotation_runs() == ["other"]
    for table in ("annotation_tasks", "annotation_receipts"):
        assert by_hand.ds.stores.database.count(table) == 1
    by_hand.ds.delete_annotation_run("other")
    adopt(by_hand)


@pytest.fixture
def namesakes(bridge: Any) -> Any:
    """Two tasks with an image of the same name, and other bytes."""
    for key, red in (("h1", 1), ("h2", 2)):
        make_task(bridge, key, {"x.jpg": [(f"{key}-a", "car", CAR)]})
        bridge.server.media[key] = Files(red)
    return bridge


@pytest.mark.parametrize("match", ["name", "path", lambda _: None])
def test_samples_that_were_created_are_found_again(namesakes: Any, monkeypatch: pytest.MonkeyPatch, match: Any) -> None:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "reserve", fail)
        with pytest.raises(KeyboardInterrupt):
            adopt(namesakes, ["h1", "h2"], create=True, match=match)
    assert len(namesakes.ds) == 6
    adoption = adopt(namesakes, ["h1", "h2"], create=True, match=match)
    assert (adoption.matched, adoption.created, len(namesakes.ds)) == (2, 0, 6)
    assert namesakes.load().added == 2
    namesakes.ds.delete_annotation_run("r")
    assert adopt(namesakes, ["h1", "h2"]).matched == 2


def test_one_file_in_two_tasks_is_refused_before_samples_are_added(namesakes: Any) -> None:
    namesakes.server.media["h2"] = namesakes.server.media["h1"]
    before = namesakes.state()
    for _ in range(2):
        with pytest.raises(ab.StoreError, match="Two images of the tasks are one file, 'x.jpg'.*runs of their own"):
            adopt(namesakes, ["h1", "h2"], create=True)
        assert namesakes.state() == before
    adopt(namesakes, "h1", create=True)
    other = namesakes.ds.adopt_annotation("q", backend="memory", tasks="h2", url=namesakes.url, create=True)
    assert (other.matched, other.created, len(namesakes.ds)) == (1, 0, 5)


def test_a_file_that_is_a_sample_already_is_this_sample(namesakes: Any) -> None:
    adopt(namesakes, "h1", create=True)
    namesakes.server.media["h2"] = namesakes.server.media["h1"]
    other = namesakes.ds.adopt_annotation(
        "q", backend="memory", tasks="h2", url=namesakes.url, create=True, match=lambda _: None
    )
    assert (other.matched, other.created, len(namesakes.ds)) == (1, 0, 5)


def test_a_file_that_is_no_image_is_not_added(namesakes: Any) -> None:
    class Page:
        def open(self, _: str) -> BinaryIO:
            return BytesIO(b"<html>Sign in</html>")

    namesakes.server.media["h2"] = Page()
    before = namesakes.state()
    with pytest.raises(
        ab.InvalidMedia, match="as the image 'x.jpg' of the task 'by hand: h2' is not an image.*no sample was added"
    ):
        adopt(namesakes, ["h1", "h2"], create=True)
    assert namesakes.state() == before
    assert len(list((namesakes.path / "media").iterdir())) == 1  # that of h1, which a repetition uses


def test_an_attached_dataset_takes_no_new_samples(by_hand: Any, tmp_path: Path) -> None:
    file = Files().open("").read()
    rows = pa.table({"id": ["img0"], "image": pa.array([file], pa.large_binary())})
    lance.write_dataset(rows, tmp_path / "db" / "images.lance", data_storage_version="2.1")
    ds = ab.attach(tmp_path / "db")
    with pytest.raises(ab.StoreError, match="never changes.*Leave out create=True"):
        ds.adopt_annotation("r", backend="memory", tasks="hand", url=by_hand.url, create=True)
    assert not (tmp_path / "db" / "media").exists()
    assert ds.list_annotation_runs() == []


@pytest.mark.parametrize("create", [False, True])
def test_an_error_of_the_tool_says_how_to_go_on(by_hand: Any, monkeypatch: pytest.MonkeyPatch, create: bool) -> None:
    def fail(*_: Any) -> None:
        raise ab.Unreachable("The tool does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "download", fail)
        with pytest.raises(ab.Unreachable, match="answer. Nothing was adopted; adopt again under the key 'r'") as error:
            adopt(by_hand, create=create)
        assert ("1 samples were added, and a repetition uses them" in str(error.value)) is create
    assert by_hand.ds.list_annotation_runs() == []
    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "read_media", fail)
        if not create:
            before = by_hand.state()
            with pytest.raises(ab.Unreachable, match="answer. Nothing was adopted; adopt again under the key 'r'.$"):
                adopt(by_hand, create=True)
            assert by_hand.state() == before
    assert adopt(by_hand, create=True).created == (not create)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"objects": 5}, "has 5 as the field 'objects' instead of a mapping"),
        ({5: {"type": "detections"}}, "has the field 5, whose name is not a text"),
        ({"objects": {}}, "has the field 'objects' without a type"),
        ({"objects": {"type": "detections", "classes": 5}}, "has 5 as the classes of the field 'objects'"),
        ({"objects": {"type": "detections", "classes": "car"}}, "has 'car' as the classes of the field 'objects'"),
        ({"objects": {"type": "detections", "attributes": 5}}, "has 5 as the attributes of the field 'objects'"),
    ],
)
def test_a_backend_whose_schema_has_another_form_is_broken(by_hand: Any, schema: Any, message: str) -> None:
    by_hand.server.found["hand"] = replace(by_hand.server.found["hand"], label_schema=schema)
    before = by_hand.state()
    with pytest.raises(
        ab.Broken, match=f"a FoundTask whose label_schema {message}.*mistake in the backend. Nothing was"
    ):
        adopt(by_hand)
    assert by_hand.state() == before


@pytest.mark.parametrize("returned", ["nothing", None, StringIO("text")])
def test_a_backend_that_reads_no_stream_is_broken(by_hand: Any, monkeypatch: pytest.MonkeyPatch, returned: Any) -> None:
    monkeypatch.setattr(MemoryBackend, "read_media", lambda *_: returned)
    before = by_hand.state()
    with pytest.raises(ab.Broken, match="returned from read_media of the task 'hand' .* instead of a binary stream"):
        adopt(by_hand, create=True)
    assert by_hand.state() == before
