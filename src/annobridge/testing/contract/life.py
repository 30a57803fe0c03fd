"""Laws about the life of a run: it is extended while people work, what changed here is pushed, and one load takes all."""

from __future__ import annotations

import pytest

from ...bridge.results import AnnotationResults
from .. import examples
from .base import Laws, Row


class LifeLaws(Laws):
    """Samples that are added later are as those that were sent first."""

    def test_a_run_is_extended_twice_while_people_work(self) -> None:
        """Work on tasks of before, between and after two extensions comes back by one load, and an undo takes it all back."""
        label_type = self.main_type()
        dataset = self.dataset(label_type)
        results = self.send(dataset.select(["s0", "s1", "s2"]), label_type)
        tool = self.tool(results)
        tool.edit(self._last(results, label_type), **examples.change(label_type, 1))
        for samples in (["s3"], ["s4", "s5"]):
            dataset.extend_annotation("run", samples, progress=False, **self.options())
            results = dataset.load_annotation_results("run", **self.options())
            tool = self.tool(results)
            tool.edit(self._last(results, label_type), **examples.change(label_type, 1))
        assert len(results.missing(dataset)) == 0, self.expected(
            "have all samples in the run", "some are missing", "The bridge"
        )
        found = len(self.rows(results))
        assert found == dataset.count_labels(), self.expected(
            f"return the {dataset.count_labels()} labels of a run that was extended twice", f"it returns {found}"
        )
        before = dataset.labels().to_arrow()
        self.require_load(self.load(dataset), "a run was extended twice, and a person worked on each part", edited=3)
        self.require_load(self.load(dataset), "it follows another load at once")
        dataset.undo_annotations("run")
        columns = [name for name in before.column_names if name not in ("rev", "run", "tool", "annotator", "time")]
        now, then = (rows.select(columns).sort_by("label_id") for rows in (dataset.labels().to_arrow(), before))
        self.require_equal(now, then, "a load was undone")

    def test_work_is_pushed_between_loads(self) -> None:
        """A label that was loaded and edited here is pushed, and the next load finds what a person did since, and no more."""
        if not self.backend.capabilities.push:
            pytest.skip(f"{self.backend.name} cannot be pushed to")
        label_type = self.main_type()
        dataset = self.dataset(label_type)
        results = self.send(dataset.select(["s0", "s1", "s2"]), label_type)
        self.tool(results).edit(self._last(results, label_type), **examples.change(label_type, 0))
        self.require_load(self.load(dataset), "a person changed a label", edited=1)
        dataset.extend_annotation("run", ["s3", "s4", "s5"], progress=False, **self.options())
        results = dataset.load_annotation_results("run", **self.options())
        mine = dataset.labels("field").to_pylist()[-1]
        dataset.set_labels([{"label_id": mine["label_id"], **examples.change(label_type, 1)}])
        report = dataset.push_annotations("run", progress=False, **self.options())
        assert (report.added, report.edited, report.deleted) == (0, 1, 0), self.expected(
            "push one edited label", f"it did {report!r}", "The bridge"
        )
        first = self.labels_in_tool(results, label_type)[0]
        self.tool(results).delete(first)
        self.require_load(self.load(dataset), "one label was pushed, and a person deleted another", deleted=1)
        self.require_same(
            dataset.labels("field").to_pylist(),
            self.rows(results),
            "have the labels of the dataset after a push and loads",
        )

    def _last(self, results: AnnotationResults, label_type: str) -> Row:
        """The last label that the tool has, which is on one of the samples that were sent last."""
        return self.labels_in_tool(results, label_type)[-1]
