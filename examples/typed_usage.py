"""The public API, as `mypy --strict` sees it: annobridge ships its types. Run it: `python typed_usage.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa

import annobridge as ab
from annobridge import demo


def corrected(ds: ab.Dataset, key: str) -> ab.LoadReport:
    """One round, with every deletion refused."""
    view: ab.View = ds.match("width > 100").match_labels("objects", "label = 'car'").limit(20)
    results: ab.AnnotationResults = view.annotate(key, label_schema=["objects"], backend="memory", progress=False)
    demo.correct(results)
    plan: ab.MergePlan = ds.plan_annotations(key, unexpected="return", progress=False)
    refused: int = plan.decide("kind = 'delete'", verdict="refuse", note="look again")
    print(f"{refused} of {plan.changes.num_rows} changes are refused")
    return plan.load(undecided="take", progress=False)


def boxes(ds: ab.Dataset, field: str) -> dict[str, list[list[float]]]:
    """The boxes of each image."""
    found: dict[str, list[list[float]]] = {}
    for batch in ds.labels(field, "bounding_box IS NOT NULL").to_reader():
        rows: pa.RecordBatch = batch.select(["sample_id", "bounding_box"])
        for row in rows.to_pylist():
            found.setdefault(row["sample_id"], []).append(row["bounding_box"])
    return found


def main() -> None:
    """Run one round, and export what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        ds = demo.street(Path(folder, "street"))
        ds.add_labels("extra", {ds.first()["sample_id"]: [ab.Detection("car", [0.1, 0.2, 0.3, 0.4], colour="red")]})
        try:
            report = corrected(ds, "round1")
        except ab.BackendError as error:
            raise SystemExit(str(error)) from error
        counts: dict[str, dict[str, int]] = report.counts
        print(counts, len(boxes(ds, "objects")))
        losses = [str(loss) for loss in ds.export_losses("yolo", fields=["objects"])]
        exported: ab.ExportReport = ds.export(Path(folder, "out.zip"), "coco", fields=["objects"], progress=False)
        print(losses, exported.notes)
        ds.undo_annotations("round1")


if __name__ == "__main__":
    main()
