"""Projects that others have made: their images and fields, and the state of a receipt for one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from annobridge.backend import FoundTask
from annobridge.core.labels import FOUND_MEDIA
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import InvalidSchema, Rejected
from annobridge.formats.labelstudio.label_config import parse
from annobridge.formats.labelstudio.layout import Layout, found_fields, scalar_types
from annobridge.formats.labelstudio.results import size_of
from annobridge.formats.labelstudio.urls import image_name

from .api import FILE, Api, Json, named
from .config import LabelStudioConfig

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of a file


def find(api: Api, names: Sequence[str]) -> Iterator[FoundTask]:
    """The projects with these ids or titles. Raises ``Rejected`` for one that there is not, or that shows no single image."""
    for name in names:
        project = named(api, name)
        controls = parse(project["label_config"])
        if (many := len(controls.images)) != 1:
            raise Rejected(f"labelstudio: the project {name!r} shows {many} images at once, and cannot be adopted.")
        (key,) = controls.images.values()
        tasks = [t for t in api.tasks(project["id"], None, labels=True) if isinstance(t["data"].get(key), str)]
        if not tasks:
            raise Rejected(f"labelstudio: the project {name!r} has no task with an image, so nothing can be adopted.")
        state = {
            "project": project["id"], "config": project["label_config"], "tasks": [task["id"] for task in tasks],
            "addresses": [task["data"][key] for task in tasks],
        }  # fmt: skip
        media = pa.Table.from_pylist([_medium(task, key) for task in tasks], schema=FOUND_MEDIA)
        yield FoundTask(str(project["id"]), project["title"], media, found_fields(controls)[0], state)


def _medium(task: Json, key: str) -> Json:
    name = task["data"].get(FILE) or _UPLOADED.sub("", image_name(task["data"][key]) or f"task {task['id']}")
    size = size_of([one for group in (*task["annotations"], *task["predictions"]) for one in group["result"]])
    return {"name": name, "media_type": "image", "width": size and size[0], "height": size and size[1]}


def adopt(found: FoundTask, config: LabelStudioConfig, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
    """The state of a receipt, of the tasks that have a sample. Raises ``InvalidSchema``."""
    controls = parse(found.state["config"])
    names = {**found_fields(controls)[1], **config.controls}
    layout = Layout(schema, names, scalar_types(schema, names, controls))
    if problems := list(layout.misfits(controls, found.title)):
        raise InvalidSchema("The label schema does not fit the project:", problems)
    pairs = zip(found.state["tasks"], sample_ids.to_pylist(), strict=True)
    tasks = {str(number): sample for number, sample in pairs if sample is not None}
    return {"project": found.state["project"], "own": False, "adopted": True, "tasks": tasks, **layout.to_state()}
