"""The command ``adopt``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from ...core.wording import LISTED
from .. import show
from ..options import (
    BackendName,
    BackendOptions,
    DatasetOption,
    JsonOption,
    MediaField,
    NewKey,
    SchemaOption,
    open_dataset,
    parse_options,
    read_schema,
)
from .annotate import next_command


class MatchBy(StrEnum):
    NAME = "name"
    PATH = "path"


def adopt(
    *,
    key: NewKey,
    dataset: DatasetOption = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="ID", help="A task in the tool, by id or name; repeatable.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="The project; without --task, all of its tasks are adopted.")
    ] = None,
    schema: SchemaOption = None,
    match: Annotated[
        MatchBy,
        typer.Option(help="Find the sample of an image by its file name, or by as much of the path as both have."),
    ] = MatchBy.NAME,
    create: Annotated[
        bool, typer.Option("--create", help="Download images that are not here, and add them as samples.")
    ] = False,
    media_field: MediaField = "filepath",
    backend: BackendName = None,
    option: BackendOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Make tasks a run that people or other programs made in the tool. Nothing is changed there.

    Without --schema, classes and attributes are those of the tasks. Afterwards it is a run as any other: plan, load, push, undo.
    """
    found = read_schema(schema)
    adoption = open_dataset(dataset).adopt_annotation(
        key, backend=backend, tasks=task or (), project=project, label_schema="infer" if found is None else found,
        match=match.value, create=create, media_field=media_field, **parse_options(option),
    )  # fmt: skip
    show.emit(adoption.to_dict() | {"next": next_command(key, dataset, option)}, as_json, _adopted)


def _adopted(data: dict[str, Any]) -> Iterator[Any]:
    yield f"Adopted {show.plural(len(data['tasks']), 'task')} as {data['anno_key']!r}: {', '.join(data['tasks'])}."
    media, labels = ("matched", "created"), ("paired", "by_id", "ambiguous", "only_there", "only_here")
    texts = {
        "matched": "are samples here", "created": "were downloaded, and are samples now", "paired": "are here too",
        "by_id": "of these, by their id", "ambiguous": "of these, where another one fits about as well",
        "only_there": "are only in the tool; a load adds them", "only_here": "are only here; a push adds them",
    }  # fmt: skip
    missing = len(data["unmatched"])
    rows = [["images", data[name], texts[name]] for name in media] + [["images", missing, "have no sample here"]]
    rows += [["labels", data[name], texts[name]] for name in labels]
    yield show.table(["what", "count", "which"], [row for row in rows if row[1]], ("count",))
    if missing:
        yield show.heading("Without a sample, so that their labels are left out (--create adds them):")
        yield show.table(["task", "image"], [[row["task"], row["name"]] for row in data["unmatched"][:LISTED]])
        yield from show.more(missing - LISTED, "image", "--json lists all")
    yield show.unwrapped(f"Then look at what is different: {data['next']}")
