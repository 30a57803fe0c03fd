"""Filling: a task of ours becomes a dataset of a project, with its images, their tasks and their labels; each step is looked for
before it is made, so that a call that was cut off is taken up where it stopped.
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

from . import found, identity, images, labelconfig, limits, validate
from .api import Api
from .config import DatagymConfig
from .decode import global_id
from .encode import Pictures, Piece, batches, items, pieces
from .identity import Held
from .places import Places, has_ours
from .vocabulary import Vocabulary

Json = dict[str, Any]
BATCH = 50  # images in one import, which is one transaction


class BacklogWarning(UserWarning):
    """The tasks wait where labelers do not see them, and the hosted edition's API cannot move them."""


def fill(api: Api, places: Places, task: Task, vocabulary: Vocabulary, config: DatagymConfig) -> tuple[Json, pa.Table]:
    """Make all of it. What a receipt keeps, and the baseline."""
    sizes = sizes_of(task.samples)
    project = places.project_of(task.name) or places.made_project(task.name)
    begun = has_ours(project, task.name)
    there = labelconfig.ensure(api, project, vocabulary, config, begun=begun)
    if there is not None:
        vocabulary = _fitted(task, vocabulary, there)
    dataset = places.made_dataset(task.name)
    media, known = images.send(api, dataset, task, config)
    places.connect(project, dataset)
    if there is None and not begun:
        vocabulary = _of_unseen(api, project, dataset, task, vocabulary, config)
    tasks = tasks_by_image(api, project["id"])
    pictures = Pictures(task.samples["sample_id"].to_pylist(), media, sizes)
    sent = pieces(task.labels.combine_chunks(), vocabulary, pictures, config.parent_attr)
    _import(api, project["id"], sent, pictures, {m for m, t in tasks.items() if t["hasJsonUpload"]})
    if config.release and not api.v1:
        api.release(project["id"], dataset["id"])
    if api.v1 and config.release and any(tasks[m]["labelTaskState"] == "BACKLOG" for m in media if m in tasks):
        warnings.warn(
            f"The tasks of the dataset {dataset['name']!r} are in the backlog, where labelers do not see them: move them to "
            "«waiting» "
            f"on the page of the project {project['name']!r}; DataGym's API cannot. release=False says that you know.",
            BacklogWarning,
            stacklevel=2,
        )
    numbers = [tasks[m]["taskId"] if m in tasks else None for m in media]
    state = {
        "project": project["id"], "dataset": dataset["id"],
        "own_project": not places.names_project, "samples": pictures.samples,
        "media": media, "names": known, "tasks": numbers, "sizes": pictures.sizes.tolist(),
        "vocabulary": json.loads(json.dumps(vocabulary.to_dict())),
    }  # fmt: skip
    return state, baseline(task.labels, sent, pictures, _learnt(api, sent, numbers, vocabulary, config))


def _fitted(task: Task, vocabulary: Vocabulary, there: Sequence[Json]) -> Vocabulary:
    """The vocabulary as a configuration has it. Raises ``Rejected`` for labels that need what it lacks."""
    fitted = vocabulary.fitted(there)
    if wrong := list(limits.without_entry(task.labels.combine_chunks(), fitted)):
        raise Rejected("\n  - ".join(["datagym: some labels cannot be sent:", *wrong]))
    return fitted


def _of_unseen(
    api: Api, project: Json, dataset: Json, task: Task, vocabulary: Vocabulary, config: DatagymConfig
) -> Vocabulary:
    """The vocabulary of a configuration that could not be seen before: it fits, or the images are taken back."""
    there = labelconfig.read(api, project)
    try:
        return _fitted(task, vocabulary, _usable(project["name"], there, vocabulary, config, v1=api.v1))
    except Rejected as error:
        api.disconnect(project["id"], dataset["id"])
        api.delete_dataset(dataset["id"])
        raise Rejected(f"{error} The images that were sent were removed again.") from error


def _usable(
    project: str, there: list[Json] | None, vocabulary: Vocabulary, config: DatagymConfig, *, v1: bool
) -> list[Json]:
    """A project's configuration, if it fits. Raises ``Rejected``."""
    if there is None:
        raise Rejected(
            f"datagym: The project {project!r} has a label configuration, and this server shows it to no program; use a "
            "project that has none."
        )
    if wrong := list(labelconfig.problems(project, there, vocabulary, config, v1=v1)):
        raise Rejected(f"datagym: {wrong[0]}")
    return there


def tasks_by_image(api: Api, project: str) -> dict[str, Json]:
    """The tasks by image; none where the server does not show them to a token."""
    try:
        return {t["mediaId"]: t for t in api.tasks(project)}
    except (Gone, Denied):
        return {}


def sizes_of(samples: pa.Table) -> np.ndarray:
    """Width and height of every image, shape (n, 2). Raises ``Rejected`` for one without."""
    for name in ("width", "height"):
        if samples[name].null_count:
            row = samples[name].is_null().to_pylist().index(True)
            raise Rejected(
                f"datagym: the sample {samples['sample_id'][row].as_py()!r} has no {name}, without which nothing can be "
                "placed in its "
                "image; set it in the dataset."
            )
    return np.stack([samples[n].to_numpy() for n in ("width", "height")], axis=1).astype(np.int64)


def _import(api: Api, project: str, sent: Sequence[Piece], pictures: Pictures, done: set[str]) -> None:
    """Import the labels, batch by batch; those of a batch that arrived before are not sent again.

    The images are this run's own, so what is there on them is replaced: a batch may be repeated when its answer is lost.
    """
    todo = (of for of in items(sent, pictures, keep=False) if of[0]["internal_media_ID"] not in done)
    for batch in batches(todo, BATCH):
        validate.require(batch)
        api.import_labels(project, json.dumps(batch, allow_nan=False).encode(), repeatable=True)


def _learnt(
    api: Api, sent: Sequence[Piece], tasks: Sequence[str | None], vocabulary: Vocabulary, config: DatagymConfig
) -> dict[int, str]:
    """The ids of the values that the labels became, by row."""
    ids: dict[int, str] = {}
    if not config.value_ids:
        return ids
    by_sample: dict[int, list[Held]] = defaultdict(list)
    for piece in sent:
        if piece.parts:
            by_sample[piece.sample].append(Held(piece, ""))
    for image in found.look(api, [(n, task) for n in sorted(by_sample) if (task := tasks[n]) is not None], vocabulary):
        held = by_sample[image.sample]
        identity.assign(image.values, held)
        if lost := sum(len(h.values) != len(h.piece.parts) for h in held):
            raise Broken(
                f"datagym: {lost} of the {len(held)} labels of an image are not on the server as they were sent; abort the "
                "run, and "
                "send it again."
            )
        ids |= {h.piece.row: "+".join(h.values[n].value or "" for n in sorted(h.values)) for h in held}
    return ids


def baseline(labels: pa.Table, sent: Sequence[Piece], pictures: Pictures, ids: dict[int, str]) -> pa.Table:
    """What was sent, with DataGym's ids, or ours where those are not known."""
    names_ = []
    for piece in sent:
        if piece.entry.label is None:
            names_.append(
                global_id(pictures.media[piece.sample], piece.entry, next(iter(piece.words[piece.entry.key]), ""))
            )
        else:
            names_.append(ids.get(piece.row) or f"{identity.BY_LABEL}{piece.label_id}")
    return labels.append_column(REMOTE.field("remote_id"), pa.array(names_, pa.string())).cast(REMOTE)
