"""Laws about loads: every change made in the tool is applied once, or is listed with the reason why it is not."""

from __future__ import annotations

from typing import Any

from ...core.schema import FLAGS
from .. import examples
from .base import Laws

_WORKED = "a person changed, deleted and made labels"


class MergedLaws(Laws):
    """No change is lost, applied twice, or applied although it is not allowed."""

    def test_loading_twice_is_loading_once(self) -> None:
        """A second load finds no changes and writes nothing."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        results = self.send(dataset, label_type)
        work = self.work(results, label_type)
        first = self.load(dataset)
        self.require_load(first, _WORKED, added=work.added, edited=work.edited, deleted=work.deleted)
        labels = dataset.labels().to_arrow()
        self.require_load(self.load(dataset), "it follows another load at once")
        self.require_equal(dataset.labels().to_arrow(), labels, "a load follows another at once")

    def test_all_allowed_and_no_edits_here_gives_what_the_tool_has(self) -> None:
        """After a load, the dataset and the tool have the same labels."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        results = self.send(dataset, label_type)
        self.work(results, label_type)
        self.load(dataset)
        here, there = dataset.labels("field").to_pylist(), self.rows(results)
        self.require_same(here, there, "return the labels that a load writes to the dataset, and no others")

    def test_nothing_allowed_changes_nothing(self) -> None:
        """With all five permissions off nothing is written, and every change is listed as refused."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        before = dataset.labels().to_arrow()
        results = self.send(dataset, label_type, **dict.fromkeys(FLAGS, False))
        work = self.work(results, label_type)
        refused = work.added + work.edited + work.deleted
        self.require_load(self.load(dataset), f"{_WORKED}, and nothing is allowed", refused=refused)
        self.require_equal(dataset.labels().to_arrow(), before, "nothing is allowed")

    def test_every_change_is_accepted_refused_or_in_conflict(self) -> None:
        """No change is dropped without being listed."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        results = self.send(dataset, label_type, allow_additions=False)
        first = self.labels_in_tool(results, label_type)[0]
        mine = examples.nearest(first, dataset.labels("field").to_pylist())
        assert mine is not None, self.expected(
            "return labels with the class and value that they were sent with",
            f"no label of the dataset on {first['sample_id']} has the class {first['label']!r}, value {first['value']!r}",
        )
        work = self.work(results, label_type)
        dataset.set_labels([{"label_id": mine["label_id"], **examples.change(label_type, 1)}])
        self.require_load(
            self.load(dataset, conflicts="ours"),
            f"{_WORKED}, additions are not allowed, and one label was changed here too",
            edited=work.edited - 1, deleted=work.deleted, refused=work.added, in_conflict=1,
        )  # fmt: skip

    def test_new_labels_have_ids_of_their_own(self) -> None:
        """The same two labels are added to the first image of each of three tasks: six labels with six ids, in one load.

        A remote id has to be unique on its sample only: a tool may number the labels of each task or image from 1.
        """
        label_type = self.main_type()
        self.require_new(label_type)
        dataset = self.dataset(label_type, 0)
        results = self.send(dataset, label_type, task_size=2)
        tool = self.tool(results)
        for sample_id in ("s0", "s2", "s4"):
            for label in examples.CLASSES[2:]:
                self.draw(tool, sample_id, label_type, label)
        self.require_distinct(self.rows(results))
        self.require_load(self.load(dataset), "a person made six labels", added=6)
        labels = dataset.labels().to_arrow()
        ids = labels["label_id"].to_pylist()
        assert len(set(ids)) == len(ids), self.expected(
            "give each new label a label_id of its own",
            f"the {len(ids)} labels of the dataset have {len(set(ids))} ids",
            f"The bridge with the backend {self.backend.name!r}",
        )
        self.require_load(self.load(dataset), "it follows another load at once")
        self.require_equal(dataset.labels().to_arrow(), labels, "a load follows another at once")

    def test_the_size_of_tasks_does_not_matter(self) -> None:
        """One task or three give the same labels."""
        label_type = self.main_type()
        outcomes: list[list[dict[str, Any]]] = []
        for size in (None, 2):
            dataset = self.dataset(label_type, name=f"tasks-of-{size}")
            results = self.send(dataset, label_type, **({"task_size": size} if size else {}))
            self.work(results, label_type)
            self.load(dataset)
            outcomes.append(dataset.labels("field").to_pylist())
            dataset.abort_annotation("run", **self.options())
        one, three = outcomes
        self.require_same(one, three, "return the same labels from three tasks as from one")
