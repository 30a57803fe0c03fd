"""Sending: the project, the images, and the tasks with their labels. What is there already is found by our own ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Receipt, Task
from annobridge.backend.uploads import files_of
from annobridge.core.arrays import as_array, set_columns
from annobridge.exceptions import Broken, Gone, Rejected
from annobridge.formats.common.items import Shapes
from annobridge.formats.common.report import ReadReport
from annobridge.formats.labelstudio.encode import size_of
from annobridge.formats.labelstudio.label_config import Controls, parse

from . import codec
from .api import FILE, SAMPLE, TASK, Api, Json, only
from .config import LabelStudioConfig
from .layout import Layout

MODEL = "annobridge"  # the model version of predictions
_READ_BY_SERVER = ("http", "https", "s3", "gs", "azure-blob")


def joined(api: Api, config: LabelStudioConfig) -> Json | None:
    """The project that the options name. Raises ``Rejected`` if it does not exist, or its title is not unique."""
    if config.project is None:
        return None
    projects = list(api.projects())
    found = [p for p in projects if str(p["id"]) == config.project] or [
        p for p in projects if p["title"] == config.project
    ]
    return api.project(only("project", found, config.project)["id"])


def project_of(api: Api, config: LabelStudioConfig, task_name: str) -> Json | None:
    """The project of a task: the one that is joined, or the run's own, if it was made already."""
    if config.project is not None:
        return joined(api, config)
    found = [p for p in api.projects() if p["description"] == _mark(task_name)]
    return api.project(min(p["id"] for p in found)) if found else None


def _mark(task_name: str) -> str:
    return f"annobridge:{task_name.rpartition('-')[0]}"


def _title(task: Task) -> str:
    """A title of 3 to 50 characters."""
    run = task.name.rpartition("-")[0]
    return f"{task.title} ({run})"[-50:] if len(task.title) + len(run) > 47 else f"{task.title} ({run})"


def sent(api: Api, project: int, task_name: str) -> dict[str, str]:
    """The sample of each task that was sent under a name, by the task's id. A second task of a sample, as a request that was
    taken for lost may leave, is deleted.
    """
    first: dict[str, int] = {}
    twins = []
    for task in api.tasks(project, task_name):
        sample = task["data"].get(SAMPLE)
        if first.setdefault(sample, task["id"]) != task["id"]:
            twins.append(task["id"])
    api.delete_tasks(project, twins)
    return {str(number): sample for sample, number in first.items()}


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
    there = sent(api, project["id"], task.name)
    missing = sorted(set(task.samples["sample_id"].to_pylist()) - set(there.values()))
    if missing:
        api.import_tasks(project["id"], _tasks(api, config, task, project["id"], found, made, missing))
        there = sent(api, project["id"], task.name)
    if set(there.values()) != set(task.samples["sample_id"].to_pylist()):
        raise Broken(
            f"labelstudio: {len(there)} of {len(task.samples)} images are in the project {project['id']}; resume the run."
        )
    state = {
        "project": project["id"],
        "own": config.project is None,
        "tasks": dict(sorted(there.items())),
        **layout.to_state(),
    }
    baseline = baseline_of(made, layout)
    given = as_array(task.labels["label_id"])
    unsent = given.filter(pc.invert(pc.is_in(given, value_set=as_array(baseline["label_id"]))))
    return Receipt(task.name, {**state, "predictions": config.as_predictions}, baseline, unsent)


def _encoded(task: Task, layout: Layout, found: Controls) -> dict[str, codec.Encoded]:
    """The labels of each sample that has any."""
    names = ["sample_id", "width", "height"]
    sizes = {row["sample_id"]: size_of(row["width"], row["height"]) for row in task.samples.select(names).to_pylist()}
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


def baseline_of(made: Mapping[str, codec.Encoded], layout: Layout) -> pa.Table:
    """The labels as they come back while nobody has touched them: what was sent, read as it is read later."""
    shapes = Shapes()
    for number, one in enumerate(made.values()):
        codec.read(one.results, number, "sent", shapes, ReadReport())
    remote = codec.decode(shapes.take(), pa.array(list(made), pa.string()), layout)
    keys = zip(remote["sample_id"].to_pylist(), remote["remote_id"].to_pylist(), strict=True)
    label_ids = pa.array([made[sample].label_ids.get(id_) for sample, id_ in keys], pa.string())
    return set_columns(remote, label_id=label_ids)


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
