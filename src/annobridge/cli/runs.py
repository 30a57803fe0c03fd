"""Commands about runs: send one, look at it, finish it, remove it."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import InvalidSchema
from . import show
from .data import run_line, runs_table
from .options import AsJson, Given, Key, Place, Yes, backend_options, open_dataset, pairs, words

if TYPE_CHECKING:
    from ..dataset import Dataset, View


NewKey = Annotated[str, typer.Argument(metavar="KEY", help="A new name for this run, as round_1.", show_default=False)]
Field = Annotated[str | None, typer.Option("--field", help="The label field, new or existing.")]
LabelType = Annotated[str | None, typer.Option("--label-type", "--type", help="Its label type, as detections.")]
Classes = Annotated[str | None, typer.Option(metavar="A,B,…", help="Its classes; by default those that it has.")]
Attributes = Annotated[
    str | None, typer.Option(metavar="A,B,… | none", help="Its attributes; by default those that it has.")
]
Schema = Annotated[Path | None, typer.Option(help="A label schema instead: a .json or .toml file.")]
Additions = Annotated[bool, typer.Option("--allow-additions/--no-allow-additions", help="New labels.")]
Deletions = Annotated[bool, typer.Option("--allow-deletions/--no-allow-deletions", help="Deleted labels.")]
ClassEdits = Annotated[bool, typer.Option("--allow-label-edits/--no-allow-label-edits", help="Other classes.")]
IndexEdits = Annotated[bool, typer.Option("--allow-index-edits/--no-allow-index-edits", help="Other tracks.")]
Moves = Annotated[bool, typer.Option("--allow-spatial-edits/--no-allow-spatial-edits", help="Other shapes.")]
Where = Annotated[str | None, typer.Option(metavar="SQL", help="Only these samples, as \"split = 'train'\".")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="Only samples with this tag; repeatable: with one of them.")
]
Samples = Annotated[list[str] | None, typer.Option("--sample", metavar="ID", help="Only this sample; repeatable.")]
WithLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--match-labels", metavar="FIELD=SQL", help='Only samples with such a label, as "objects=score < 0.5".'
    ),
]
OnlyLabels = Annotated[
    list[str] | None,
    typer.Option("--filter-labels", metavar="FIELD=SQL", help="The same, and only these labels of the field are sent."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")]
MediaField = Annotated[str, typer.Option(help="The column with the files that are sent.")]
Strict = Annotated[bool, typer.Option("--strict", help="Send nothing if some labels would not be sent as they are.")]
Tool = Annotated[str | None, typer.Option("--backend", "-b", help="The tool; by default the configured one.")]


def annotate(
    key: NewKey,
    dataset: Place = None,
    field: Field = None,
    label_type: LabelType = None,
    classes: Classes = None,
    attributes: Attributes = None,
    schema: Schema = None,
    allow_additions: Additions = True,
    allow_deletions: Deletions = True,
    allow_label_edits: ClassEdits = True,
    allow_index_edits: IndexEdits = True,
    allow_spatial_edits: Moves = True,
    where: Where = None,
    tag: Tags = None,
    sample: Samples = None,
    match_labels: WithLabels = None,
    filter_labels: OnlyLabels = None,
    limit: Limit = None,
    media_field: MediaField = "filepath",
    backend: Tool = None,
    option: Given = None,
    strict: Strict = False,
    launch: Annotated[bool, typer.Option("--launch", help="Open the tool in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send samples and their labels to an annotation tool."""
    view = _view(open_dataset(dataset), where, tag, sample, match_labels, filter_labels, limit)
    results = view.annotate(
        key, label_schema=_schema(schema), label_field=field, label_type=label_type, classes=words(classes),
        attributes=_attributes(attributes), allow_additions=allow_additions, allow_deletions=allow_deletions,
        allow_label_edits=allow_label_edits, allow_index_edits=allow_index_edits,
        allow_spatial_edits=allow_spatial_edits, media_field=media_field, backend=backend, launch_editor=launch,
        strict=strict, **backend_options(option),
    )  # fmt: skip
    data = results.status() | {"label_schema": results.run.schema.to_dict(), "samples": len(view)}
    following = None if results.backend.in_process else _following(key, dataset, option)
    show.emit(data | {"next": following}, as_json, _sent)


def _view(
    ds: Dataset,
    where: str | None,
    tags: list[str] | None,
    samples: list[str] | None,
    match_labels: list[str] | None,
    filter_labels: list[str] | None,
    limit: int | None,
) -> View:
    """The part of the dataset that the filters leave, in the order in which the options are listed."""
    view: View = ds.match(where) if where else ds
    view = view.match_tags(*tags) if tags else view
    view = view.select(samples) if samples else view
    for field, condition in pairs(match_labels, "--match-labels", "objects=score < 0.5").items():
        view = view.match_labels(field, condition)
    for field, condition in pairs(filter_labels, "--filter-labels", "objects=score < 0.5").items():
        view = view.filter_labels(field, condition)
    return view.limit(limit) if limit else view


def _attributes(text: str | None) -> bool | list[str] | None:
    """Those that the labels have, none, or some by name."""
    return text is None or (False if text == "none" else words(text))


