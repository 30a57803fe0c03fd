"""What child processes run: the calls of annobridge that are tested, and snapshots of a dataset."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import annobridge as ab

from .children import recording
from .target import IMAGES, PER_TASK, Snapshot, Target, boxes_of, label_texts

FIELD, CLASSES = "objects", ["car", "person"]


def open_dataset(target: Target) -> ab.Dataset:
    return ab.load_dataset(target.uri, storage_options=target.options)


# Datasets


def create(target: Target) -> None:
    """Create the dataset that most trials start from: samples and labels with given ids, in two fields."""
    ds = ab.create_dataset(target.uri, storage_options=target.options)
    ds.add_samples(
        ab.Sample(
            str(target.photos / f"{i}.png"),
            sample_id=f"s{i}",
            objects=[ab.Detection("car", box, label_id=f"l{i}.{k}") for k, box in enumerate(boxes_of(i))],
            weather=ab.Classification("sun", label_id=f"w{i}"),
        )
        for i in range(IMAGES)
    )


def _new_samples(target: Target, given_ids: bool) -> list[ab.Sample]:
    def ids(**named: str) -> dict[str, str]:
        return named if given_ids else {}

    return [
        ab.Sample(
            str(target.photos / f"{i}.png"),
            **ids(sample_id=f"new{i}"),
            objects=[ab.Detection("car", box, **ids(label_id=f"new{i}.{k}")) for k, box in enumerate(boxes_of(i))],
            weather=ab.Classification("rain", **ids(label_id=f"neww{i}")),
        )
        for i in range(IMAGES)
    ]


def add_samples(target: Target) -> None:
    """Add samples with labels in two fields; their ids are random."""
    open_dataset(target).add_samples(_new_samples(target, given_ids=False))


def add_samples_with_ids(target: Target) -> None:
    """Add samples with labels in two fields, with given ids."""
    open_dataset(target).add_samples(_new_samples(target, given_ids=True))


def delete_samples(target: Target) -> None:
    """Delete half of the samples."""
    here = set(open_dataset(target).sample_ids())
    open_dataset(target).delete_samples([f"s{i}" for i in range(IMAGES // 2) if f"s{i}" in here])


def add_labels(target: Target) -> None:
    """Add a label to each image."""
    rows = [
        {"sample_id": f"s{i}", "label_id": f"more{i}", "label": "person", "bounding_box": [3 / 4, 1 / 2, 1 / 8, 1 / 8]}
        for i in range(IMAGES)
    ]
    open_dataset(target).add_labels(FIELD, rows)


def set_labels(target: Target) -> None:
    """Change the class of the last label of each image."""
    open_dataset(target).set_labels([{"label_id": f"l{i}.2", "label": "person"} for i in range(IMAGES)])


def delete_labels(target: Target) -> None:
    """Delete the first label of each image."""
    open_dataset(target).delete_labels([f"l{i}.0" for i in range(IMAGES)])


# Runs


def annotate(target: Target, key: str = "r") -> None:
    """Send the dataset, in tasks of ``PER_TASK`` images."""
    open_dataset(target).annotate(
        key, label_field=FIELD, label_type="detections", classes=CLASSES, backend=target.backend, url=target.url,
        task_size=PER_TASK, progress=False, **target.login,
    )  # fmt: skip


def resume(target: Target, key: str = "r") -> None:
    open_dataset(target).resume_annotation(key, progress=False, **target.login)


def abort(target: Target, key: str = "r") -> None:
    open_dataset(target).abort_annotation(key, **target.login)


def abort_again(target: Target) -> None:
    """Abort the run again, if it is still there."""
    if "r" in open_dataset(target).list_annotation_runs():
        abort(target)


def finish(target: Target, key: str = "r") -> None:
    """What a user does after a crash: annotate if there is no run, else resume; if that is refused, abort and annotate."""
    ds = open_dataset(target)
    if key not in ds.list_annotation_runs():
        annotate(target, key)
    elif ds.get_annotation_info(key)["state"] != "sent":
        try:
            resume(target, key)
        except ab.RunBusy:
            raise
        except ab.RunError:
            abort(target, key)
            annotate(target, key)


def load(target: Target, key: str = "r") -> None:
    open_dataset(target).load_annotations(key, progress=False, url=target.url, **target.login)


def annotate_half(target: Target) -> None:
    """Send the first half of the dataset."""
    ds = open_dataset(target)
    ds.limit(IMAGES // 2).annotate(
        "r", label_field=FIELD, label_type="detections", classes=CLASSES, backend=target.backend, url=target.url,
        task_size=PER_TASK, progress=False, **target.login,
    )  # fmt: skip


def extend(target: Target) -> None:
    """Send the other half in the same run; first resume what was interrupted."""
    ds = open_dataset(target)
    if ds.get_annotation_info("r")["state"] != "sent":
        ds.resume_annotation("r", progress=False, url=target.url, **target.login)
    missing = ds.load_annotation_results("r", url=target.url, **target.login).missing(ds)
    if len(missing):
        ds.extend_annotation("r", missing, progress=False, url=target.url, **target.login)


def edit_here(target: Target) -> None:
    """Change, delete and add a label on each image."""
    set_labels(target)
    delete_labels(target)
    add_labels(target)


def push(target: Target) -> None:
    open_dataset(target).push_annotations("r", force=True, progress=False, url=target.url, **target.login)


def _other(target: Target) -> Target:
    """The dataset that has made the tasks which another one adopts."""
    return replace(target, uri=f"{target.uri}-other")


def make_tasks(target: Target) -> None:
    """Make tasks in the tool that no run of the dataset knows."""
    create(_other(target))
    annotate(_other(target), "other")


def adopt(target: Target) -> None:
    """Adopt these tasks, unless that was done before."""
    ds = open_dataset(target)
    if "r" in ds.list_annotation_runs() and ds.get_annotation_info("r")["state"] == "sent":
        return
    schema = {FIELD: {"type": "detections", "classes": CLASSES, "attributes": {}}}
    ds.adopt_annotation(
        "r", target.backend, known_tasks(_other(target)), label_schema=schema, progress=False, url=target.url,
        **target.login,
    )  # fmt: skip


def undo(target: Target, key: str = "r") -> None:
    open_dataset(target).undo_annotations(key)


def cleanup(target: Target) -> None:
    open_dataset(target).load_annotation_results("r", **target.login).cleanup()


def rename(target: Target, key: str = "a") -> None:
    """Rename a run to ``same``."""
    open_dataset(target).rename_annotation_run(key, "same")


def plan(target: Target, key: str = "r") -> tuple[int, int, int]:
    """How many labels a load would add, edit and delete."""
    found = open_dataset(target).plan_annotations(key, progress=False, url=target.url, **target.login)
    return found.added, found.edited, found.deleted


def known_states(target: Target) -> list[dict[str, Any]]:
    """The states of the receipts of all runs."""
    ds = open_dataset(target)
    results = [ds.load_annotation_results(key, **target.login) for key in ds.list_annotation_runs()]
    return [dict(receipt.state) for one in results for receipt in one.receipts()]


def known_tasks(target: Target) -> list[int]:
    """The ids of the server's tasks in the receipts of all runs, each as often as it occurs."""
    return [task["task"] for state in known_states(target) for task in state["tasks"]]


