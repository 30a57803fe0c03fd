"""The command ``annotate``."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...exceptions import InvalidSchema
from .. import show
from ..options import BackendOptions, DatasetOption, JsonOption, open_dataset, parse_options, parse_pairs, split_commas
from .runs import task_urls

if TYPE_CHECKING:
    from ...dataset import Dataset, View

NewKey = Annotated[str, typer.Argument(metavar="KEY", help="A new name for this run, as round_1.", show_default=False)]
FieldOption = Annotated[str | None, typer.Option("--field", help="The label field, new or existing.")]
LabelTypeOption = Annotated[str | None, typer.Option("--label-type", "--type", help="Its label type, as detections.")]
ClassesOption = Annotated[str | None, typer.Option(metavar="A,B,…", help="Its classes; by default those that it has.")]
AttributesOption = Annotated[
    str | None, typer.Option(metavar="A,B,… | none", help="Its attributes; by default those that it has.")
]
SchemaOption = Annotated[Path | None, typer.Option(help="A label schema instead: a .json or .toml file.")]
Additions = Annotated[bool, typer.Option("--allow-additions/--no-allow-additions", help="New labels.")]
Deletions = Annotated[bool, typer.Option("--allow-deletions/--no-allow-deletions", help="Deleted labels.")]
ClassEdits = Annotated[bool, typer.Option("--allow-label-edits/--no-allow-label-edits", help="Other classes.")]
IndexEdits = Annotated[bool, typer.Option("--allow-index-edits/--no-allow-index-edits", help="Other tracks.")]
SpatialEdits = Annotated[bool, typer.Option("--allow-spatial-edits/--no-allow-spatial-edits", help="Other shapes.")]
Where = Annotated[str | None, typer.Option(metavar="SQL", help="Only these samples, as \"split = 'train'\".")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="Only samples with this tag; repeatable: with one of them.")
]
Samples = Annotated[list[str] | None, typer.Option("--sample", metavar="ID", help="Only this sample; repeatable.")]
MatchLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--match-labels", metavar="FIELD=SQL", help='Only samples with such a label, as "objects=score < 0.5".'
    ),
]
FilterLabels = Annotated[
    list[str] | None,
    typer.Option("--filter-labels", metavar="FIELD=SQL", help="The same, and only these labels of the field are sent."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")]
MediaField = Annotated[str, typer.Option(help="The column with the files that are sent.")]
Strict = Annotated[bool, typer.Option("--strict", help="Send nothing if some labels would not be sent as they are.")]
BackendName = Annotated[str | None, typer.Option("--backend", "-b", help="The tool; by default the configured one.")]


def annotate(
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
    where: Where = None,
    tag: Tags = None,
    sample: Samples = None,
    match_labels: MatchLabels = None,
    filter_labels: FilterLabels = None,
    limit: Limit = None,
    media_field: MediaField = "filepath",
    backend: BackendName = None,
    option: BackendOptions = None,
    strict: Strict = False,
    launch: Annotated[bool, typer.Option("--launch", help="Open the tool in the browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send samples and their labels to an annotation tool."""
    view = _view(open_dataset(dataset), where, tag, sample, match_labels, filter_labels, limit)
    results = view.annotate(
        key, label_schema=_schema(schema), label_field=field, label_type=label_type, classes=split_commas(classes),
        attributes=_attributes(attributes), allow_additions=allow_additions, allow_deletions=allow_deletions,
        allow_label_edits=allow_label_edits, allow_index_edits=allow_index_edits,
        allow_spatial_edits=allow_spatial_edits, media_field=media_field, backend=backend, launch_editor=launch,
        strict=strict, **parse_options(option),
    )  # fmt: skip
    data = results.status() | {"label_schema": results.run.schema.to_dict(), "samples": len(view)}
    next_command = None if results.backend.in_process else _next_command(key, dataset, option)
    show.emit(data | {"next": next_command}, as_json, _sent)


def _view(
    ds: Dataset,
    where: str | None,
    tags: list[str] | None,
    samples: list[str] | None,
    match_labels: list[str] | None,
    filter_labels: list[str] | None,
    limit: int | None,
) -> View:
    """The view that the filters select; they apply in the order in which the help lists them."""
    view: View = ds.match(where) if where else ds
    view = view.match_tags(*tags) if tags else view
    view = view.select(samples) if samples else view
    for field, condition in parse_pairs(match_labels, "--match-labels", "objects=score < 0.5").items():
        view = view.match_labels(field, condition)
    for field, condition in parse_pairs(filter_labels, "--filter-labels", "objects=score < 0.5").items():
        view = view.filter_labels(field, condition)
    return view.limit(limit) if limit else view


def _attributes(text: str | None) -> bool | list[str] | None:
    """The argument ``attributes`` of ``annotate``: ``True`` for all that the labels have, ``False`` for none, or names."""
    return text is None or (False if text == "none" else split_commas(text))


def _next_command(key: str, dataset: str | None, options: list[str] | None) -> str:
    """The command that shows what was changed in the tool."""
    dataset_option = ("-d", dataset) if dataset else ()
    # Addresses are not stored with a run, and have to be given again.
    addresses = (part for text in options or () if text.startswith("url=") for part in ("-o", text))
    return shlex.join(["annobridge", "plan", key, *dataset_option, *addresses])


def _schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        text = path.read_text("utf-8-sig")
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InvalidSchema("", [f"The label schema {str(path)!r} cannot be read: {error.strerror}."]) from None
    except ValueError as error:
        raise InvalidSchema("", [f"The label schema {str(path)!r} is not well formed: {error}."]) from None


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
