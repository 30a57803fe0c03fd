"""Uploading: a task becomes a dataset of a project, with its images, their tasks and their labels.

Each step looks for its result before it makes it, so that an upload that was cut off continues where it stopped.
"""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from annobridge.backend import Task
from annobridge.core.labels import REMOTE
from annobridge.exceptions import Broken, Denied, Gone, Rejected

from . import checks, images, label_config
from .api import Api
from .config import DatagymConfig
from .decode import global_remote_id
from .encode import EncodedLabel, TaskImages, batches, encode_labels, import_items
from .match import BY_LABEL_ID, LabelMatch, match_geometries
from .parse import fetch_images
from .projects import Projects, has_run
from .validate import validate
from .vocabulary import Vocabulary

Json = dict[str, Any]
BATCH = 50  # images in one import, which is one transaction


class BacklogWarning(UserWarning):
    """The tasks are in the backlog, where labelers do not see them, and the hosted edition's API cannot move them."""


def upload_task(
    api: Api, projects: Projects, task: Task, vocabulary: Vocabulary, config: DatagymConfig
) -> tuple[Json, pa.Table]:
    """Upload a task. Raises ``Rejected``.

    Returns:
        The state for the receipt, and the baseline.
    """
    sizes = sizes_of(task.samples)
    project = projects.find_project(task.name) or projects.create_project(task.name)
    run_exists = has_run(project, task.name)
    existing = label_config.ensure(api, project, vocabulary, config, has_run=run_exists)
    if existing is not None:
        vocabulary = _adapted(task, vocabulary, existing)
    dataset = projects.ensure_dataset(task.name)
    media_ids, media_names = images.send_images(api, dataset, task, config)
    projects.connect(project, dataset)
    if existing is None and not run_exists:
        vocabulary = _adapted_to_unseen(api, project, dataset, task, vocabulary, config)
    tasks = tasks_by_image(api, project["id"])
    task_images = TaskImages(task.samples["sample_id"].to_pylist(), media_ids, sizes)
    labels = encode_labels(task.labels.combine_chunks(), vocabulary, task_images, config.parent_attr)
    imported = {media_id for media_id, t in tasks.items() if t["hasJsonUpload"]}
    _import_labels(api, project["id"], labels, task_images, imported)
    if config.release and not api.v1:
        api.release(project["id"], dataset["id"])
    if api.v1 and config.release and any(tasks[m]["labelTaskState"] == "BACKLOG" for m in media_ids if m in tasks):
        warnings.warn(
            f"The tasks of the dataset {dataset['name']!r} are in the backlog, where labelers do not see them: move them to "
            f"«waiting» on the page of the project {project['name']!r}; DataGym's API cannot. release=False says that you know.",
            BacklogWarning,
            stacklevel=2,
        )
    task_ids = [tasks[m]["taskId"] if m in tasks else None for m in media_ids]
    state = {
        "project": project["id"], "dataset": dataset["id"],
        "own_project": not projects.is_named, "samples": task_images.samples,
        "media": media_ids, "names": media_names, "tasks": task_ids, "sizes": task_images.sizes.tolist(),
        "vocabulary": json.loads(json.dumps(vocabulary.to_dict())),
    }  # fmt: skip
    value_ids = _fetch_value_ids(api, labels, task_ids, vocabulary) if config.value_ids else {}
    return state, baseline_of(task.labels, labels, task_images, value_ids)


def _adapted(task: Task, vocabulary: Vocabulary, existing: Sequence[Json]) -> Vocabulary:
    """The vocabulary adapted to a configuration. Raises ``Rejected`` for labels that need what the configuration lacks."""
    adapted = vocabulary.adapted_to(existing)
    if found := list(checks.check_entries(task.labels.combine_chunks(), adapted)):
        raise Rejected("\n  - ".join(["datagym: some labels cannot be sent:", *found]))
    return adapted


def _adapted_to_unseen(
    api: Api, project: Json, dataset: Json, task: Task, vocabulary: Vocabulary, config: DatagymConfig
) -> Vocabulary:
    """The vocabulary adapted to a configuration that could not be read before there was a task.

    Raises ``Rejected`` if it does not fit, after the images were removed again.
    """
    try:
        return _adapted(task, vocabulary, _usable_configuration(api, project, vocabulary, config))
    except Rejected as error:
        api.disconnect(project["id"], dataset["id"])
        api.delete_dataset(dataset["id"])
        raise Rejected(f"{error} The images that were sent were removed again.") from error


