"""Sending: the project, the images, and the tasks with their labels. What is there already is found by our own ids."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Receipt, Task
from annobridge.backend.address import served_at
from annobridge.backend.uploads import files_of
from annobridge.core.arrays import as_array
from annobridge.exceptions import Broken, Gone, Rejected
from annobridge.formats.labelstudio import codec
from annobridge.formats.labelstudio.label_config import parse
from annobridge.formats.labelstudio.layout import Layout
from annobridge.formats.media import without_secrets

from .api import FILE, SAMPLE, TASK, Api, Json, named
from .config import LabelStudioConfig

_TRIES = 4  # to read what is there; between two, what is missing is sent
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
    return f"{task.title} ({task.name.rpartition('-')[0]})"[-50:]


def sent(api: Api, project: int, task_name: str, labelled: Container[str] = ()) -> dict[str, str]:
    """The sample of each task that was sent under a name, by the task's id. Deleted are second tasks of a sample, which a request
    that was taken for lost may leave, and tasks without labels of samples that have some (``labelled``): a busy server may make
    tasks without their annotations, and answer that all is well.
    """
    first: dict[str, int] = {}
    wrong = []
    for task in api.tasks(project, task_name):
        sample = task["data"][SAMPLE]
        if (sample in labelled and lacks_labels(api, task)) or first.setdefault(sample, task["id"]) != task["id"]:
            wrong.append(task["id"])
    api.delete_tasks(project, wrong)
    return {str(number): sample for sample, number in sorted(first.items())}


def lacks_labels(api: Api, task: Json) -> bool:
    """Whether a task has no annotations and no predictions. The counts in a list can be behind, so one without any is looked at."""
    if task["total_annotations"] or task["cancelled_annotations"] or task["total_predictions"]:
        return False
    whole = api.task(task["id"])
    return not (whole["annotations"] or whole["predictions"])


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
    made = codec.encode_all(task.labels, task.samples, layout, found)
    paths = dict(zip(task.samples["sample_id"].to_pylist(), task.samples["filepath"].to_pylist(), strict=True))
    for tries_left in reversed(range(_TRIES)):
        there = sent(api, project["id"], task.name, made)
        missing = sorted(paths.keys() - set(there.values()))
        if not missing:
            break
        if not tries_left:
            raise Broken(
                f"labelstudio: {len(missing)} of {len(paths)} images are not in the project {project['id']} with their labels, "
                "although the server took them each time; look at its log, and resume the run when it is less busy."
            )
        (key,) = found.images.values()
        addresses = _addresses(api, config, task, project["id"], {sample: paths[sample] for sample in missing})
        data = {s: {key: addresses[s], TASK: task.name, SAMPLE: s, FILE: _name(paths[s])} for s in missing}
        labels = {s: _labels(one.results, config.as_predictions) for s, one in made.items()}
        api.import_tasks(project["id"], ({"data": data[s], **labels.get(s, {})} for s in missing))
    state = {"project": project["id"], "own": config.project is None, "tasks": there}
    state |= {"predictions": config.as_predictions, **layout.to_state()}
    baseline = codec.as_returned(made, layout)
    given = as_array(task.labels["label_id"])
    unsent = given.filter(pc.invert(pc.is_in(given, value_set=as_array(baseline["label_id"]))))
    return Receipt(task.name, state, baseline, unsent)


def _labels(results: list[Json], as_predictions: bool) -> Json:
    """What a new task has besides its data."""
    if as_predictions:
        return {"predictions": [{"result": results, "model_version": "annobridge"}]}
    return {"annotations": [{"result": results, "ground_truth": False}]}


def _addresses(
    api: Api, config: LabelStudioConfig, task: Task, project: int, paths: Mapping[str, str]
) -> dict[str, str]:
    """The address of each sample, in the project if its file is uploaded."""
    if config.media == "storage":
        return {sample: address(path, config) for sample, path in paths.items()}
    files = files_of(task.media, {s: f"{number}-{_name(path)}" for number, (s, path) in enumerate(paths.items())})
    stored = api.upload(project, files)
    return {sample: stored[number] for number, sample in enumerate(paths)}


def _name(path: str) -> str:
    return (urlsplit(path).path if "://" in path else path).rpartition("/")[2]


def address(path: str, config: LabelStudioConfig) -> str:
    """Where Label Studio finds a file itself. Raises ``ValueError`` with the reason why it cannot."""
    parts = urlsplit(path)
    if "://" in path and (parts.scheme not in _READ_BY_SERVER or "@" in parts.netloc):
        raise ValueError(f"{without_secrets(path)!r} is no address that Label Studio can open")
    return served_at(path, config.media_root, config.url_root)


def address_problems(samples: pa.Table, config: LabelStudioConfig) -> Iterator[str]:
    """The first image that Label Studio cannot find, with ``media="storage"``."""
    for path in samples["filepath"].to_pylist() if config.media == "storage" else ():
        try:
            address(path, config)
        except ValueError as error:
            yield f"media='storage': {error}; give media_root and url_root, or send the files with media='upload'."
            return
