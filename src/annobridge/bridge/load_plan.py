"""Open a plan that was saved, to look at it, decide, and load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..exceptions import StalePlan
from ..store.stores import Stores
from ..store.tables import Database
from . import plan_file
from .merge_plan import MergePlan
from .results import loads_of


def load_plan(path: str | Path, dataset: str | None = None, **options: Any) -> MergePlan:
    """Open a plan that ``MergePlan.save`` wrote.

    Args:
        path: the file.
        dataset: where the dataset is, if it was moved since.
        **options: settings of the backend, as ``url`` or a credential, or options of the format of a file, which a plan does not
            have.

    Raises:
        InvalidSource: the file cannot be read, or is no plan.
        StalePlan: the run was loaded or changed since the plan was saved.
        DatasetNotFound: the dataset is not where it was.
        RunNotFound: it does not have the run any more.
    """
    saved = plan_file.read(Path(path).expanduser())
    stores = Stores.open(Database.open(dataset or saved.values["dataset"]))
    anno_key = saved.values["anno_key"]
    run = stores.runs.get_settled(anno_key)
    if (run.run_id, run.rev) != (saved.values["run_id"], saved.values["rev"]):
        raise StalePlan(
            f"The run {anno_key!r} was loaded or changed since the plan in {str(path)!r} was saved; plan again. Decisions that "
            "were made about it still hold for what did not change."
        )
    source = saved.source
    loads = loads_of(stores, anno_key, source.path, source.format_name, options)
    plan = MergePlan(stores, loads.answers, saved.outcome(run), source, is_saved=True)
    plan.add_decisions(saved.decisions)
    return plan
