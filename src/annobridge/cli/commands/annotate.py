"""The command ``annotate``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from .. import show
from ..option_groups import Running, Selection
from ..options import (
    BackendName,
    BackendOptions,
    DatasetOption,
    JsonOption,
    Limit,
    MediaField,
    NewKey,
    SchemaOption,
    Strict,
    open_dataset,
    parse_options,
    parse_pairs,
    read_schema,
    split_commas,
)
from .runs import task_urls

FieldOption = Annotated[str | None, typer.Option("--field", help="The label field, new or existing.")]
LabelTypeOption = Annotated[str | None, typer.Option("--label-type", "--type", help="Its label type, as detections.")]
ClassesOption = Annotated[str | None, typer.Option(metavar="A,B,…", help="Its classes; by default those that it has.")]
AttributesOption = Annotated[
    str | None, typer.Option(metavar="A,B,… | none", help="Its attributes; by default those that it has.")
]
Additions = Annotated[bool, typer.Option("--allow-additions/--no-allow-additions", help="New labels.")]
Deletions = Annotated[bool, typer.Option("--allow-deletions/--no-allow-deletions", help="Deleted labels.")]
ClassEdits = Annotated[bool, typer.Option("--allow-label-edits/--no-allow-label-edits", help="Other classes.")]
IndexEdits = Annotated[bool, typer.Option("--allow-index-edits/--no-allow-index-edits", help="Other tracks.")]
SpatialEdits = Annotated[bool, typer.Option("--allow-spatial-edits/--no-allow-spatial-edits", help="Other shapes.")]
FilterLabels = Annotated[
    list[str] | None,
    typer.Option("--filter-labels", metavar="FIELD=SQL", help="The same, and only these labels of the field are sent."),
]


def annotate(
    *,
    key: NewKey,
    dataset: DatasetOption = None,
    field: FieldOption = None,
    label_type: LabelTypeOption = None,
    classes: ClassesOption = None,
    attributes: AttributesOption = None,
    schema: SchemaOption = None,
    allow_additions: Additions = True,
    allow_deletions: Deletions = True,
    allow_label_edits: ClassEdits = True,
    allow_index_edits: IndexEdits = True,
    allow_spatial_edits: SpatialEdits = True,
    selection: Selection,
    filter_labels: FilterLabels = None,
    limit: Limit = None,
    media_field: MediaField = "filepath",
    backend: BackendName = None,
    option: BackendOptions = None,
    strict: Strict = False,
    running: Running,
    launch: Annotated[bool, typer.Option("--launch", help="Open the tool in the browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send samples and their labels to an annotation tool."""
    view = selection.view(open_dataset(dataset))
    for name, condition in parse_pairs(filter_labels, "--filter-labels", "objects=score < 0.5").items():
        view = view.filter_labels(name, condition)
    view = view.limit(limit) if limit else view
    results = view.annotate(
        key, label_schema=read_schema(schema), label_field=field, label_type=label_type, classes=split_commas(classes),
        attributes=_attributes(attributes), allow_additions=allow_additions, allow_deletions=allow_deletions,
        allow_label_edits=allow_label_edits, allow_index_edits=allow_index_edits,
        allow_spatial_edits=allow_spatial_edits, media_field=media_field, backend=backend, launch_editor=launch,
        strict=strict, **running.arguments(), **parse_options(option),
    )  # fmt: skip
    data = results.status() | {"label_schema": results.run.schema.to_dict(), "samples": len(view)}
    after = None if results.backend.in_process else next_command(key, dataset, option)
    show.emit(data | {"next": after}, as_json, _sent)


def _attributes(text: str | None) -> bool | list[str] | None:
    """The argument ``attributes`` of ``annotate``: ``True`` for all that the labels have, ``False`` for none, or names."""
    return text is None or (False if text == "none" else split_commas(text))


def next_command(key: str, dataset: str | None, options: list[str] | None) -> str:
    """The command that shows what was changed in the tool."""
    dataset_option = ("-d", dataset) if dataset else ()
    # Addresses are not stored with a run, and have to be given again.
    addresses = (part for text in options or () if text.startswith("url=") for part in ("-o", text))
    return shlex.join(["annobridge", "plan", key, *dataset_option, *addresses])


def _sent(data: dict[str, Any]) -> Iterator[Any]:
    what = ", ".join(f"{name} ({f['type']})" for name, f in data["label_schema"].items())
    yield f"Sent {show.plural(data['samples'], 'sample')} to {data['backend']} as {data['anno_key']!r}: {what}."
    for url in task_urls(data):
        yield show.unwrapped(f"Work on it at {url}")
    if data["next"]:
        yield show.unwrapped(f"Then look at what came of it: {data['next']}")
    else:
        yield (
            f"The tool of the backend {data['backend']!r} ends with this command, so that nothing can be loaded from it. "
            f"`annobridge forget {data['anno_key']}` removes the run; in Python, the tool lasts as long as the process."
        )
