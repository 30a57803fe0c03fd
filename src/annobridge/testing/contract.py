"""The laws that every backend obeys, ours and yours. Inherit, say how a person edits in the tool, and run pytest:

    class TestMine(BackendContract):
        backend = MyBackend

        def tool(self, results):            # a person at your tool: edit, delete, add
            return MyHands(results)

A law that needs something which the backend does not declare in its ``Capabilities`` is skipped by name, so that what a
tool cannot do is seen. A tool may round: coordinates are compared as closely as ``precision`` says.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pytest
from pydantic import SecretStr

from ..backend.base import AnnotationBackend, Download, Receipt
from ..backend.guarded import Guarded
from ..core.compare import equal_rows
from ..core.labels import LABEL_TYPES, REMOTE
from ..core.schema import FLAGS
from ..dataset import Dataset, create_dataset
from ..exceptions import BackendError, EditorWarning, Gone, InvalidLabels, Unsupported
from ..outgoing import Outgoing
from ..results import AnnotationResults
from . import examples

Row = dict[str, Any]
SECRET = "s3cr3t-canary-7f1e"  # noqa: S105
MOVED = [0.25, 0.5, 0.125, 0.25]


class Tool(Protocol):
    """A person at the tool. Rows are as ``download`` returns them (``REMOTE``), ``remote_id`` included."""

    def edit(self, row: Row, **columns: Any) -> None:
        """Change a label: ``label``, ``bounding_box``, ``value`` or ``attributes`` (a dictionary of values)."""

    def delete(self, row: Row) -> None:
        """Delete a label."""

    def add(self, sample_id: str, **columns: Any) -> None:
        """Draw a new box: ``label``, ``bounding_box``."""


def same(a: pa.Table, b: pa.Table) -> bool:
    """Whether two tables are equal to the last bit, in order; NaN equals NaN."""
    return a.schema.equals(b.schema) and len(a) == len(b) and all(equal_rows(a[n], b[n]).all() for n in a.column_names)


class BackendContract:
    """Inherit from this; the name of the subclass begins with ``Test``."""

    backend: ClassVar[type[AnnotationBackend]]
    precision: ClassVar[float] = 2e-3  # of the image: how far the tool may move what it stores
    many: ClassVar[int] = 120  # labels in one task: more than a page of the tool's answers

    def options(self) -> Mapping[str, Any]:
        """Options for every ``annotate`` and load, as the address of a server."""
        return {}

    def tool(self, results: AnnotationResults) -> Tool:
        """A person at the tool, working on a run."""
        raise NotImplementedError

    def image(self, results: AnnotationResults, sample_id: str) -> bytes:
        """The file that the tool shows under a sample, where a test can look at it."""
        raise NotImplementedError

    # What the laws are made of

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def dataset(self, label_type: str, which: int = 0, name: str = "dataset") -> Dataset:
        """Six images with labels of a type, and with one of two values of every attribute type that is possible there."""
        found = create_dataset(self.folder / name)
        values = examples.attributes(self.attribute_types(label_type), which)
        found.add_samples(examples.samples(self.folder / "images", label_type, values))
        return found

    def attribute_types(self, label_type: str) -> frozenset[str]:
        """The attribute types that labels of a type may have."""
        can = self.backend.capabilities
        bears = can.attributed_types is None or label_type in can.attributed_types
        return can.attribute_types if bears and label_type != "messages" else frozenset()

    def require(self, label_type: str) -> None:
        """Skip what the backend does not declare."""
        if label_type not in self.backend.capabilities.label_types:
            pytest.skip(f"{self.backend.name} does not label {label_type}")

    def send(self, dataset: Dataset, label_type: str, **arguments: Any) -> AnnotationResults:
        """Annotate all of a dataset."""
        schema = examples.schema(label_type, self.attribute_types(label_type))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EditorWarning)  # a tool may say what its page lacks
            return dataset.annotate(
                "run", label_schema=schema, backend=self.backend.name, progress=False, **arguments, **self.options()
            )

    def load(self, dataset: Dataset, **arguments: Any) -> Any:
        """Load the run."""
        return dataset.load_annotations("run", progress=False, **arguments, **self.options())

    def rows(self, results: AnnotationResults) -> list[Row]:
        """What the tool has now, in the order of samples and boxes."""
        parts = [self.download(results, receipt).labels for receipt in results.receipts()]
        return sorted(pa.concat_tables(parts).to_pylist(), key=lambda r: (r["sample_id"], r["bounding_box"] or []))

    @staticmethod
    def download(results: AnnotationResults, receipt: Receipt) -> Download:
        """What the backend returns for a task, given its baseline as a load gives it."""
        return results.backend.download(results.with_baseline(receipt))

    def work(self, results: AnnotationResults) -> None:
        """A little of everything: one class changed, one box moved, one deleted, one drawn."""
        tool = self.tool(results)
        boxes = [row for row in self.rows(results) if row["kind"] == "box"]
        tool.edit(boxes[0], label="person")
        tool.edit(boxes[1], bounding_box=MOVED)
        tool.delete(boxes[2])
        tool.add("s0", label="car", bounding_box=[0.5, 0.25, 0.25, 0.125])

    def same_boxes(self, some: list[Row], others: list[Row]) -> bool:
        """Whether both hold the same boxes: sample, class and, as closely as the tool stores it, place."""
        rest = list(others)
        for row in some:
            found = examples.nearest(row, rest)
            if found is None or examples.distance(row, found) > self.precision:
                return False
            rest.remove(found)
        return not rest

    # The laws

    @pytest.mark.parametrize("label_type", examples.types())
    def test_untouched_labels_come_back_equal(self, label_type: str) -> None:
        """Upload, download, plan is empty; and a load writes nothing."""
        self.require(label_type)
        dataset = self.dataset(label_type, 0)
        before = dataset.labels().to_arrow()
        self.send(dataset, label_type)
        report = self.load(dataset)
        assert (report.changes, report.version) == (0, None), report.writes().to_pylist()
        assert (len(report.refused), len(report.conflicts), len(report.unexpected)) == (0, 0, 0)
        assert same(dataset.labels().to_arrow(), before)

    @pytest.mark.parametrize("label_type", examples.types())
    def test_the_baseline_is_what_is_downloaded(self, label_type: str) -> None:
        """Every label that was sent is in the baseline, with its id here and one of the tool's; nothing comes twice."""
        self.require(label_type)
        dataset = self.dataset(label_type, 1)
        results = self.send(dataset, label_type)
        for receipt in results.receipts():
            download = self.download(results, receipt)
            assert download.labels.schema.equals(REMOTE), "the labels of the download have not the columns of REMOTE"
            assert self.repeated_ids(download.labels.to_pylist()) == []
            assert sorted(download.samples.to_pylist()) == sorted(dataset.sample_ids()), "all samples are answered for"
        assert len(self.rows(results)) == dataset.count_labels(), "the tool has another number of labels than was sent"

    @pytest.mark.parametrize("name", sorted(examples.ATTRIBUTE_VALUES))
    def test_an_attribute_edited_in_the_tool_comes_back_as_its_type(self, name: str) -> None:
        """Text stays text: "007" does not become 7, nor does "true" become true."""
        self.require("detections")
        if name not in self.attribute_types("detections"):
            pytest.skip(f"{self.backend.name} has no attribute of type {name}")
        dataset = self.dataset("detections", 0)
        results = self.send(dataset, "detections")
        row = self.rows(results)[0]
        self.tool(results).edit(row, attributes={f"my_{name}": examples.ATTRIBUTE_VALUES[name][1]})
        report = self.load(dataset)
        assert (report.edited, report.changes) == (1, 1)
        assert report.writes()["components"].to_pylist() == [[f"attributes.my_{name}"]]
        where = f"label_id = '{report.writes()['label_id'][0].as_py()}'"
        expected = examples.samples(self.folder / "images", "detections", examples.attributes(frozenset({name}), 1))
        new = next(a for a in dataset.labels(where=where).to_pylist()[0]["attributes"] if a["name"] == f"my_{name}")
        assert new["value"] == expected[1].fields["field"][0].columns["attributes"][0]["value"]

    def test_loading_twice_is_loading_once(self) -> None:
        """The second load finds nothing and writes nothing."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        results = self.send(dataset, "detections")
        self.work(results)
        first = self.load(dataset)
        assert (first.added, first.edited, first.deleted) == (1, 2, 1)
        labels = dataset.labels().to_arrow()
        second = self.load(dataset)
        assert (second.changes, second.version) == (0, None)
        assert same(dataset.labels().to_arrow(), labels)

    def test_all_allowed_and_no_edits_here_gives_what_the_tool_has(self) -> None:
        """The dataset equals the tool, label by label."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        results = self.send(dataset, "detections")
        self.work(results)
        self.load(dataset)
        here, there = dataset.labels("field").to_pylist(), self.rows(results)
        assert self.same_boxes(here, there), f"the dataset has {here}, and the tool has {there}"

    def test_nothing_allowed_changes_nothing(self) -> None:
        """All five restrictions on: not a byte is written, and every change is listed as refused."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        before = dataset.labels().to_arrow()
        results = self.send(dataset, "detections", **dict.fromkeys(FLAGS, False))
        self.work(results)
        report = self.load(dataset)
        assert (report.changes, report.version, len(report.refused)) == (0, None, 4)
        assert same(dataset.labels().to_arrow(), before)

    def test_every_change_is_accepted_refused_or_in_conflict(self) -> None:
        """Nothing is dropped without a line."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        results = self.send(dataset, "detections", allow_additions=False)
        boxes = self.rows(results)
        self.work(results)
        mine = examples.nearest(boxes[0], dataset.labels("field").to_pylist())
        assert mine is not None, f"no label of the dataset is on the sample, and of the class, of {boxes[0]}"
        dataset.set_labels([{"label_id": mine["label_id"], "label": "traffic light"}])
        report = self.load(dataset, conflicts="ours")
        assert (report.edited, report.deleted, len(report.refused), len(report.conflicts)) == (1, 1, 1, 1)

    def test_the_size_of_tasks_does_not_matter(self) -> None:
        """One task or three: the same labels in the end."""
        self.require("detections")
        outcomes = []
        for size in (None, 2):
            dataset = self.dataset("detections", name=f"tasks-of-{size}")
            results = self.send(dataset, "detections", **({"task_size": size} if size else {}))
            self.work(results)
            self.load(dataset)
            outcomes.append(dataset.labels("field").to_pylist())
            dataset.abort_annotation("run", **self.options())
        assert self.same_boxes(*outcomes), f"in one task: {outcomes[0]}; in three: {outcomes[1]}"

    def test_new_labels_have_ids_of_their_own(self) -> None:
        """The same box drawn twice on the first image of each of three tasks: six labels, and the next load adds none."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        results = self.send(dataset, "detections", task_size=2)
        tool = self.tool(results)
        for sample_id in ("s0", "s2", "s4"):
            tool.add(sample_id, label="car", bounding_box=MOVED)
            tool.add(sample_id, label="person", bounding_box=MOVED)
        assert self.repeated_ids(self.rows(results)) == []
        report = self.load(dataset)
        ids = dataset.labels("field").to_arrow()["label_id"].to_pylist()
        assert (report.added, report.changes) == (6, 6), f"six labels were drawn, and the load did {report}"
        assert len(set(ids)) == len(ids), "two labels have one id"
        assert self.load(dataset).changes == 0, "a load that follows at once changes something"

    def test_more_labels_than_a_page_come_back(self) -> None:
        """Answers in pages are read to the end, and no page twice."""
        self.require("detections")
        dataset = create_dataset(self.folder / "dataset")
        dataset.add_samples(examples.crowded(self.folder / "images", self.many))
        results = self.send(dataset, "detections")
        rows = self.rows(results)
        assert (len(rows), self.repeated_ids(rows)) == (self.many, [])
        assert self.load(dataset).changes == 0, "nobody did anything, and the load changes something"

    def test_turned_boxes_stay_turned(self) -> None:
        """A backend whose tool has upright boxes only says so in ``check_task``, before anything is sent."""
        self.require("detections")
        dataset = create_dataset(self.folder / "dataset")
        dataset.add_samples(examples.turned(self.folder / "images"))
        try:
            results = self.send(dataset, "detections")
        except (InvalidLabels, Unsupported) as e:
            pytest.skip(f"{self.backend.name} refuses turned boxes before it sends: {e.problems[0]}")
        sent, found = dataset.labels("field").to_pylist(), self.rows(results)
        for row in sent:
            there = examples.nearest(row, found)
            off = abs((row["rotation"] or 0) - (there["rotation"] or 0) + 180) % 360 - 180 if there else None
            assert off is not None, f"{row} is not in the tool"
            assert abs(off) <= 360 * self.precision, f"{row} came back as {there}"
        assert self.load(dataset).changes == 0, "nobody did anything, and the load changes something"

    def test_every_image_is_shown_under_its_sample(self) -> None:
        """Labels are drawn on what is shown, so an image under another sample makes them wrong."""
        if type(self).image is BackendContract.image:
            pytest.skip("the test cannot look at the tool's images: it has no method `image`")
        results = self.send_any()
        shown = [self.image(results, f"s{number}") for number in range(len(examples.NAMES))]
        assert [examples.number_of(image) for image in shown] == [*range(len(shown))], "images are under other samples"

    def test_sending_again_under_the_same_name_makes_no_second_task(self) -> None:
        """An answer that was lost is not a task that was not made."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        results = self.send(dataset, "detections")
        stores, run = dataset._stores, results.run
        rows = stores.runs.tasks(run)
        todo = [(rows["task"][0].as_py(), rows["sample_ids"][0].values)]
        with Outgoing(stores, run, todo, {}) as outgoing:
            again = Guarded(results.backend).upload(outgoing.task(0))
        assert json.loads(json.dumps(dict(again.state))) == results.receipts()[0].state
        assert self.load(dataset).changes == 0

    def test_a_run_that_lost_an_answer_is_resumed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second task arrives, its answer does not: resume sends nothing twice, and the run is whole."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        real, calls = self.backend.upload, []

        def cut(backend: AnnotationBackend, task: Any) -> Receipt:
            receipt = real(backend, task)
            calls.append(task.name)
            if len(calls) == 2:
                raise BackendError("the answer was lost")
            return receipt

        monkeypatch.setattr(self.backend, "upload", cut)
        with pytest.raises(BackendError, match="lost"):
            self.send(dataset, "detections", task_size=2)
        monkeypatch.setattr(self.backend, "upload", real)
        results = dataset.resume_annotation("run", progress=False, **self.options())
        assert results.status()["state"] == "sent"
        assert len(self.rows(results)) == dataset.count_labels()
        assert self.load(dataset).changes == 0

    def test_deleting_twice_is_quiet_and_then_the_task_is_gone(self) -> None:
        """Clean-up can be repeated; a load after it is an error that touches nothing."""
        self.require("detections")
        dataset = self.dataset("detections", 0)
        before = dataset.labels().to_arrow()
        results = self.send(dataset, "detections")
        results.cleanup()
        results.cleanup()
        with pytest.raises(Gone):
            self.load(dataset)
        assert same(dataset.labels().to_arrow(), before)

    def test_labels_of_a_strange_type_never_enter_a_field(self) -> None:
        """A box drawn in a run of polylines is unexpected, and is returned."""
        self.require("polylines")
        dataset = self.dataset("polylines", 0)
        results = self.send(dataset, "polylines")
        self.tool(results).add("s0", label="car", bounding_box=MOVED)
        report = self.load(dataset, unexpected="return")
        assert report.changes == 0
        assert report.unexpected["kind"].to_pylist() == ["box"]
        assert LABEL_TYPES["polylines"] in dataset.labels("field").to_arrow()["kind"].to_pylist()

    def test_no_secret_is_kept_or_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """Not in the run, what the backend keeps of its tasks included; not in a repr, not in the log."""
        names = self.backend.Config.credentials
        if not names:
            pytest.skip(f"{self.backend.name} has no credentials")
        config = self.backend.Config(**{**self.options(), names[0]: SECRET})
        assert SECRET not in repr(config) + repr(config.stored()) + repr(self.backend(config))
        with caplog.at_level(logging.DEBUG):
            self.backend(config).close()
            results = self.send_any()
            results.status()
        used = (getattr(results.backend.config, name, None) for name in names)
        secrets = {SECRET, *(value.get_secret_value() for value in used if isinstance(value, SecretStr))}
        texts = {
            "the state of a receipt": repr([receipt.state for receipt in results.receipts()]),
            "the run": repr(results.to_dict()),
            "a repr": repr(results) + repr(results.backend) + repr(results.backend.config),
            "the log": caplog.text,
        }
        for place, text in texts.items():
            assert not [s for s in secrets if s in text], f"a secret is in {place}"

    def send_any(self) -> AnnotationResults:
        """Annotate labels of the first type that the backend has."""
        label_type = next(t for t in examples.types() if t in self.backend.capabilities.label_types)
        return self.send(self.dataset(label_type, 0), label_type)

    @staticmethod
    def repeated_ids(rows: list[Row]) -> list[tuple[str, str]]:
        """Remote ids that several labels of one sample have."""
        counts = Counter((row["sample_id"], row["remote_id"]) for row in rows)
        return [key for key, n in counts.items() if n > 1]