# Versions


def name_version(target: Target) -> None:
    """Give the dataset as it is a name, unless that was done before."""
    ds = open_dataset(target)
    if "v1" not in [known.name for known in ds.list_snapshots()]:
        ds.snapshot("v1")


def clean_up(target: Target) -> None:
    """Remove all old versions that nothing needs."""
    open_dataset(target).optimize(timedelta(0))


# Import and export


def import_create(target: Target) -> None:
    ab.import_dataset(target.photos, target.uri, storage_options=target.options, progress=False)


def import_add(target: Target) -> None:
    ab.import_dataset(target.photos, target.uri, mode="add", storage_options=target.options, progress=False)


def import_overwrite(target: Target) -> None:
    ab.import_dataset(target.photos, target.uri, mode="overwrite", progress=False)


def export(target: Target) -> None:
    ab.export_dataset(open_dataset(target), f"{target.uri}-out", format="fiftyone", progress=False)


# Snapshots


def snapshot(target: Target) -> Snapshot:
    """The content of a dataset. All runs are read, so that a damaged ledger raises."""
    ds = open_dataset(target)
    samples = ds.samples(["sample_id", "filepath"]).to_pylist()
    names = {row["sample_id"]: Path(row["filepath"]).name for row in samples}
    labels = [row for row in ds.labels().to_pylist() if row["sample_id"] in names]
    keys = ds.list_annotation_runs()
    states = {key: ds.get_annotation_info(key)["state"] for key in keys}
    ids = Counter(
        [row["sample_id"] for row in samples] + [row["label_id"] for row in labels] + [f"run {k}" for k in keys]
    )
    content = [f"sample {Path(row['filepath']).name}" for row in samples]
    content += [*label_texts(labels, names), *(f"run {key}" for key in keys)]
    named = [known.name for known in ds.list_snapshots()]
    content += [f"snapshot {name} with {ds.at(name).count_labels()} labels" for name in named]
    return Snapshot(Counter(content), tuple(one for one, times in ids.items() if times > 1), states)


def snapshot_of_export(target: Target) -> Snapshot:
    """The content of an export, by importing it; empty where there is no export."""
    folder = Path(f"{target.uri}-out")
    if not folder.exists():
        return Snapshot(Counter())
    with tempfile.TemporaryDirectory() as back:
        ab.import_dataset(folder, f"{back}/dataset", progress=False)
        return snapshot(replace(target, uri=f"{back}/dataset", options=None))


def rehearse(action: Callable[..., Any], *arguments: Any) -> tuple[list[str], float]:
    """Run an action without a fault; returns the names of its steps, and its seconds."""
    start = time.perf_counter()
    with recording() as names:
        action(*arguments)
    return names, time.perf_counter() - start