def _following(key: str, dataset: str | None, options: list[str] | None) -> str:
    """The command to look at the work with."""
    place = ("-d", dataset) if dataset else ()
    addresses = (part for o in options or () if _is_address(o) for part in ("-o", o))
    return shlex.join(["annobridge", "plan", key, *place, *addresses])


def _is_address(option: str) -> bool:
    """Whether an option has to be given again: addresses are not kept with a run."""
    return option.startswith("url=")


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
    for url in _urls(data):
        yield show.whole(f"Work on it at {url}")
    if data["next"]:
        yield show.whole(f"Then look at what came of it: {data['next']}")
    else:
        yield (
            f"The tool of the backend {data['backend']!r} ends with this command, so that nothing can be loaded from it. "
            f"`annobridge forget {data['anno_key']}` removes the run; in Python, the tool lasts as long as the process."
        )


def _urls(status: dict[str, Any]) -> list[str]:
    return [task["url"] for task in status["tasks"].values() if task["url"]]


def runs(dataset: Place = None, as_json: AsJson = False) -> None:
    """List the annotation runs of a dataset, oldest first."""
    ds = open_dataset(dataset)
    found = [run_line(ds.get_annotation_info(key)) for key in ds.list_annotation_runs()]
    show.emit(found, as_json, lambda rows: [runs_table(rows) if rows else f"{ds.uri} has no annotation run yet."])


def status(key: Key, dataset: Place = None, option: Given = None, as_json: AsJson = False) -> None:
    """How far a run is, in the tool and here."""
    ds = open_dataset(dataset)
    found = ds.load_annotation_results(key, **backend_options(option)).status()
    show.emit(found | {"loads": ds.get_annotation_info(key)["loads"]}, as_json, _status)


def _status(data: dict[str, Any]) -> Iterator[Any]:
    yield f"{data['anno_key']}: {data['state']}, {data['backend']}"
    rows = []
    for name, task in data["tasks"].items():
        rows.append([name, task["state"], ", ".join(f"{n} {state}" for state, n in task["samples"].items())])
        if len(task["jobs"]) > 1:
            rows += [[f"  {job['name']}", job["state"], job["assignee"] or ""] for job in task["jobs"]]
    yield show.table(["task", "state", "samples, or who has it"], rows)
    for url in _urls(data):
        yield show.whole(f"Work on it at {url}")
    if data["loads"]:
        yield loads_table(data["loads"])


def loads_table(loads: list[dict[str, Any]]) -> Any:
    """What each load did."""
    counts = ("add", "edit", "delete")
    rows = [
        [load["number"], load["state"], show.ago(load["time"]), *(load.get(c, 0) for c in counts)] for load in loads
    ]
    return show.table(["load", "state", "time (UTC)", *counts], rows, ("load", *counts))


def resume(key: Key, dataset: Place = None, option: Given = None, as_json: AsJson = False) -> None:
    """Finish sending a run that stopped half-way."""
    results = open_dataset(dataset).resume_annotation(key, **backend_options(option))
    show.emit(results.status(), as_json, _resumed)


def _resumed(data: dict[str, Any]) -> Iterator[Any]:
    yield f"{data['anno_key']} is sent."
    for url in _urls(data):
        yield show.whole(f"Work on it at {url}")


def abort(key: Key, dataset: Place = None, option: Given = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove what a run made in the tool, and forget the run. Labels here stay."""
    ds = open_dataset(dataset)
    info = ds.get_annotation_info(key)
    show.confirm(f"Remove the run {key!r} from {info['backend']}, with all work in it that was not loaded?", yes)
    ds.abort_annotation(key, **backend_options(option))
    show.emit({"anno_key": key, "aborted": True}, as_json, lambda _: [f"{key} is gone, here and in {info['backend']}."])


def forget(key: Key, dataset: Place = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Forget a run and its history. Labels here stay, and so does what is in the tool."""
    ds = open_dataset(dataset)
    info = ds.get_annotation_info(key)
    show.confirm(f"Forget the run {key!r}, so that no more work can be loaded from {info['backend']}, or undone?", yes)
    ds.delete_annotation_run(key)
    data = {"anno_key": key, "forgotten": True}
    show.emit(data, as_json, lambda _: [f"{key} is forgotten; labels here and tasks in {info['backend']} stay."])


def rename(
    key: Key,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new key, as round_2.", show_default=False)],
    dataset: Place = None,
    as_json: AsJson = False,
) -> None:
    """Give a run another key."""
    open_dataset(dataset).rename_annotation_run(key, new)
    show.emit({"anno_key": new, "was": key}, as_json, lambda _: [f"{key} is {new} now."])


def cleanup(key: Key, dataset: Place = None, option: Given = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove the tasks of a run from the tool. The run, and what it brought, stay here."""
    ds = open_dataset(dataset)
    results = ds.load_annotation_results(key, **backend_options(option))
    show.confirm(f"Remove the tasks of {key!r} from {results.backend.name}, with all work that was not loaded?", yes)
    results.cleanup()
    data = {"anno_key": key, "cleaned": True}
    show.emit(data, as_json, lambda _: [f"The tasks of {key} are removed from {results.backend.name}."])
