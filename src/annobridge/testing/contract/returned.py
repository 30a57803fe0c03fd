"""Laws about downloads: what nobody changed is returned as it was sent, each label on its sample."""

from __future__ import annotations

import pytest

from ...core.labels import REMOTE
from ...dataset import create_dataset
from .. import examples
from .base import Laws


class ReturnedLaws(Laws):
    """Labels that nobody changed are returned as they were sent."""

    @pytest.mark.parametrize("label_type", examples.types())
    def test_untouched_labels_come_back_equal(self, label_type: str) -> None:
        """A load after which nobody changed anything finds no changes and writes nothing."""
        self.require(label_type)
        dataset = self.dataset(label_type, 0)
        before = dataset.labels().to_arrow()
        self.send(dataset, label_type)
        self.require_load(self.load(dataset), "nobody did anything")
        self.require_equal(dataset.labels().to_arrow(), before, "nobody did anything")

    @pytest.mark.parametrize("label_type", examples.types())
    def test_the_baseline_is_what_is_downloaded(self, label_type: str) -> None:
        """``download`` returns every label that was sent once, and answers for every sample; with the columns of ``REMOTE``."""
        self.require(label_type)
        dataset = self.dataset(label_type, 1)
        results = self.send(dataset, label_type)
        for receipt in results.receipts():
            download = self.download(results, receipt)
            assert download.labels.schema.equals(REMOTE), self.expected(
                "return labels with the columns and types of REMOTE", f"it returned {download.labels.schema.names}"
            )
            self.require_distinct(download.labels.to_pylist())
            answered, sent = sorted(download.samples.to_pylist()), sorted(dataset.sample_ids())
            assert answered == sent, self.expected(
                f"answer for all samples of the task, those without labels included: {sent}",
                f"it answers for {answered}",
            )
        found, sent_labels = len(self.rows(results)), dataset.count_labels()
        assert found == sent_labels, self.expected(
            f"return the {sent_labels} labels that were sent", f"`download` returns {found}"
        )

    def test_more_labels_than_a_page_come_back(self) -> None:
        """All pages of the tool's answers are read, and none twice."""
        label_type = self.main_type()
        dataset = create_dataset(self.folder / "dataset")
        dataset.add_samples(examples.crowded(self.folder / "images", label_type, self.many))
        results = self.send(dataset, label_type)
        rows = self.rows(results)
        self.require_distinct(rows)
        assert len(rows) == self.many, self.expected(
            f"return all {self.many} labels of a task, however many pages they fill", f"`download` returns {len(rows)}"
        )
        self.require_load(self.load(dataset), "nobody did anything")

    def test_turned_boxes_stay_turned(self) -> None:
        """Rotated boxes are returned with their rotation; a backend whose tool has none refuses them in ``check_task``."""
        self.require("detections")
        dataset = create_dataset(self.folder / "dataset")
        dataset.add_samples(examples.turned(self.folder / "images"))
        results = self.send(dataset, "detections")
        sent, found = dataset.labels("field").to_pylist(), self.rows(results)
        for row in sent:
            there = examples.nearest(row, found)
            angle = (there or {}).get("rotation") or 0.0
            off = abs(((row["rotation"] or 0) - angle + 180) % 360 - 180) if there else 360.0
            assert off <= 360 * self.precision, self.expected(
                f"return the box of {row['label']!r} on {row['sample_id']} turned by {row['rotation']} degrees, or refuse it "
                "in `check_task`",
                f"it is turned by {angle}" if there else "the box is not there",
            )
        self.require_load(self.load(dataset), "nobody did anything")

    def test_every_image_is_shown_under_its_sample(self) -> None:
        """The tool shows the image of each sample, and not that of another."""
        self.require_method("image", "the tool's images")
        label_type = self.main_type()
        results = self.send(self.dataset(label_type), label_type)
        for number, name in enumerate(examples.NAMES):
            shown = examples.number_of(self.image(results, f"s{number}"))
            assert shown == number, self.expected(
                f"show the file {name!r} under the sample s{number}",
                f"the tool shows that of s{shown} there"
                if shown >= 0
                else "the tool shows none of the six images there",
            )
