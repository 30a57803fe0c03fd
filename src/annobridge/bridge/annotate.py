"""Annotate, resume, abort: check everything → reserve the key → upload task by task → the run is ``sent``."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.capability_check import problems as unsupported
from ..backend.checked import CheckedBackend
from ..backend.values import Receipt
from ..core import tasks
from ..core.arrow_memory import system_memory
from ..core.schema import FLAGS, LabelSchema, infer
from ..core.schema.parse import infers_values
from ..core.unsent import sentences
from ..display.progress import ProgressChoice
from ..exceptions import InvalidLabels, InvalidSchema, RunError, StoreError, UnsentWarning, Unsupported
from ..jobs.execution import LOCAL, Execution
from ..store import views
from ..store.labels import field_condition
from ..store.lease import Hold
from ..store.run import ADOPTED_OPTION, ADOPTING, MEDIA_FIELD_OPTION, NOT_SENT_OPTION, Run
from ..store.stores import Stores
from ..store.task_index import filter_by_samples
from .pending_tasks import PendingTasks
from .run_states import require_sent
from .tool_limits import shown_columns
from .upload import Uploader


def send(
    stores: Stores,
    stages: Sequence[views.Stage],
    anno_key: str,
    arguments: Mapping[str, Any] | LabelSchema,
    backend: CheckedBackend,
    media_field: str,
    strict: bool,
    progress: ProgressChoice,
    execution: Execution = LOCAL,
    own: Mapping[str, Any] | None = None,
) -> Run:
    """Check everything, reserve the key, and send all tasks.

    Nothing is sent or written before all checks have passed. If sending fails half-way, the run stays in the ledger,
    and ``resume`` sends the rest.

    Args:
        stores: the dataset.
        stages: the view whose samples are sent.
        anno_key: the key of the new run.
        arguments: the schema, or those of ``Dataset.annotate`` that describe it.
        backend: the tool.
        media_field: the column of the samples with the files to send.
        strict: whether labels that are not sent are an error.
        progress: as in ``Dataset.annotate``.
        execution: where the tasks are checked and sent.
        own: entries of ``Run.options`` that the bridge keeps for itself.
    """
    check_key(anno_key)
    stores.runs.require_free(anno_key)
    selection = views.resolve(stores, stages)
    if not len(selection.sample_ids):
        raise StoreError("The view is empty, so there is nothing to annotate; widen its conditions.")
    schema = arguments if isinstance(arguments, LabelSchema) else resolve_schema(stores, arguments)
    if found := unsupported(schema, backend.capabilities, backend.name):
        raise Unsupported(f"The backend {backend.name!r} cannot do this:", found)
    created = datetime.now(UTC)
    run = Run(
        anno_key=anno_key,
        run_id=str(uuid.uuid4()),
        state="sending",
        backend=backend.name,
        schema=schema,
        options={**backend.config.stored(), MEDIA_FIELD_OPTION: media_field, **(own or {})},
        view=[dict(stage) for stage in stages],
        labels_version=stores.labels.version(),
        created=created,
        updated=created,
    )
    per_task = tasks.size(backend.config.task_size, backend.capabilities.largest_task)
    parts = tasks.split(selection.sample_ids, per_task)
    todo = [(tasks.name(anno_key, run.run_id, number), ids) for number, ids in enumerate(parts)]
    stores.labels.require_nullable()
    with (
        system_memory(),
        PendingTasks(
            stores, run, todo, selection.label_filters, shown_columns(stores, backend), run.labels_version, execution
        ) as pending,
    ):
        pending.check(backend, progress)
        run = with_unsent(run, pending.unsent.to_list(), strict)
        pending.keep_sizes()
        with stores.runs.reserve(run) as hold:
            stores.runs.add_tasks(run, todo)
            return Uploader(stores, run, hold, backend, pending).send(progress)


def with_unsent(run: Run, entries: list[dict[str, Any]], strict: bool) -> Run:
    """The run with a record of the labels that are not sent. Warns of them; with ``strict``, raises ``InvalidLabels``."""
    if not entries:
        return run
    messages = sentences(entries)
    if strict:
        raise InvalidLabels("Some labels would not be sent as they are, and strict=True was given:", messages)
    warnings.warn("\n".join(messages), UnsentWarning, stacklevel=4)
    return replace(run, options={**run.options, NOT_SENT_OPTION: [*run.options.get(NOT_SENT_OPTION, ()), *entries]})


def check_key(anno_key: str) -> None:
    """Raise ``InvalidSchema`` for a key that is not an identifier."""
    if not isinstance(anno_key, str) or not anno_key.isidentifier():
        raise InvalidSchema(
            "", [f"The anno_key {anno_key!r} is not a name; use letters, digits and _, as in 'round_1'."]
        )


def resume(
    stores: Stores, run: Run, backend: CheckedBackend, progress: ProgressChoice, execution: Execution = LOCAL
) -> Run:
    """Send the tasks that have no receipt. The backend looks on the server first for a task whose answer was lost.

    Raises ``RunBusy`` while another process is sending the run.
    """
    if run.state == ADOPTING:
        require_sent(stores, run)
    with stores.runs.hold(run, "is being sent") as (current, hold):
        return current if current.state == "sent" else _resume(stores, current, hold, backend, progress, execution)


def _resume(
    stores: Stores, run: Run, hold: Hold, backend: CheckedBackend, progress: ProgressChoice, execution: Execution
) -> Run:
    done, task_rows = stores.runs.receipts(run), stores.runs.tasks(run)
    if not task_rows.num_rows:
        raise RunError(
            f"The run {run.anno_key!r} stopped before its tasks were written down; abort it, and annotate again."
        )
    todo = _drop_deleted_samples(stores, run, [
        (name, ids.values)
        for name, ids in zip(task_rows["task"].to_pylist(), task_rows["sample_ids"], strict=True)
        if name not in done
    ])  # fmt: skip
    if todo:  # the baseline of a task is written before its receipt
        stores.baseline.delete_tasks(run, [name for name, _ in todo])
    filters, version = views.label_filters(run.view), run.extension.since if run.extension else run.labels_version
    columns = shown_columns(stores, backend)
    with system_memory(), PendingTasks(stores, run, todo, filters, columns, version, execution) as pending:
        pending.check_files(backend, progress)
        return Uploader(stores, run, hold, backend, pending).send(progress)


def _drop_deleted_samples(stores: Stores, run: Run, todo: list[tuple[str, pa.Array]]) -> list[tuple[str, pa.Array]]:
    """The tasks, with only the samples that still exist. A run without any task left is deleted, and ``StoreError`` raised."""
    sample_ids = pa.concat_arrays([ids for _, ids in todo]) if todo else pa.array([], pa.string())
    present = stores.samples.existing_ids(sample_ids)
    lost = len(sample_ids) - len(present)
    if not lost:
        return todo
    left = [(name, ids.filter(pc.is_in(ids, value_set=present))) for name, ids in todo]
    for (name, ids), (_, before) in zip(left, todo, strict=True):
        if len(ids) < len(before):
            stores.runs.set_task(run, name, ids)
    if not stores.runs.tasks(run).num_rows:
        stores.runs.delete(run)
        raise StoreError(
            f"All samples of the run {run.anno_key!r} were deleted, so there is nothing to send, and no run."
        )
    warnings.warn(
        f"{lost} samples of the run {run.anno_key!r} were deleted since it began; they are not sent.",
        UnsentWarning,
        stacklevel=5,
    )
    return [(name, ids) for name, ids in left if len(ids)]


def abort(stores: Stores, run: Run, backend: CheckedBackend) -> None:
    """Delete all tasks of the run from the server, including those whose answer was lost, then the run from the ledger.

    Of a run that is being extended, these are the tasks of the extension, and the run is as it was before. Tasks that were adopted
    stay.

    Raises ``RunBusy`` while another process is sending the run.
    """
    with stores.runs.hold(run, "is being aborted") as (now, _):
        extension, known = now.extension, stores.runs.receipts(now)
        first = extension.first_task if extension else int(now.options.get(ADOPTED_OPTION, 0))
        for name in stores.runs.tasks_since(now, first):
            state = known[name] if name in known else backend.find(name)
            if state is not None:
                backend.delete(Receipt(name, state))
        if extension:
            stores.runs.abandon_extension(now)
        else:
            stores.runs.delete(now)


def resolve_schema(stores: Stores, arguments: Mapping[str, Any]) -> LabelSchema:
    """The schema of a call to ``annotate``, by FiftyOne's rules: what is not given is inferred from the labels of the dataset."""
    given = arguments["label_schema"] if arguments.get("label_schema") is not None else arguments.get("label_field")
    if given is None:
        raise InvalidSchema("", ["Say what to label: give label_schema, or label_field with label_type and classes."])
    names = {"label_type": "type", "classes": "classes", "attributes": "attributes", "mask_targets": "mask_targets"}
    defaults = {key: arguments[name] for name, key in names.items() if arguments.get(name) is not None}
    defaults |= {flag: arguments[flag] for flag in FLAGS if flag in arguments}
    return LabelSchema.parse(given, defaults, _existing_fields(stores, infers_values(given, defaults)))


def _existing_fields(stores: Stores, wanted: Mapping[str, bool]) -> dict[str, infer.FieldStats]:
    """What the dataset has in some fields; ``wanted`` says of each whether its classes and attributes are needed.

    If one of them is missing, the others are named, too: the error message lists them.
    """
    columns = infer.COLUMNS if any(wanted.values()) else infer.TYPE_COLUMNS
    sample_ids = stores.samples.ids()
    labels = stores.labels.scan(field_condition(sorted(wanted)), columns) if wanted else ()
    found = infer.describe(filter_by_samples(labels, sample_ids))
    if not wanted or found.keys() != wanted.keys():
        others = infer.describe(filter_by_samples(stores.labels.scan(None, infer.TYPE_COLUMNS), sample_ids))
        found = others | found
    return found
