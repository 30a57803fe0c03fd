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

from . import found, identity, images, labelconfig, names, validate
from .api import Api
from .config import DatagymConfig
from .decode import global_id
from .encode import Pictures, Piece, batches, items, pieces
from .identity import Held
from .vocabulary import Vocabulary

Json = dict[str, Any]
BATCH = 50  # images in one import, which is one transaction


class BacklogWarning(UserWarning):
    """The tasks wait where labelers do not see them, and the hosted edition's API cannot move them."""


def project_name(task: str, config: DatagymConfig) -> str:
    """The project of a run: the one that the options name, or one of its own."""
    return config.project_name or names.place(task.rpartition("-")[0])


def find_project(api: Api, task: str, config: DatagymConfig) -> Json | None:
    """The project, if it is there. Raises ``Rejected`` if several have its name."""
    there = api.projects()
    if config.project_id is not None:
        return next((p for p in there if p["id"] == config.project_id), None)
    name = project_name(task, config)
    found_ = [p for p in there if p["name"] == name]
    if len(found_) > 1:
        raise Rejected(f"datagym: {len(found_)} projects are called {name!r}; say which, with project_id.")
    return found_[0] if found_ else None


def fill(api: Api, task: Task, vocabulary: Vocabulary, config: DatagymConfig) -> tuple[Json, pa.Table]:
    """Make all of it. What a receipt keeps, and the baseline."""
    sizes = sizes_of(task.samples)
    project = find_project(api, task.name, config)
    if project is None:
        project = _make_project(api, task.name, config)
    begun = _has_ours(project, task.name)
    seen = labelconfig.ensure(api, project, vocabulary, config, begun=begun)
    dataset = _dataset(api, names.place(task.name), config)
    media, known = images.send(api, dataset, task, config)
    api.connect(project["id"], dataset["id"])
    if not seen and not begun:
        _check_unseen(api, project, dataset, vocabulary, config)
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
        "own_project": config.project_name is None and config.project_id is None, "samples": pictures.samples,
        "media": media, "names": known, "tasks": numbers, "sizes": pictures.sizes.tolist(),
        "vocabulary": json.loads(json.dumps(vocabulary.to_dict())),
    }  # fmt: skip
    return state, baseline(task.labels, sent, pictures, _learnt(api, sent, numbers, vocabulary, config))


def _make_project(api: Api, task: str, config: DatagymConfig) -> Json:
    if api.v1 or config.project_id is not None:
        raise Rejected(f"datagym: {no_project(api, config)}")
    return api.create_project(project_name(task, config), config.owner)


def no_project(api: Api, config: DatagymConfig) -> str:
    """Why there is no project, and the cure."""
    wanted = config.project_id or config.project_name
    there = sorted(p["name"] for p in api.projects())
    shown = f"; there is {', '.join(map(repr, there[:5]))}{' …' * (len(there) > 5)}" if there else ""
    if wanted is None:
        return (
            "The hosted edition makes no projects by its API: make one for images on its page, and give its name as "
            f"project_name{shown}."
        )
    cure = (
        "make it on DataGym's page for images, or correct the name" if config.project_id is None else "correct the id"
    )
    return f"There is no project {wanted!r}, or not for this token{shown}. Please {cure}."


def _dataset(api: Api, name: str, config: DatagymConfig) -> Json:
    there = next((d for d in api.datasets() if d["name"] == name), None)
    return there or api.create_dataset(name, config.owner)


def _has_ours(project: Json, task: str) -> bool:
    """Whether a task of this run is in the project already, so that the configuration is the run's."""
    run = names.place(task).rpartition(" ")[0]
    return any(d["name"].rpartition(" ")[0] == run for d in project.get("datasets") or ())


def _check_unseen(api: Api, project: Json, dataset: Json, vocabulary: Vocabulary, config: DatagymConfig) -> None:
    """A configuration that could not be seen before: it fits, or the images are taken back."""
    there = labelconfig.read(api, project)
    wrong = [] if there is None else list(labelconfig.problems(project["name"], there, vocabulary, config, v1=api.v1))
    if there is None:
        wrong = [
            f"The project {project['name']!r} has a label configuration, and this server shows it to no program; use a "
            "project that has none."
        ]
    if wrong:
        api.disconnect(project["id"], dataset["id"])
        api.delete_dataset(dataset["id"])
        raise Rejected(f"datagym: {wrong[0]} The images that were sent were removed again.")


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
