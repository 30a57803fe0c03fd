"""Extend: samples that are not in a run yet are sent in further tasks of it, with its schema and options."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..core import tasks
from ..core.arrow_memory import system_memory
from ..display.progress import ProgressChoice
from ..exceptions import InvalidOption, RunBusy, StoreError
from ..jobs.execution import LOCAL, Execution
from ..store import views
from ..store.run import Run
from ..store.stores import Stores
from .annotate import with_unsent
from .pending_tasks import PendingTasks
from .run_states import require_sent
from .tool_limits import shown_columns
from .upload import Uploader


def extend(
    stores: Stores,
    run: Run,
    stages: Sequence[views.Stage],
    backend: CheckedBackend,
    strict: bool,
    progress: ProgressChoice,
    execution: Execution = LOCAL,
) -> Run:
    """Check everything, and send the samples of a view that the run does not have.

    If sending fails half-way, the run is ``sending`` again: ``resume`` sends the rest, ``abort`` takes this extension back.

    Args:
        stores: the dataset.
        run: the run, which was sent.
        stages: the view.
        backend: the tool.
        strict: whether labels that are not sent are an error.
        progress: as in ``Dataset.annotate``.
        execution: where the tasks are checked and sent.
    """
    require_sent(stores, run)
    new = _missing(stores, run, stages)
    names = stores.runs.tasks(run)["task"].to_pylist()
    first = max([tasks.number(name) for name in names], default=-1) + 1
    parts = tasks.split(new, tasks.size(backend.config.task_size, backend.capabilities.largest_task))
    todo = [(tasks.name(run.anno_key, run.run_id, first + number), ids) for number, ids in enumerate(parts)]
    stores.labels.require_nullable()
    version, filters = stores.labels.version(), views.label_filters(run.view)
    columns = shown_columns(stores, backend)
    with system_memory(), PendingTasks(stores, run, todo, filters, columns, version, execution) as pending:
        pending.check(backend, progress)
        options = with_unsent(run, pending.unsent.to_list(), strict).options
        pending.keep_sizes()
        with stores.runs.hold(run, "is being extended") as (now, hold):
            if now.rev != run.rev:
                raise RunBusy(f"The run {run.anno_key!r} was changed by another process just now; try again.")
            counts = {"tasks": len(todo), "samples": len(new), "not_sent": len(pending.unsent.to_list())}
            now = stores.runs.begin_extension(now, version, first, counts, options=options, view=_view_of(now))
            stores.runs.add_tasks(now, todo)
            return Uploader(stores, now, hold, backend, pending).send(progress)


def _missing(stores: Stores, run: Run, stages: Sequence[views.Stage]) -> pa.Array:
    """The samples of a view that the run does not have, in the order of the view."""
    selection = views.resolve(stores, stages)
    of_run = views.label_filters(run.view)
    if others := [field for field, where in selection.label_filters.items() if where != of_run.get(field)]:
        raise InvalidOption(
            f"The view filters the labels of {others[0]!r} in another way than the run {run.anno_key!r} does; leave filter_labels "
            "out: a run sends all its samples by one rule."
        )
    found = selection.sample_ids
    if not len(found):
        raise StoreError("The view is empty, so there is nothing to send; widen its conditions.")
    new = found.filter(pc.invert(pc.is_in(found, value_set=stores.runs.sample_ids(run.run_id))))
    if not len(new):
        raise StoreError(
            f"The run {run.anno_key!r} has all {len(found)} samples of the view already, so there is nothing to send; give a "
            "view with others."
        )
    return new


def _view_of(run: Run) -> list[views.Stage]:
    """The view of an extended run: its samples, with the filters on labels that it began with."""
    filters = [stage for stage in run.view if stage["verb"] == "filter_labels"]
    return [views.samples_of_run(run.run_id), *filters]