def _usable_configuration(api: Api, project: Json, vocabulary: Vocabulary, config: DatagymConfig) -> list[Json]:
    """The entries of a project's configuration. Raises ``Rejected`` if it does not fit or cannot be read."""
    existing = label_config.read(api, project)
    if existing is None:
        raise Rejected(
            f"datagym: The project {project['name']!r} has a label configuration, and this server shows it to no program; use a "
            "project that has none."
        )
    if found := list(label_config.problems(project["name"], existing, vocabulary, config, v1=api.v1)):
        raise Rejected(f"datagym: {found[0]}")
    return existing


def tasks_by_image(api: Api, project_id: str) -> dict[str, Json]:
    """The tasks of a project by media id; none where the server does not show them to a token, as older ones."""
    try:
        return {t["mediaId"]: t for t in api.tasks(project_id)}
    except (Gone, Denied):
        return {}


def sizes_of(samples: pa.Table) -> np.ndarray:
    """Width and height of every image in pixels, shape (n, 2). Raises ``Rejected`` for a sample without them."""
    for name in ("width", "height"):
        if samples[name].null_count:
            row = samples[name].is_null().to_pylist().index(True)
            raise Rejected(
                f"datagym: the sample {samples['sample_id'][row].as_py()!r} has no {name}, which is needed to place labels on its "
                "image; set it in the dataset."
            )
    return np.stack([samples[n].to_numpy() for n in ("width", "height")], axis=1).astype(np.int64)


def _import_labels(
    api: Api, project_id: str, labels: Sequence[EncodedLabel], task_images: TaskImages, imported: set[str]
) -> None:
    """Import the labels batch by batch, except those of images that an earlier attempt has ``imported``, by media id.

    The images are this run's own, so the labels on them are replaced, which makes it safe to repeat a call without an answer.
    """
    items = (
        of_image
        for of_image in import_items(labels, task_images, keep=False)
        if of_image[0]["internal_media_ID"] not in imported
    )
    for batch in batches(items, BATCH):
        validate(batch)
        api.import_labels(project_id, json.dumps(batch, allow_nan=False).encode(), repeatable=True)


def _fetch_value_ids(
    api: Api, labels: Sequence[EncodedLabel], task_ids: Sequence[str | None], vocabulary: Vocabulary
) -> dict[int, str]:
    """The server's ids of the values that the labels became, joined by ``+`` for labels of several parts, by row."""
    value_ids: dict[int, str] = {}
    by_image: dict[int, list[LabelMatch]] = defaultdict(list)
    for label in labels:
        if label.parts:
            by_image[label.image].append(LabelMatch(label, ""))
    wanted = [(image, task_id) for image in sorted(by_image) if (task_id := task_ids[image]) is not None]
    for found in fetch_images(api, wanted, vocabulary):
        matches = by_image[found.image]
        match_geometries(found.geometries, matches)
        if missing := sum(len(m.geometries) != len(m.label.parts) for m in matches):
            raise Broken(
                f"datagym: {missing} of the {len(matches)} labels of an image are not on the server as they were sent; abort the "
                "run, and send it again."
            )
        for m in matches:
            value_ids[m.label.row] = "+".join(m.geometries[n].value_id or "" for n in sorted(m.geometries))
    return value_ids


def baseline_of(
    table: pa.Table, labels: Sequence[EncodedLabel], task_images: TaskImages, value_ids: dict[int, str]
) -> pa.Table:
    """The labels that were sent, with DataGym's ids by row, or ids made of ours where those are not known."""
    remote_ids = []
    for label in labels:
        if label.entry.label is None:
            chosen = next(iter(label.answers[label.entry.key]), "")
            remote_ids.append(global_remote_id(task_images.media_ids[label.image], label.entry, chosen))
        else:
            remote_ids.append(value_ids.get(label.row) or f"{BY_LABEL_ID}{label.label_id}")
    return table.append_column(REMOTE.field("remote_id"), pa.array(remote_ids, pa.string())).cast(REMOTE)
