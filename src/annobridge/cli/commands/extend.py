"""The command ``extend``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ...core.wording import LISTED
from .. import show
from ..option_groups import Running, Selection
from ..options import BackendOptions, DatasetOption, JsonOption, KeyArgument, Limit, Strict, open_dataset, parse_options
from .runs import task_urls


def extend(
    *,
    key: KeyArgument,
    dataset: DatasetOption = None,
    selection: Selection,
    limit: Limit = None,
    option: BackendOptions = None,
    strict: Strict = False,
    running: Running,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only list the samples that would be sent; send nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send further samples of a dataset as tasks of a run. Samples that it has already are left out.

    Without --where, --sample, …, these are all samples that the run does not have; if there are none, nothing is done. The run
    keeps its schema and options, and one load takes the work on all of its samples.
    """
    ds = open_dataset(dataset)
    view = selection.view(ds)
    new = view.exclude_run(key)
    new = new.limit(limit) if limit else new
    if missing:
        ids = new.sample_ids()
        show.emit({"anno_key": key, "missing": len(ids), "samples": ids}, as_json, _missing)
    elif not len(new) and len(view):
        data = ds.load_annotation_results(key, **parse_options(option)).status() | {"sent": {"samples": 0, "tasks": 0}}
        show.emit(data, as_json, lambda data: [f"{data['anno_key']} has all of these samples; nothing was sent."])
    else:
        results = ds.extend_annotation(key, new, strict=strict, **running.arguments(), **parse_options(option))
        sent = {name: results.to_dict()["extensions"][-1][name] for name in ("samples", "tasks")}
        show.emit(results.status() | {"sent": sent}, as_json, _extended)


def _missing(data: dict[str, Any]) -> Iterator[Any]:
    if not data["missing"]:
        yield f"{data['anno_key']} has all of these samples."
        return
    yield f"{data['anno_key']} does not have {show.plural(data['missing'], 'sample')}:"
    yield from (show.unwrapped(name) for name in data["samples"][:LISTED])
    yield from show.more(data["missing"] - LISTED, "sample", "--json lists all")


def _extended(data: dict[str, Any]) -> Iterator[Any]:
    counts = f"{show.plural(data['sent']['samples'], 'sample')} more, in {show.plural(data['sent']['tasks'], 'task')},"
    yield f"Sent {counts} to {data['backend']}, as a part of {data['anno_key']!r}."
    names = list(data["tasks"])[-data["sent"]["tasks"] :]
    for url in task_urls({"tasks": {name: data["tasks"][name] for name in names}}):
        yield show.unwrapped(f"Work on it at {url}")
