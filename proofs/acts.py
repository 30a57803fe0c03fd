"""What children do: the verbs of annobridge on a scene, and looking at the outcome. Called in processes of their own."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import annobridge as ab

from .children import recording
from .scene import IMAGES, PER_TASK, Look, Scene, boxes_of, text_of

FIELD, CLASSES = "objects", ["car", "person"]


def opened(scene: Scene) -> ab.Dataset:
    """The dataset of a scene."""
    return ab.load_dataset(scene.uri, storage_options=scene.options)


# Making things


def create(scene: Scene) -> None:
    """The dataset that most proofs start from: ids are given, in two fields."""
    ds = ab.create_dataset(scene.uri, storage_options=scene.options)
    ds.add_samples(
        ab.Sample(
            str(scene.photos / f"{i}.png"),
            sample_id=f"s{i}",
            objects=[ab.Detection("car", box, label_id=f"l{i}.{k}") for k, box in enumerate(boxes_of(i))],
            weather=ab.Classification("sun", label_id=f"w{i}"),
        )
        for i in range(IMAGES)
    )


def _new_samples(scene: Scene, given_ids: bool) -> list[ab.Sample]:
    def ids(**named: str) -> dict[str, str]:
        return named if given_ids else {}

    return [
        ab.Sample(
            str(scene.photos / f"{i}.png"),
            **ids(sample_id=f"new{i}"),
            objects=[ab.Detection("car", box, **ids(label_id=f"new{i}.{k}")) for k, box in enumerate(boxes_of(i))],
            weather=ab.Classification("rain", **ids(label_id=f"neww{i}")),
        )
        for i in range(IMAGES)
    ]


def add_samples(scene: Scene) -> None:
    """Samples with labels in two fields."""
    opened(scene).add_samples(_new_samples(scene, given_ids=False))


def add_samples_with_ids(scene: Scene) -> None:
    """The same, with ids."""
    opened(scene).add_samples(_new_samples(scene, given_ids=True))


def delete_samples(scene: Scene) -> None:
    """Half of the samples."""
    here = set(opened(scene).sample_ids())
    opened(scene).delete_samples([f"s{i}" for i in range(IMAGES // 2) if f"s{i}" in here])


def add_labels(scene: Scene) -> None:
    """One label more in each image."""
    rows = [
        {"sample_id": f"s{i}", "label_id": f"more{i}", "label": "person", "bounding_box": [3 / 4, 1 / 2, 1 / 8, 1 / 8]}
        for i in range(IMAGES)
    ]
    opened(scene).add_labels(FIELD, rows)


def set_labels(scene: Scene) -> None:
    """A class for the last label of each image."""
    opened(scene).set_labels([{"label_id": f"l{i}.2", "label": "person"} for i in range(IMAGES)])


def delete_labels(scene: Scene) -> None:
    """The first label of each image."""
    opened(scene).delete_labels([f"l{i}.0" for i in range(IMAGES)])


# Runs


def annotate(scene: Scene, key: str = "r") -> None:
    """Send all, in tasks of some images."""
    opened(scene).annotate(
        key, label_field=FIELD, label_type="detections", classes=CLASSES, backend=scene.backend, url=scene.url,
        task_size=PER_TASK, progress=False, **scene.login,
    )  # fmt: skip


def resume(scene: Scene, key: str = "r") -> None:
    """Send the rest."""
    opened(scene).resume_annotation(key, progress=False, **scene.login)


def abort(scene: Scene, key: str = "r") -> None:
    """Remove what was sent."""
    opened(scene).abort_annotation(key, **scene.login)


def abort_again(scene: Scene) -> None:
    """Remove what a killed abort left."""
    if "r" in opened(scene).list_annotation_runs():
        abort(scene)


def finish(scene: Scene, key: str = "r") -> None:
    """What a user does after a crash: annotate if there is no run, else resume, or abort and annotate if told so."""
    ds = opened(scene)
    if key not in ds.list_annotation_runs():
        annotate(scene, key)
    elif ds.get_annotation_info(key)["state"] != "sent":
        try:
            resume(scene, key)
        except ab.RunBusy:
            raise
        except ab.RunError:
            abort(scene, key)
            annotate(scene, key)


def load(scene: Scene, key: str = "r") -> None:
    """Merge the work back."""
    opened(scene).load_annotations(key, progress=False, url=scene.url, **scene.login)


def undo(scene: Scene, key: str = "r") -> None:
    """Take back the last load."""
    opened(scene).undo_annotations(key)


def cleanup(scene: Scene) -> None:
    """Remove the tasks of a run from the server."""
    opened(scene).load_annotation_results("r", **scene.login).cleanup()


def rename(scene: Scene, key: str = "a") -> None:
    """Give a run another key."""
    opened(scene).rename_annotation_run(key, "same")


def plan(scene: Scene, key: str = "r") -> tuple[int, int, int]:
    """What a load would add, edit and delete."""
    found = opened(scene).plan_annotations(key, progress=False, url=scene.url, **scene.login)
    return found.added, found.edited, found.deleted


def known_states(scene: Scene) -> list[dict[str, Any]]:
    """What receipts say of the server, of all runs."""
    ds = opened(scene)
    results = [ds.load_annotation_results(key, **scene.login) for key in ds.list_annotation_runs()]
    return [dict(receipt.state) for one in results for receipt in one.receipts()]


def known_tasks(scene: Scene) -> list[int]:
    """The numbers of the server's tasks that some run knows, each as often as it does."""
    return [task["task"] for state in known_states(scene) for task in state["tasks"]]


