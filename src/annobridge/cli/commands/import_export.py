"""The commands ``import``, ``export`` and ``attach``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import show
from ..option_groups import Running
from ..options import DatasetOption, FormatOptions, JsonOption, open_dataset, parse_options
from ..wording import with_notes


class SaveMedia(StrEnum):
    COPY = "copy"
    LINK = "link"
    NONE = "none"


def import_(
    source: Annotated[
        Path, typer.Argument(help="A folder of images, label files in a folder or zip, or a dataset of another tool.")
    ],
    dataset: Annotated[str, typer.Argument(help="The dataset to make, or to add to.")],
    format: Annotated[  # noqa: A002 - the word that everybody looks for
        str | None, typer.Option("--format", "-f", help="folder, coco, yolo, cvat, …; found by looking if not given.")
    ] = None,
    mode: Annotated[str, typer.Option(help="create, overwrite or add.")] = "create",
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", help="A tag for the new samples; repeatable.")] = None,
    clip: Annotated[
        bool,
        typer.Option("--clip", help="Cut boxes and points that leave their image back to it (label files: always)."),
    ] = False,
    ignore: Annotated[
        bool, typer.Option("--ignore", help="Go on without label files that the format does not read.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Import nothing if something would be left out or changed.")
    ] = False,
    image_dir: Annotated[
        Path | None, typer.Option("--image-dir", help="The folder of the images, where label files are without them.")
    ] = None,
    field: Annotated[str | None, typer.Option(help="The label field; each type has its own by default.")] = None,
    as_predictions: Annotated[
        bool, typer.Option("--as-predictions", help="The labels are a model's: into the field predictions.")
    ] = False,
    classes: Annotated[str | None, typer.Option(metavar="A,B,…", help="The names of classes that are numbers.")] = None,
    coordinates: Annotated[str | None, typer.Option(help="pixels or normalized, where it is ambiguous.")] = None,
    schema: Annotated[
        str | None, typer.Option(metavar="FILE:CLASS", help="A pydantic model with the types of the attributes.")
    ] = None,
    *,
    running: Running,
    option: FormatOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Make a dataset of images, label files (COCO, YOLO, CVAT, …) or a dataset of another tool. Images stay where they are."""
    from ...io.import_dataset import import_dataset

    named = {
        "coordinates": coordinates, "schema": schema, "classes": classes, "image_dir": image_dir, "field": field,
        "as_predictions": as_predictions or None, **running.arguments(),
    }  # fmt: skip
    given = {name: value for name, value in named.items() if value is not None} | parse_options(option)
    invalid = "clip" if clip else "refuse"
    report = import_dataset(source, dataset, format, mode, tag or (), invalid, ignore, strict, **given)
    show.emit(with_notes(report.to_dict()), as_json, _imported)


def _imported(data: dict[str, Any]) -> Iterator[Any]:
    added = ", ".join(f"{count:,} {name}" for name, count in data["labels"].items())
    labels = f" and their labels ({added})" if added else ""
    yield f"Imported {show.plural(data['samples'], 'sample')}{labels} into {data['dataset']}."
    if data["reason"]:
        yield f"The format is {data['format']!r}, as {data['reason']}."
    if data["known"]:
        yield f"{show.plural(data['known'], 'sample')} of the source were there already, and stay as they are."
    for name, count in data["kept"].items():
        yield f"{count:,} labels were left out, as their samples have labels in {name!r} already."
    yield from (f"Note: {note}" for note in data["notes"])


