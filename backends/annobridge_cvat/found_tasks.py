"""Tasks that people or other programs have made: found by id, name or project, described, and made part of a run."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend import FoundTask
from annobridge.core.labels import FOUND_MEDIA
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Gone, InvalidSchema, Rejected

from . import found_schema, jobs, label_set
from .api import Api
from .frames import first_number, is_video, number_step
from .media import number_prefix
from .vocabulary import VALUE, Entry, Vocabulary, conflicts_with, missing_in

Json = dict[str, Any]
_SHOWN = 5  # ids of tasks that a message names
_MAX_FILE = 1 << 30  # bytes of an image


def find(api: Api, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:
    """The tasks with these ids or names; or, without any, all of a project.

    Raises:
        Rejected: one does not exist, its name is not unique, or it cannot be adopted.
    """
    numbers = [_number(api, "tasks", task) for task in tasks]
    if project is not None:
        number = _number(api, "projects", project)
        numbers += [task["id"] for task in api.tasks_of(number)]
        if not numbers:
            raise Rejected(f"The project {project!r} has no tasks in CVAT, or none for you; give tasks, by id or name.")
    for number in numbers:
        yield _describe(api, api.task(number))


def _number(api: Api, collection: str, given: str) -> int:
    """The id of a task or project that is given by its id or its name."""
    what = collection[:-1]
    if given.isdecimal():
        try:
            return int((api.task if collection == "tasks" else api.project)(int(given))["id"])
        except Gone:
            pass
    found = api.named(collection, given)
    if not found:
        raise Rejected(
            f"CVAT has no {what} {given!r}, or not for you; give its id, as in the address of its page, or its exact name (is the "
            "`organization` given?)."
        )
    if len(found) > 1:
        ids = ", ".join(str(one["id"]) for one in found[:_SHOWN]) + " …" * (len(found) > _SHOWN)
        raise Rejected(f"CVAT has {len(found)} {collection} that are called {given!r}; give the id of one: {ids}.")
    return int(found[0]["id"])


def _describe(api: Api, task: Json) -> FoundTask:
    number = task["id"]
    all_jobs = api.jobs(number) if task.get("size") else []
    if problem := _problem(task, all_jobs):
        raise Rejected(f"The CVAT task {number} ({task['name']!r}) {problem}")
    meta, labels, annotations = api.concurrently(
        lambda: api.meta(number), lambda: api.labels(task_id=number), lambda: api.annotations("tasks", number)
    )
    media = pa.Table.from_pylist(list(_media(meta)), FOUND_MEDIA)
    schema = found_schema.infer(labels, annotations, in_video=is_video(meta))
    state = {"task": number, "is_video": is_video(meta), "names": [file["name"] for file in meta["frames"]]}
    return FoundTask(str(number), task["name"], media, schema, state)


def _problem(task: Json, all_jobs: Iterable[Json]) -> str | None:
    """Why a task cannot be adopted, as the end of a sentence."""
    if not task.get("size"):
        return "has no images or video yet; upload them there, or leave the task out."
    if task.get("media_type") == "audio" or task.get("dimension") == "3d":
        return "is of audio or 3D data, and annobridge has images and videos; leave it out."
    if task.get("validation_mode") == "gt_pool":
        return (
            "has honeypots, copies of some images among the others, which would count twice; export it as «CVAT for images», "
            "and import that file."
        )
    if not any(map(jobs.is_regular, all_jobs)):
        return "has no jobs of annotators for you, ground truth or replicas at most; ask its owner to assign its jobs to you."
    return None


def _media(meta: Json) -> Iterator[Json]:
    listed, video = meta["frames"], is_video(meta)
    prefixes = [number_prefix(n) for n in range(len(listed))]  # of the names that an upload by annobridge gives files
    is_ours = all(file["name"].startswith(prefix) for file, prefix in zip(listed, prefixes, strict=True))
    # Of a part of a video, or of every second frame, the length of the file is not known.
    whole = first_number(meta) == 1 and number_step(meta) == 1
    for file, prefix in zip(listed, prefixes, strict=True):
        yield {
            "name": file["name"].removeprefix(prefix if is_ours else ""),
            "media_type": "video" if video else "image",
            "width": file["width"],
            "height": file["height"],
            "frames": int(meta["size"]) if video and whole else None,
        }


def adopt(api: Api, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array, builtin: Mapping[str, str]) -> Json:
    """The state of a receipt for a task that was found.

    Args:
        api: the server.
        found: the task.
        schema: the fields that its labels go to.
        sample_ids: the sample of each of its files; null where there is none.
        builtin: the attributes that are builtin properties of CVAT, by name.

    Raises:
        InvalidSchema: its label set lacks classes or attributes of the schema, or has them in another form.
    """
    number = found.state["task"]
    labels = api.labels(task_id=number)
    by_name = {label["name"]: label for label in labels}
    vocabulary = Vocabulary.of(schema, builtin)
    entries = [_as_mutable_as(e, by_name.get(e.name)) for e in vocabulary.entries]
    problems = [f"the task has no {_without_article(text)}." for e in entries for text in missing_in(e, by_name)]
    problems += [f"{text} in CVAT." for e in entries for text in conflicts_with(e, by_name)]
    is_video = found.state["is_video"]
    cure = "name it 'frames.…', as it is a video" if is_video else "name it without 'frames.', as there is no video"
    problems += [f"{name}: {cure}." for name, spec in schema.fields.items() if spec.in_video != is_video]
    if problems:
        raise InvalidSchema(
            f"The label set of the CVAT task {number} ({found.title!r}) is another one; it has "
            f'{"; ".join(map(_described, labels)) or "no labels"}. Give label_schema as it is there, or "infer":',
            problems,
        )
    vocabulary = Vocabulary(entries, vocabulary.kinds).with_ids(labels)
    stored = {
        "task": number, "project": label_set.project_of(labels), "samples": sample_ids.to_pylist(),
        "names": found.state["names"], "vocabulary": vocabulary.to_dict(),
    }  # fmt: skip
    return {"tasks": [stored], "project": None, "scalars": _scalars(api, number, vocabulary)}


def _as_mutable_as(entry: Entry, label: Json | None) -> Entry:
    """The entry with attributes that are mutable where those of the label are: it matters for tracks only, where CVAT decides."""
    mutable = {a["name"]: bool(a["mutable"]) for a in label["attributes"]} if label else {}
    return replace(
        entry, definitions=tuple(replace(a, mutable=mutable.get(a.name, a.mutable)) for a in entry.definitions)
    )


def _without_article(text: str) -> str:
    return text.removeprefix("the ")


def _described(label: Json) -> str:
    attributes = ", ".join(f"{a['name']} ({a['input_type']})" for a in label["attributes"])
    return f"{label['name']!r}" + f" with {attributes}" * bool(attributes)


def _scalars(api: Api, number: int, vocabulary: Vocabulary) -> dict[str, str]:
    """The attribute type of each scalar field, by the values that the task has: CVAT has them all as texts."""
    fields = {
        e.number: (f, e.attributes.get(VALUE)) for e in vocabulary.entries if e.label is None for f in e.fields.values()
    }
    strings: dict[str, list[str]] = {field: [] for field, _ in fields.values()}
    for tag in api.annotations("tasks", number)["tags"] if fields else ():
        field, spec = fields.get(tag["label_id"], ("", None))
        strings.get(field, []).extend(a["value"] for a in tag["attributes"] if a["spec_id"] == spec and a["value"])
    return {field: found_schema.type_of(found) for field, found in strings.items()}


def read_media(api: Api, found: FoundTask, number: int) -> BinaryIO:
    """An original file of a task that was found.

    Raises:
        Rejected: it is a video: the server gives its frames only.
    """
    if found.state["is_video"]:
        raise Rejected(
            f"CVAT gives the frames of a video, and not its file {found.state['names'][0]!r}; import the file into the dataset "
            "first, and adopt the task then."
        )
    params = {"type": "frame", "quality": "original", "number": number}
    path = f"/api/tasks/{found.state['task']}/data"
    return io.BytesIO(b"".join(api.http.stream(path, params, limit=_MAX_FILE)))