# In and out


def import_create(scene: Scene) -> None:
    """A dataset of a folder."""
    ab.import_dataset(scene.photos, scene.uri, storage_options=scene.options, progress=False)


def import_add(scene: Scene) -> None:
    """A folder more."""
    ab.import_dataset(scene.photos, scene.uri, mode="add", storage_options=scene.options, progress=False)


def import_overwrite(scene: Scene) -> None:
    """A folder in the place of a dataset."""
    ab.import_dataset(scene.photos, scene.uri, mode="overwrite", progress=False)


def export(scene: Scene) -> None:
    """A folder of the dataset."""
    ab.export_dataset(opened(scene), f"{scene.uri}-out", format="fiftyone", progress=False)


# Looking


def look(scene: Scene) -> Look:
    """All that can be seen of a dataset. Reading every run is part of it: the ledger must be readable."""
    ds = opened(scene)
    samples = ds.samples(["sample_id", "filepath"]).to_pylist()
    names = {row["sample_id"]: Path(row["filepath"]).name for row in samples}
    labels = [row for row in ds.labels().to_pylist() if row["sample_id"] in names]
    keys = ds.list_annotation_runs()
    states = {key: ds.get_annotation_info(key)["state"] for key in keys}
    ids = Counter(
        [row["sample_id"] for row in samples] + [row["label_id"] for row in labels] + [f"run {k}" for k in keys]
    )
    content = [f"sample {Path(row['filepath']).name}" for row in samples]
    content += [*text_of(labels, names), *(f"run {key}" for key in keys)]
    return Look(Counter(content), tuple(one for one, times in ids.items() if times > 1), states)


def look_at_export(scene: Scene) -> Look:
    """What an import of an export sees; nothing where there is no export."""
    folder = Path(f"{scene.uri}-out")
    if not folder.exists():
        return Look(Counter())
    with tempfile.TemporaryDirectory() as back:
        ab.import_dataset(folder, f"{back}/dataset", progress=False)
        return look(replace(scene, uri=f"{back}/dataset", options=None))


def rehearse(act: Callable[..., Any], *arguments: Any) -> tuple[list[str], float]:
    """Do it undisturbed; the names of its steps, and how long it took."""
    start = time.perf_counter()
    with recording() as names:
        act(*arguments)
    return names, time.perf_counter() - start