def export(
    folder: Annotated[Path, typer.Argument(help="A new folder, or a name that ends with .zip.")],
    format: Annotated[str, typer.Option("--format", "-f", help="folder, coco, yolo, cvat, fiftyone, …")],  # noqa: A002 - as above
    dataset: DatasetOption = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", help="Only the labels of this field; repeatable.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="The first classes, in the order of their numbers.")
    ] = None,
    media: Annotated[
        SaveMedia | None, typer.Option("--media", help="Copy the images (as by default), link to them, or neither.")
    ] = None,
    reviewed: Annotated[
        str | None,
        typer.Option(metavar="KEY|FIELD", help="Tag samples that people have reviewed in this run or field."),
    ] = None,
    dialect: Annotated[str | None, typer.Option(help="The dialect of metadata.jsonl, for --format folder.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if the format cannot hold all labels as they are.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what the format would lose, and write nothing.")
    ] = False,
    at: Annotated[
        str | None, typer.Option(metavar="SNAPSHOT", help="The dataset as of this snapshot, and not as it is now.")
    ] = None,
    option: FormatOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Write a dataset in another tool's format."""
    named: dict[str, Any] = {
        "reviewed": reviewed, "dialect": dialect, "strict": strict or None, "fields": field,
        "classes": classes.split(",") if classes else None,
        "save_media": {None: None, "copy": True, "link": "link", "none": False}[media],
    }  # fmt: skip
    given = {name: value for name, value in named.items() if value is not None} | parse_options(option)
    view = open_dataset(dataset)
    if at is not None:
        view = view.at(at)
    if dry_run:
        losses = view.export_losses(format, **given)
        data = {"format": format, "losses": [asdict(loss) for loss in losses], "notes": list(map(str, losses))}
        show.emit(with_notes(data), as_json, _would_lose)
        return
    report = view.export(folder, format, **given)
    show.emit(with_notes(report.to_dict()), as_json, _exported)


def _exported(data: dict[str, Any]) -> Iterator[Any]:
    yield f"Wrote {show.plural(data['samples'], 'sample')}, which have {show.plural(data['labels'], 'label')}, to {data['folder']}."
    yield from (f"Note: {note}" for note in data["notes"])


def _would_lose(data: dict[str, Any]) -> Iterator[Any]:
    if not data["losses"]:
        yield f"An export as {data['format']} would lose nothing."
        return
    yield f"An export as {data['format']} would change or lose:"
    yield from (f"- {note}" for note in data["notes"])


def attach(
    uri: Annotated[str, typer.Argument(help="The LanceDB database: a folder, or s3://, gs://, az://.")],
    table: Annotated[str, typer.Option(help="The table of images.")] = "images",
    id: Annotated[str, typer.Option(help="Its column of ids.")] = "id",  # noqa: A002 - as in the library
    media: Annotated[str, typer.Option(help="Its column of paths, URIs, bytes or blobs.")] = "image",
    dataset: Annotated[str | None, typer.Option(help="Where annobridge's tables go, if not beside it.")] = None,
    labels: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN[=FIELD]", help="A column of labels to take over; repeatable.")
    ] = None,
    coordinates: Annotated[str, typer.Option(help="Of boxes in these columns: relative or pixels.")] = "relative",
    box_format: Annotated[str, typer.Option(help="Of boxes in these columns: xywh or xyxy.")] = "xywh",
    classes: Annotated[str | None, typer.Option(metavar="A,B,…", help="The names of classes that are numbers.")] = None,
    clip: Annotated[bool, typer.Option("--clip", help="Cut boxes that leave their image back to it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a dataset whose samples are a LanceDB table that is there already; the table is never written."""
    from ...io.attach import attach as attach_table

    ds = attach_table(uri, table, id, media, dataset)
    names = [name.strip() for name in classes.split(",")] if classes is not None else []
    invalid = "clip" if clip else "refuse"
    taken = {}
    for text in labels or ():
        column, _, field = text.partition("=")
        taken[field or column] = ds.adopt_labels(column, field or None, coordinates, box_format, names, invalid)
    data = {"dataset": ds.uri, "samples": len(ds), "labels": taken}
    show.emit(data, as_json, _attached)


def _attached(data: dict[str, Any]) -> Iterator[Any]:
    yield f"Attached {show.plural(data['samples'], 'sample')}; the dataset is {data['dataset']}."
    for field, count in data["labels"].items():
        yield f"Took over {show.plural(count, 'label')} into {field!r}."
