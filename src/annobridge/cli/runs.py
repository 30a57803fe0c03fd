"""Commands about runs: send one, look at it, finish it, remove it."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ..exceptions import InvalidSchema
from . import show
from .data import run_line, runs_table
from .options import AsJson, Given, Key, Place, Yes, backend_options, open_dataset, words


def annotate(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A new name for this run, as round_1.", show_default=False)],
    dataset: Place = None,
    field: Annotated[str | None, typer.Option(help="The label field, new or existing.")] = None,
    label_type: Annotated[str | None, typer.Option("--type", help="Its label type, as detections.")] = None,
    classes: Annotated[str | None, typer.Option(help="Its classes, as car,person.")] = None,
    schema: Annotated[Path | None, typer.Option(help="A label schema instead: a .json or .toml file.")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Only these samples, as \"split = 'train'\".")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", help="The tool; by default the configured one.")
    ] = None,
    option: Given = None,
    launch: Annotated[bool, typer.Option("--launch", help="Open the tool in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send samples and their labels to an annotation tool."""
    ds = open_dataset(dataset)
    view = ds.match(where) if where else ds
    view = view.limit(limit) if limit else view
    results = view.annotate(
        key, label_schema=_schema(schema), label_field=field, label_type=label_type, classes=words(classes),
        backend=backend, launch_editor=launch, **backend_options(option),
    )  # fmt: skip
    more = [
        *(("-d", dataset) if dataset else ()),
        *(part for o in option or () if _is_address(o) for part in ("-o", o)),
    ]
    following = shlex.join(["annobridge", "plan", key, *more])
    data = results.status() | {"label_schema": results.run.schema.to_dict(), "samples": len(view), "next": following}
    show.emit(data, as_json, _sent)


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
    yield show.whole(f"Then look at what came of it: {data['next']}")


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
