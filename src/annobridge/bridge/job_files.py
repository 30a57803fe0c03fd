"""The result of a job as JSON: what a worker returns, and leaves beside the rows of the job, for a load that goes on with them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields
from typing import Any

import pyarrow as pa

from ..spill.streams import Folder, Part
from .outcome import Tally
from .plan_jobs import Planned

_PREFIX = "job-"
_ARRAYS = ("seen", "decided")  # fields of a tally that are lists of arrays


def name_of(job: int) -> str:
    """The name of the file of a job."""
    return f"{_PREFIX}{job}.json"


def to_json(planned: Planned) -> str:
    """The result as JSON."""
    tally = {each.name: _plain(getattr(planned.tally, each.name)) for each in fields(Tally)}
    part = {"files": dict(planned.part.files), "rows": dict(planned.part.rows)}
    return json.dumps({"tasks": list(planned.tasks), "tally": tally, "part": part})


def from_json(text: str | bytes, folder: Folder) -> Planned:
    """The result of a job whose files are in ``folder``. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for other JSON."""
    value = json.loads(text)
    empty = vars(Tally())
    tally = Tally(**{name: _as(empty[name], name, given) for name, given in value["tally"].items()})
    part = Part(folder, value["part"]["files"], Counter(value["part"]["rows"]))
    return Planned(value["tasks"], tally, part)


def _plain(value: Any) -> Any:
    if isinstance(value, Counter):  # some have tuples as keys
        return [[list(key) if isinstance(key, tuple) else key, count] for key, count in value.items()]
    return (
        [one.to_pylist() if isinstance(one, pa.Array) else one for one in value] if isinstance(value, list) else value
    )


def _as(empty: Any, name: str, given: Any) -> Any:
    """A value of the kind of ``empty``."""
    if isinstance(empty, Counter):
        return Counter({tuple(key) if isinstance(key, list) else key: count for key, count in given})
    return [pa.array(ids, pa.string()) for ids in given] if name in _ARRAYS else given
