"""The commands for runs that were sent: ``runs``, ``status``, ``resume``, ``abort``, ``cleanup``, ``rename`` and ``forget``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import show
from ..option_groups import Running
from ..options import BackendOptions, DatasetOption, JsonOption, KeyArgument, YesOption, open_dataset, parse_options

if TYPE_CHECKING:
    from ...dataset import Dataset

_HISTORY = {"loads": "load", "extensions": "extension", "pushes": "push"}
_DONE = {"loads": "applied", "extensions": "extended", "pushes": "pushed"}


def runs(dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """List the annotation runs of a dataset, oldest first."""
    ds = open_dataset(dataset)
    found = run_summaries(ds)
    show.emit(found, as_json, lambda rows: [runs_table(rows) if rows else f"{ds.uri} has no annotation run yet."])


def status(
    key: KeyArgument, dataset: DatasetOption = None, option: BackendOptions = None, as_json: JsonOption = False
) -> None:
    """How far a run is, in the tool and here."""
    ds = open_dataset(dataset)
    found = ds.load_annotation_results(key, **parse_options(option)).status()
    info = ds.get_annotation_info(key)
    history = {name: info[name] for name in _HISTORY} | {"adopted": info["options"].get("adopted", 0)}
    show.emit(found | history | {"seen_reviewed": len(ds.match_reviewed(key))}, as_json, _status)


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
    told = [task["reviewed"] for task in data["tasks"].values() if task["reviewed"] is not None]
    if told or data["seen_reviewed"]:
        in_tool = f"{sum(told):,} in the tool, " if told else ""
        yield f"Reviewed: {in_tool}{data['seen_reviewed']:,} as of the last load."
    if data["adopted"]:
        yield f"Of its tasks, {data['adopted']:,} were adopted; they stay in the tool."
    if any(data[name] for name in _HISTORY):
        yield _history_table(data)


def _history_table(data: dict[str, Any]) -> Any:
    """The loads, extensions and pushes, in order."""
    counts = ("add", "edit", "delete")
    events = sorted(
        ((event, word) for name, word in _HISTORY.items() for event in data[name]), key=lambda e: e[0]["number"]
    )
    rows = [
        [
            f"{word} {event['number']}", event["state"], show.short_time(event["time"]),
            *(event.get(c, 0) if word != "extension" else "" for c in counts), event.get("samples", ""),
        ]
        for event, word in events
    ]  # fmt: skip
    columns = ["event", "state", "time (UTC)", *counts, "samples"]
    return show.table(columns, rows, (*counts, "samples"))


def resume(
    *,
    key: KeyArgument,
    dataset: DatasetOption = None,
    running: Running,
    option: BackendOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Finish sending a run that stopped half-way."""
    results = open_dataset(dataset).resume_annotation(key, **running.arguments(), **parse_options(option))
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


def run_summaries(ds: Dataset) -> list[dict[str, Any]]:
    """The runs of a dataset as data, for lists of them."""
    from ...core.arrays import count_in

    stores = ds.stores
    found = [
        (key, stores.sample_states.reviewed_ids([stores.runs.get_settled(key).run_id]))
        for key in ds.list_annotation_runs()
    ]
    present = stores.samples.ids() if any(len(ids) for _, ids in found) else None
    return [
        _summary(ds.get_annotation_info(key), 0 if present is None else count_in(present, ids)) for key, ids in found
    ]


def _summary(run: Mapping[str, Any], reviewed: int) -> dict[str, Any]:
    return {
        "anno_key": run["anno_key"],
        "backend": run["backend"],
        "state": run["state"],
        "fields": sorted(run["label_schema"]),
        "created": run["created"],
        **{name: sum(event["state"] == done for event in run[name]) for name, done in _DONE.items()},
        "adopted": run["options"].get("adopted", 0),
        "reviewed": reviewed,
    }


def runs_table(runs: list[dict[str, Any]]) -> Any:
    """A table of ``run_summaries``."""
    rows = [
        [r["anno_key"], r["backend"], r["state"], ", ".join(r["fields"]), show.short_time(r["created"]), _history(r)]
        for r in runs
    ]
    return show.table(["run", "backend", "state", "fields", "sent (UTC)", "history"], rows)


def _history(run: dict[str, Any]) -> str:
    """What was done with a run: "2 loads, 1 push, 9 reviewed"."""
    counts = [f"{run[name]} {word if run[name] == 1 else name}" for name, word in _HISTORY.items() if run[name]]
    adopted = ["adopted"] if run["adopted"] else []
    return ", ".join([*adopted, *counts, *([f"{run['reviewed']:,} reviewed"] if run["reviewed"] else [])])


def task_urls(status: dict[str, Any]) -> list[str]:
    """The addresses of the tasks of a status that have one."""
    return [task["url"] for task in status["tasks"].values() if task["url"]]
