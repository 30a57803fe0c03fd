"""Commands about datasets: which there are, and what is in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import AnnobridgeError
from . import show
from .options import AsJson, Place, open_dataset
from .wording import spoken

if TYPE_CHECKING:
    from ..dataset import Dataset


def datasets(
    folder: Annotated[Path, typer.Argument(help="The folder to look in.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """List the datasets in a folder."""
    from ..dataset import list_datasets, load_dataset

    def summary(name: str) -> dict[str, Any]:
        try:
            ds = load_dataset(folder / name)
            found: dict[str, Any] = {
                "samples": len(ds),
                "labels": ds.count_labels(),
                "runs": len(ds.list_annotation_runs()),
            }
        except AnnobridgeError as error:
            found = {"problem": spoken(str(error))}
        return {"name": name, "path": str((folder / name).resolve()), **found}

    rows = [summary(name) for name in list_datasets(folder)]
    show.emit(rows, as_json, lambda data: _datasets(data, folder))


def _datasets(rows: list[dict[str, Any]], folder: Path) -> Iterator[Any]:
    if not rows:
        yield f"There is no dataset in {folder.resolve()}; `annobridge import IMAGES DATASET` makes one."
        return
    cells = [[r["name"], *(r.get(n, "–") for n in ("samples", "labels", "runs"))] for r in rows]
    yield show.head(str(folder.resolve()))
    yield show.table(["dataset", "samples", "labels", "runs"], cells, ("samples", "labels", "runs"))
    for row in rows:
        if "problem" in row:
            yield f"{row['name']}: {row['problem']}"


def info(dataset: Place = None, as_json: AsJson = False) -> None:
    """What is in a dataset: samples, label fields with their classes, and runs."""
    show.emit(describe(open_dataset(dataset)), as_json, _info)


def describe(ds: Dataset) -> dict[str, Any]:
    """A dataset as data."""
    from ..core.schema import infer

    stats = infer.describe(ds.labels().to_reader())
    fields = [
        {
            "field": name,
            "types": sorted(s.types()),
            "labels": s.labels,
            "classes": sorted(s.classes),
            "attributes": {n: sorted(kinds) for n, kinds in sorted(s.attributes.items())},
        }
        for name, s in sorted(stats.items())
    ]
    runs = [run_line(ds.get_annotation_info(key)) for key in ds.list_annotation_runs()]
    return {"dataset": ds.uri, "samples": len(ds), "fields": fields, "runs": runs}


def run_line(run: dict[str, Any]) -> dict[str, Any]:
    """A run in short."""
    applied = [load for load in run["loads"] if load["state"] == "applied"]
    return {
        "anno_key": run["anno_key"],
        "backend": run["backend"],
        "state": run["state"],
        "fields": sorted(run["label_schema"]),
        "created": run["created"],
        "loads": len(applied),
    }


def _info(data: dict[str, Any]) -> Iterator[Any]:
    labels = sum(f["labels"] for f in data["fields"])
    yield show.facts([("dataset", data["dataset"]), ("samples", f"{data['samples']:,}"), ("labels", f"{labels:,}")])
    if data["fields"]:
        rows = [
            [f["field"], " + ".join(f["types"]), f"{f['labels']:,}", _few(f["classes"]), _few(f["attributes"])]
            for f in data["fields"]
        ]
        yield show.table(["field", "type", "labels", "classes", "attributes"], rows, ("labels",))
    if data["runs"]:
        yield runs_table(data["runs"])


def runs_table(runs: list[dict[str, Any]]) -> Any:
    """The runs of a dataset."""
    rows = [
        [r["anno_key"], r["backend"], r["state"], ", ".join(r["fields"]), show.ago(r["created"]), r["loads"]]
        for r in runs
    ]
    return show.table(["run", "backend", "state", "fields", "sent (UTC)", "loads"], rows, ("loads",))


def _few(names: Any, shown: int = 6) -> str:
    names = list(names)
    return ", ".join(names[:shown]) + (f", … ({len(names)})" if len(names) > shown else "")
