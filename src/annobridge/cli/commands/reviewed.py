"""The command ``reviewed``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from .. import show
from ..options import DatasetOption, JsonOption, open_dataset

Of = Annotated[
    str,
    typer.Argument(
        metavar="KEY|FIELD", help="The key of a run, or a label field: all runs that have it.", show_default=False
    ),
]


def reviewed(key: Of, dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """Which samples people have looked at, as the tool said at the last load; also those that have no label.

    An undo does not change it. --json lists every sample.
    """
    ds = open_dataset(dataset)
    rows = ds.reviewed(key).to_pylist()
    data = {"of": key, "reviewed": len(ds.match_reviewed(key)), "samples": len(ds), "rows": rows}
    show.emit(data, as_json, _counts)


def _counts(data: dict[str, Any]) -> Iterator[Any]:
    yield f"{data['of']}: {data['reviewed']:,} of the {show.plural(data['samples'], 'sample')} of the dataset are reviewed."
    counts = Counter((row["run"], row["reviewed"], row["state"] or "", row["by"] or "") for row in data["rows"])
    cells = [
        [run, "yes" if is_reviewed else "no", state, by, count]
        for (run, is_reviewed, state, by), count in sorted(counts.items())
    ]
    if cells:
        yield show.table(["run", "reviewed", "state in the tool", "by", "samples"], cells, ("samples",))
    else:
        yield "No load was told so far: load, from a tool that says which samples are reviewed."
