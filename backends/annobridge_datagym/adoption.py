"""The datasets of an existing project as tasks: their images and label configuration, and the state of a receipt for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend import FoundTask
from annobridge.core.labels import FOUND_MEDIA
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Denied, Gone, InvalidSchema, Rejected
from annobridge.formats.media import IMAGE_ERRORS, read_header
from annobridge.spill.temporary import file_of

from . import label_config
from .api import Api
from .existing_config import schema_of, vocabulary_of

Json = dict[str, Any]
_HEAD = 1 << 20  # bytes of an image in which its header has to be


def find(api: Api, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:
    """The datasets of a project, or those that are named. Raises ``Rejected``."""
    projects = api.projects()
    if project is not None:
        one = _only("project", [p for p in projects if p["id"] == project] or [p for p in projects if p["name"] == project],
                    project, sorted(p["name"] for p in projects))  # fmt: skip
        pairs = [(one, d) for d in one["datasets"]]
        if not pairs:
            raise Rejected(f"datagym: the project {one['name']!r} has no datasets, so there is nothing to adopt.")
    else:
        pairs = [(p, d) for p in projects for d in p["datasets"]]
    if tasks:
        shown = sorted(d["name"] for _, d in pairs)
        pairs = [_of_name(pairs, name, shown) for name in tasks]
    elif project is None:
        raise Rejected("datagym: give the project to adopt, by name or id, or some of its datasets as tasks=[…].")
    for one, dataset in sorted(pairs, key=lambda pair: str(pair[1]["name"])):
        yield _found(api, one, dataset)


def _key(project: Json, dataset: Json) -> str:
    return f"{project['id']}-{dataset['id']}"


def _of_name(pairs: Sequence[tuple[Json, Json]], name: str, shown: Sequence[str]) -> tuple[Json, Json]:
    found = [pair for pair in pairs if name in (_key(*pair), pair[1]["id"])]
    found = found or [pair for pair in pairs if pair[1]["name"] == name]
    if len(found) > 1 and len({d["id"] for _, d in found}) == 1:
        names = ", ".join(sorted(repr(p["name"]) for p, _ in found))
        raise Rejected(
            f"datagym: the dataset {name!r} is in {len(found)} projects ({names}); give the project as well."
        )
    pair: tuple[Json, Json] = _only("dataset", found, name, shown)
    return pair


def _only(what: str, found: Sequence[Any], wanted: str, shown: Sequence[str]) -> Any:
    if len(found) == 1:
        return found[0]
    if found:
        raise Rejected(f"datagym: {len(found)} {what}s are called {wanted!r}; give the id of one of them.")
    there = ", ".join(map(repr, shown[:5])) + " …" * (len(shown) > 5)
    raise Rejected(f"datagym: there is no {what} {wanted!r}, or not for this token; there is {there or 'none'}.")


def _found(api: Api, project: Json, dataset: Json) -> FoundTask:
    if project["mediaType"] != "IMAGE":
        raise Rejected(f"datagym: the project {project['name']!r} is one of videos, and annobridge adopts images only.")
    tasks = _tasks(api, project["id"])
    images = sorted((m for m in api.media(dataset["id"]) if m["id"] in tasks), key=lambda m: (m["mediaName"], m["id"]))
    if not images:
        raise Rejected(f"datagym: the dataset {dataset['name']!r} of the project {project['name']!r} has no images.")
    entries = label_config.read(api, project)
    if entries is None:
        raise Rejected(f"datagym: the server shows the label configuration of {project['name']!r} to no program.")
    sizes = [_size(api, image) for image in images]
    media = pa.table(
        {
            "name": [image["mediaName"] for image in images], "media_type": ["image"] * len(images),
            "width": [width for width, _ in sizes], "height": [height for _, height in sizes],
            "frames": [None] * len(images),
        },
        schema=FOUND_MEDIA,
    )  # fmt: skip
    state = {
        "project": project["id"], "dataset": dataset["id"], "media": [image["id"] for image in images],
        "tasks": [tasks[image["id"]]["taskId"] for image in images], "entries": entries,
    }  # fmt: skip
    title = f"{project['name']}: {dataset['name']}"
    return FoundTask(_key(project, dataset), title, media, schema_of(entries), state)


def _tasks(api: Api, project: str) -> dict[str, Json]:
    try:
        return {t["mediaId"]: t for t in api.tasks(project)}
    except (Gone, Denied) as error:
        raise Rejected(
            "datagym: this server shows tasks to no program, as older hosted ones, so that nothing can be adopted; export the "
            "project there, and import the file."
        ) from error


def _size(api: Api, image: Json) -> tuple[int, int]:
    """Width and height: as the server says, or from the head of the file where it does not. Raises ``Rejected``."""
    if image.get("width") and image.get("height"):
        return int(image["width"]), int(image["height"])
    head = b""
    for chunk in api.media_file(image["id"]):
        head += chunk
        try:
            return read_header(BytesIO(head)).shown
        except IMAGE_ERRORS:
            if len(head) > _HEAD:
                break
    raise Rejected(
        f"datagym: the image {image['mediaName']!r} cannot be read, so its labels have no place; delete it there."
    )


def adopt(found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
    """The state of a receipt, of the images that have a sample. Raises ``InvalidSchema``."""
    vocabulary, problems = vocabulary_of(schema, found.state["entries"])
    if problems:
        raise InvalidSchema(f"The label schema does not fit {found.title!r} at DataGym:", problems)
    columns = (found.media[n].to_pylist() for n in ("name", "width", "height"))
    rows = zip(sample_ids.to_pylist(), found.state["media"], found.state["tasks"], *columns, strict=True)
    kept = [row for row in rows if row[0] is not None]
    return {
        "project": found.state["project"], "dataset": found.state["dataset"], "own_project": False, "adopted": True,
        "samples": [row[0] for row in kept], "media": [row[1] for row in kept], "tasks": [row[2] for row in kept],
        "names": [row[3] for row in kept], "sizes": [list(row[4:]) for row in kept], "vocabulary": vocabulary.to_dict(),
    }  # fmt: skip


def read_media(api: Api, found: FoundTask, number: int) -> BinaryIO:
    """The file of an image."""
    return file_of(api.media_file(found.state["media"][number]))
