"""Sending: the project, the images, and the tasks with their labels. What is there already is found by our own ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Receipt, Task
from annobridge.backend.uploads import files_of
from annobridge.core.arrays import as_array
from annobridge.exceptions import Broken, Gone, Rejected
from annobridge.formats.labelstudio import codec
from annobridge.formats.labelstudio.label_config import Controls, parse
from annobridge.formats.labelstudio.layout import Layout

from .api import FILE, SAMPLE, TASK, Api, Json, named
from .config import LabelStudioConfig

_TRIES = 4  # to read what is there; between two, what is missing is sent
MODEL = "annobridge"  # the model version of predictions
_READ_BY_SERVER = ("http", "https", "s3", "gs", "azure-blob")


def project_of(api: Api, config: LabelStudioConfig, task_name: str) -> Json | None:
    """The project of a task: the one that is joined, or the run's own, if it was made already."""
    if config.project is not None:
        return named(api, config.project)
    found = [p["id"] for p in api.projects() if p["description"] == _mark(task_name)]
    return api.project(min(found)) if found else None


def _mark(task_name: str) -> str:
    return f"annobridge:{task_name.rpartition('-')[0]}"


def _title(task: Task) -> str:
    """A title of 3 to 50 characters."""
    run = task.name.rpartition("-")[0]
    return f"{task.title} ({run})"[-50:] if len(task.title) + len(run) > 47 else f"{task.title} ({run})"


def sent(api: Api, project: int, task_name: str, labelled: Container[str] = ()) -> dict[str, str]:
    """The sample of each task that was sent under a name, by the task's id. Deleted are second tasks of a sample, which a request
    that was taken for lost may leave, and tasks without labels of samples that have some (``labelled``): a busy server may make
    tasks without their annotations, and answer that all is well.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    wrong = []
    for task in api.tasks(project, task_name):
        sample = task["data"].get(SAMPLE)
        is_empty = not (task["total_annotations"] or task["cancelled_annotations"] or task["total_predictions"])
        if sample in seen or (is_empty and sample in labelled):
            wrong.append(task["id"])
        else:
            found[str(task["id"])] = sample
            seen.add(sample)
    api.delete_tasks(project, wrong)
    return found


def is_empty(api: Api, project: int) -> bool:
    """Whether a project has no tasks, or is gone."""
    try:
        return next(api.tasks(project, None), None) is None
    except Gone:
        return True


def upload(api: Api, config: LabelStudioConfig, task: Task, layout: Layout) -> Receipt:
    """Send what is not there, and return the receipt."""
    project = project_of(api, config, task.name) or api.create_project(_title(task), _mark(task.name), layout.config())
    found = parse(project["label_config"])
    if problems := list(layout.misfits(found, project["title"])):
        raise Rejected("\n  - ".join(["labelstudio: the project does not fit the schema any more:", *problems]))
    made = _encoded(task, layout, found)
    samples = task.samples["sample_id"].to_pylist()
    for tries_left in reversed(range(_TRIES)):
        there = sent(api, project["id"], task.name, made)
        missing = sorted(set(samples) - set(there.values()))
        if not missing:
            break
        if not tries_left:
            raise Broken(
                f"labelstudio: {len(missing)} of {len(samples)} images are not in the project {project['id']} with their labels, "
                "although the server took them each time; look at its log, and resume the run when it is less busy."
            )
        api.import_tasks(project["id"], _tasks(api, config, task, project["id"], found, made, missing))
    state = {
        "project": project["id"],
        "own": config.project is None,
        "tasks": dict(sorted(there.items())),
        **layout.to_state(),
    }
    label_ids = {(sample, id_): label for sample, one in made.items() for id_, label in one.label_ids.items()}
    baseline = codec.with_label_ids(codec.decode_all({s: one.results for s, one in made.items()}, layout), label_ids)
    given = as_array(task.labels["label_id"])
    unsent = given.filter(pc.invert(pc.is_in(given, value_set=as_array(baseline["label_id"]))))
    return Receipt(task.name, {**state, "predictions": config.as_predictions}, baseline, unsent)


def _encoded(task: Task, layout: Layout, found: Controls) -> dict[str, codec.Encoded]:
    """The labels of each sample that has any."""
    sizes = codec.sizes_of(task.samples)
    rows: dict[str, list[Json]] = defaultdict(list)
    for row in task.labels.to_pylist():
        rows[row["sample_id"]].append(row)
    return {sample: codec.encode(group, layout, found, sizes[sample]) for sample, group in rows.items()}


def _tasks(
    api: Api,
    config: LabelStudioConfig,
    task: Task,
    project: int,
    found: Controls,
    made: dict[str, codec.Encoded],
    missing: list[str],
) -> Iterator[Json]:
    """The tasks of Label Studio that are missing."""
    paths = dict(zip(task.samples["sample_id"].to_pylist(), task.samples["filepath"].to_pylist(), strict=True))
    if config.media == "upload":
        files = files_of(task.media, {s: f"{number}-{_name(paths[s])}" for number, s in enumerate(missing)})
        stored = api.upload(project, files)
        addresses = {s: stored[number] for number, s in enumerate(missing)}
    else:
        addresses = {s: address(paths[s], config) for s in missing}
    (key,) = found.images.values()
    for sample in missing:
        data = {key: addresses[sample], TASK: task.name, SAMPLE: sample, FILE: _name(paths[sample])}
        regions = made[sample].results if sample in made else None
        if regions is None:
            yield {"data": data}
        elif config.as_predictions:
            yield {"data": data, "predictions": [{"model_version": MODEL, "result": regions}]}
        else:
            yield {"data": data, "annotations": [{"result": regions, "ground_truth": False}]}


def _name(path: str) -> str:
    return (urlsplit(path).path if "://" in path else path).rpartition("/")[2]


def address(path: str, config: LabelStudioConfig) -> str:
    """Where Label Studio finds a file itself. Raises ``ValueError`` with the reason why it cannot."""
    if "://" in path:
        if urlsplit(path).scheme not in _READ_BY_SERVER or "@" in urlsplit(path).netloc:
            raise ValueError(f"{path.partition('?')[0]!r} is no address that Label Studio can open")
        return path
    root, file = Path(config.media_root or "/").resolve(), Path(path).resolve()
    if config.media_root is None or not file.is_relative_to(root):
        raise ValueError(f"the file {path!r} is not below media_root={config.media_root!r}")
    return config.url_root + quote(file.relative_to(root).as_posix())


def address_problems(samples: pa.Table, config: LabelStudioConfig) -> Iterator[str]:
    """The first image that Label Studio cannot find, with ``media="storage"``."""
    for path in samples["filepath"].to_pylist() if config.media == "storage" else ():
        try:
            address(path, config)
        except ValueError as error:
            yield f"media='storage': {error}; give media_root and url_root, or send the files with media='upload'."
            return
