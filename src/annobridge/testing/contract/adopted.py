"""Laws about adoption: tasks that are in the tool become a run of another dataset, and the work on them comes back."""

from __future__ import annotations

from typing import Any

import pytest

from ...bridge.adoption import Adoption
from ...bridge.results import AnnotationResults
from ...dataset import Dataset, create_dataset
from ...exceptions import BackendError, Gone, RunError
from .. import examples
from .base import Laws


class AdoptedLaws(Laws):
    """The tasks are made by one dataset, and adopted by another one of the same files."""

    def test_labels_that_both_sides_have_are_paired(self) -> None:
        """Adopting a task of the same labels finds each of them, and then there is nothing to load or to push."""
        other, _, keys, label_type = self._in_tool()
        adoption = self._adopt(other, keys, label_type)
        labels = other.count_labels()
        assert adoption.matched == 4, self.expected("return its four images by name", repr(adoption))
        assert (adoption.paired, adoption.only_there, adoption.only_here) == (labels, 0, 0), self.expected(
            f"return the {labels} labels that the dataset has", repr(adoption)
        )
        self.require_load(self._load(other), "a task of the same labels was adopted, and nobody did anything")

    def test_labels_of_the_tool_come_into_a_dataset_without_any(self) -> None:
        """Every label of an adopted task is added by the first load, and the second finds nothing."""
        other, results, keys, label_type = self._in_tool(with_labels=False)
        self._adopt(other, keys, label_type)
        count = len(self.rows(results))
        self.require_load(self._load(other), "a task with labels was adopted by a dataset without any", added=count)
        self.require_same(other.labels("field").to_pylist(), self.rows(results), "return all labels of an adopted task")
        self.require_load(self._load(other), "it follows another load at once")

    def test_the_work_on_an_adopted_task_comes_back(self) -> None:
        """What a person changes after the adoption is loaded."""
        other, results, keys, label_type = self._in_tool()
        self._adopt(other, keys, label_type)
        row = self.labels_in_tool(results, label_type)[0]
        self.tool(results).edit(row, **examples.change(label_type, 0))
        self.require_load(self._load(other), "a person changed a label of an adopted task", edited=1)

    def test_the_schema_can_be_inferred(self) -> None:
        """``find_tasks`` says which fields the labels of a task would fill, and a load with this schema takes all of them."""
        other, results, keys, _ = self._in_tool(with_labels=False)
        other.adopt_annotation("adopted", backend=self.backend.name, tasks=keys, progress=False, **self.options())
        count = len(self.rows(results))
        self.require_load(self._load(other, unexpected="keep"), "a task was adopted with its own schema", added=count)

    def test_images_that_are_not_here_are_created(self) -> None:
        """``create=True`` downloads the images of a task, and they are those of the tool."""
        _, results, keys, label_type = self._in_tool()
        empty = create_dataset(self.folder / "empty")
        adoption = self._adopt(empty, keys, label_type, create=True)
        assert (adoption.created, len(empty)) == (4, 4), self.expected("return its four images", repr(adoption))
        for row in empty.samples().to_pylist():
            with open(row["filepath"], "rb") as file:
                number = examples.number_of(file.read())
            assert f"image-{number}" in row["filepath"], self.expected(
                f"return the image of {row['filepath']!r}", f"it returns image-{number}"
            )
        count = len(self.rows(results))
        self.require_load(self._load(empty), "a task was adopted with its images", added=count)

    def test_a_task_belongs_to_one_run(self) -> None:
        """A task that a run holds is not adopted again, nor the tasks that the dataset has sent itself."""
        other, results, keys, label_type = self._in_tool()
        self._adopt(other, keys, label_type)
        for dataset in (other, self.sender):
            with pytest.raises(RunError, match="holds the task"):
                dataset.adopt_annotation("again", backend=self.backend.name, tasks=keys, **self.options())
            assert "again" not in dataset.list_annotation_runs()
        del results

    def test_what_is_not_there_is_not_adopted(self) -> None:
        """An unknown task is an error of the backend, and no run is made."""
        other, _, _, label_type = self._in_tool()
        with pytest.raises((BackendError,)) as error:
            self._adopt(other, ["no-such-task"], label_type)
        assert not isinstance(error.value, Gone), self.expected(
            "raise `Rejected` for a task that never was", "it raises `Gone`"
        )
        assert other.list_annotation_runs() == []

    def _in_tool(self, with_labels: bool = True) -> tuple[Dataset, AnnotationResults, list[str], str]:
        """A dataset, a run of another dataset of the same files, the keys of its tasks, and the type of its labels."""
        if not self.backend.capabilities.adopt:
            pytest.skip(f"{self.backend.name} has no tasks that could be adopted")
        label_type = self.main_type()
        samples = examples.plainly_named(self.folder / "images", label_type)
        self.sender = create_dataset(self.folder / "sender")
        self.sender.add_samples(samples)
        results = self.send(self.sender, label_type, label_schema=examples.schema(label_type))
        other = create_dataset(self.folder / "other")
        other.add_samples(samples)
        if not with_labels:
            other.delete_labels(field="field")
        keys = sorted(key for receipt in results.receipts() for key in self.backend.task_keys(receipt))
        assert keys, self.expected("return the ids of a task in `task_keys`", "it returns none")
        return other, results, keys, label_type

    def _adopt(self, dataset: Dataset, keys: list[str], label_type: str, **arguments: Any) -> Adoption:
        return dataset.adopt_annotation(
            "adopted", backend=self.backend.name, tasks=keys, label_schema=examples.schema(label_type), progress=False,
            **arguments, **self.options(),
        )  # fmt: skip

    def _load(self, dataset: Dataset, **arguments: Any) -> Any:
        return dataset.load_annotations("adopted", progress=False, **arguments, **self.options())
