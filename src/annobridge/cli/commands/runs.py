"""The commands for runs that were sent: ``runs``, ``status``, ``resume``, ``abort``, ``cleanup``, ``rename`` and ``forget``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from .. import show
from ..options import BackendOptions, DatasetOption, JsonOption, KeyArgument, YesOption, open_dataset, parse_options


def runs(dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """List the annotation runs of a dataset, oldest first."""
    ds = open_dataset(dataset)
    found = [run_summary(ds.get_annotation_info(key)) for key in ds.list_annotation_runs()]
    show.emit(found, as_json, lambda rows: [runs_table(rows) if rows else f"{ds.uri} has no annotation run yet."])


def status(
    key: KeyArgument, dataset: DatasetOption = None, option: BackendOptions = None, as_json: JsonOption = False
) -> None:
    """How far a run is, in the tool and here."""
    ds = open_dataset(dataset)
    found = ds.load_annotation_results(key, **parse_options(option)).status()
    show.emit(found | {"loads": ds.get_annotation_info(key)["loads"]}, as_json, _status)


def _status(data: dict[str, Any]) -> Iterator[Any]:
    yield f"{data['anno_key']}: {data['state']}, {data['backend']}"
    rows = []
    for name, task in data["tasks"].items():
        rows.append([name, task["state"], ", ".join(f"{n} {state}" for state, n in task["samples"].items())])
        if len(task["jobs"]) > 1:
            rows += [[f"  {job['name']}", job["state"], job["assignee"] or ""] for job in task["jobs"]]
    yield show.table(["task", "state", "samples, or who has it"], rows)
    for url in task_urls(data):
        yield show.unwrapped(f"Work on it at {url}")
    if data["loads"]:
        yield _loads_table(data["loads"])


def _loads_table(loads: list[dict[str, Any]]) -> Any:
    counts = ("add", "edit", "delete")
    rows = [
        [load["number"], load["state"], show.short_time(load["time"]), *(load.get(c, 0) for c in counts)]
        for load in loads
    ]
    return show.table(["load", "state", "time (UTC)", *counts], rows, ("load", *counts))


def resume(
    key: KeyArgument, dataset: DatasetOption = None, option: BackendOptions = None, as_json: JsonOption = False
) -> None:
    """Finish sending a run that stopped half-way."""
    results = open_dataset(dataset).resume_annotation(key, **parse_options(option))
    show.emit(results.status(), as_json, _resumed)


def _resumed(data: dict[str, Any]) -> Iterator[Any]:
    yield f"{data['anno_key']} is sent."
    for url in task_urls(data):
        yield show.unwrapped(f"Work on it at {url}")


def abort(
    key: KeyArgument,
    dataset: DatasetOption = None,
    option: BackendOptions = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what a run made in the tool, and forget the run. Labels here stay."""
    ds = open_dataset(dataset)
    info = ds.get_annotation_info(key)
    show.confirm(f"Remove the run {key!r} from {info['backend']}, with all work in it that was not loaded?", yes)
    ds.abort_annotation(key, **parse_options(option))
    show.emit({"anno_key": key, "aborted": True}, as_json, lambda _: [f"{key} is gone, here and in {info['backend']}."])


def forget(
    key: KeyArgument, dataset: DatasetOption = None, yes: YesOption = False, as_json: JsonOption = False
) -> None:
    """Forget a run and its history. Labels here stay, and so does what is in the tool."""
    ds = open_dataset(dataset)
    info = ds.get_annotation_info(key)
    show.confirm(f"Forget the run {key!r}, so that no more work can be loaded from {info['backend']}, or undone?", yes)
    ds.delete_annotation_run(key)
    data = {"anno_key": key, "forgotten": True}
    show.emit(data, as_json, lambda _: [f"{key} is forgotten; labels here and tasks in {info['backend']} stay."])


def rename(
    key: KeyArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new key, as round_2.", show_default=False)],
    dataset: DatasetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a run another key."""
    open_dataset(dataset).rename_annotation_run(key, new)
    show.emit({"anno_key": new, "was": key}, as_json, lambda _: [f"{key} is {new} now."])


def cleanup(
    key: KeyArgument,
    dataset: DatasetOption = None,
    option: BackendOptions = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the tasks of a run from the tool. The run, and what it brought, stay here."""
    ds = open_dataset(dataset)
    results = ds.load_annotation_results(key, **parse_options(option))
    show.confirm(f"Remove the tasks of {key!r} from {results.backend.name}, with all work that was not loaded?", yes)
    results.cleanup()
    data = {"anno_key": key, "cleaned": True}
    show.emit(data, as_json, lambda _: [f"The tasks of {key} are removed from {results.backend.name}."])


def run_summary(run: dict[str, Any]) -> dict[str, Any]:
    """A run as data, for lists of runs."""
    applied = [load for load in run["loads"] if load["state"] == "applied"]
    return {
        "anno_key": run["anno_key"],
        "backend": run["backend"],
        "state": run["state"],
        "fields": sorted(run["label_schema"]),
        "created": run["created"],
        "loads": len(applied),
    }


def runs_table(runs: list[dict[str, Any]]) -> Any:
    """A table of ``run_summary``s."""
    rows = [
        [r["anno_key"], r["backend"], r["state"], ", ".join(r["fields"]), show.short_time(r["created"]), r["loads"]]
        for r in runs
    ]
    return show.table(["run", "backend", "state", "fields", "sent (UTC)", "loads"], rows, ("loads",))


def task_urls(status: dict[str, Any]) -> list[str]:
    """The addresses of the tasks of a status that have one."""
    return [task["url"] for task in status["tasks"].values() if task["url"]]
