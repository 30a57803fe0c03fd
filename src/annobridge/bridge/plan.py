"""Plan: what a load would do, with nothing written but temporary files.

The rows that each task needs are found by one scan of each table; then tasks are planned in jobs of about equal size
(``task_planner``), and the results are added up in the order of the tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..core.agreement.agreed import sentences
from ..core.labels import SINGLE
from ..core.merge import destination
from ..display.progress import Progress
from ..exceptions import Gone, InvalidOption, SchemaError
from ..jobs.execution import LOCAL, Execution, telling
from ..spill.streams import Streams
from ..store.by_task import ByTask
from ..store.labels import field_condition
from ..store.run import Run
from ..store.stores import Stores
from ..store.tables import quote
from .cluster_jobs import run_on_cluster
from .download import Answers
from .outcome import Options, Outcome, require_unique
from .plan_jobs import Job, LoadContext, Planned, TaskToPlan, batches
from .push import settle
from .reviewed import Reviewed
from .run_states import nothing_loaded, require_sent
from .scope import Scope
from .task_planner import STREAMS, plan_jobs
from .workers import processes_for, run_jobs


def make(
    stores: Stores,
    run: Run,
    answers: Answers,
    options: Options,
    progress: Any = None,
    handed_out: bool = False,
    execution: Execution = LOCAL,
) -> Outcome:
    """Plan a load of a run.

    Args:
        stores: the dataset. Nothing is written to it.
        run: as the ledger has it now.
        answers: where the work is.
        options: what the caller asked for.
        progress: as in ``annotate``.
        handed_out: whether people look at the plan, and may apply it later: it notes what the tool had, and each change.
        execution: where the tasks are planned.

    Raises:
        RunIncomplete: the run was not sent in full.
        SchemaError: a destination cannot take the labels.
        InvalidOption: a decision cannot be carried out, or the options select nothing that could be loaded.
        Gone: nothing of the run is on the server any more.
        BackendError: the tool refused, or cannot be reached.
    """
    require_sent(stores, run)
    run = settle(stores, run, answers)
    destinations = destination.resolve(options.dest_field, run.schema)
    require_usable_destinations(stores, run, destinations)
    outcome = Outcome(
        Streams(STREAMS), stores.labels.version(), run, run.next_load_number, options, destinations, execution,
        is_file=answers.is_file,
    )  # fmt: skip
    outcome.patterns, outcome.samples_version = stores.protections.all(), stores.samples.version()
    reviewed = Reviewed(outcome, stores.decisions.standing(run), handed_out)
    tasks = ByTask.of_run(stores.runs.tasks(run))
    todo = _to_plan(stores, outcome, answers, tasks)
    context, jobs = _jobs(stores, outcome, tasks, todo, reviewed)
    total = sum(len(tasks.sample_ids[task.number]) for task in todo)
    with Progress(progress, total, f"loading from {answers.name}") as bar, telling(nothing_loaded(run.anno_key)):
        for planned in _run(stores, answers, context, jobs, outcome):
            outcome.add(planned.tally)
            outcome.streams.include(planned.part)
            bar.advance(sum(len(tasks.sample_ids[number]) for number in planned.tasks))
    outcome.streams.finish()
    for name in outcome.not_taken:
        outcome.marks.pop(name, None)  # another load may take it
    _finish(outcome, len(todo), len(tasks))
    reviewed.finish()
    require_unique(outcome.streams)
    return outcome


def _to_plan(stores: Stores, outcome: Outcome, answers: Answers, tasks: ByTask) -> list[TaskToPlan]:
    """The tasks of a run that a load looks at, with those of their samples that are in the dataset."""
    receipts, scope = stores.runs.receipts(outcome.run), Scope(stores, outcome, answers, tasks)
    present = stores.samples.existing_ids(tasks.all_sample_ids)
    if lost := len(tasks.all_sample_ids) - len(present):
        outcome.notes.append(f"{lost} samples of the run are not in the dataset any more; their labels were left out.")
    return [
        TaskToPlan(number, tasks.names[number], here, scope.chosen(number, here), receipts[tasks.names[number]])
        for number in scope.numbers(receipts)
        for ids in [tasks.sample_ids[number]]
        # A copy, as a part of an array is sent to workers with all of it.
        for here in [_intersection(ids, present) if lost else pa.concat_arrays([ids])]
    ]


def _run(
    stores: Stores, answers: Answers, context: LoadContext, jobs: Sequence[Job], outcome: Outcome
) -> Iterator[Planned]:
    """Plan the jobs. Files are read by this process, wherever else loads run."""
    execution = outcome.execution
    if execution.on_cluster:
        if isinstance(answers, CheckedBackend):
            return run_on_cluster(stores, answers, context, jobs, outcome)
        execution = LOCAL
    outcome.processes = processes_for(answers, len(jobs), answers.parallel_downloads, execution)
    context = replace(context, ahead=1 if outcome.processes > 1 else min(execution.at_once, answers.parallel_downloads))
    return run_jobs(stores, answers, plan_jobs, context, jobs, outcome.processes, execution)


def _jobs(
    stores: Stores, outcome: Outcome, tasks: ByTask, todo: Sequence[TaskToPlan], reviewed: Reviewed
) -> tuple[LoadContext, list[Job]]:
    """The tasks in jobs, with the places of the rows that they need."""
    run, fields = outcome.run, {*outcome.run.schema.fields, *outcome.destinations.values()}
    base = stores.baseline.find_rows(run, tasks, lambda rows: fields.update(pc.unique(rows["field"]).to_pylist()))
    ours = stores.labels.find_rows(tasks, field_condition(sorted(fields)), outcome.version)
    states = stores.sample_states.find_rows(run, tasks)
    context = LoadContext(
        run, outcome.version, outcome.load, outcome.options, outcome.destinations, reviewed.looking,
        datetime.now(UTC), outcome.streams.folder, ahead=1, labels_at_once=outcome.execution.labels_per_job,
    )  # fmt: skip
    by_number, samples = {task.number: task for task in todo}, [len(ids) for ids in tasks.sample_ids]
    of_jobs = batches(list(by_number), base.count(len(tasks)), samples, context.labels_at_once)
    jobs = [
        Job(at, [by_number[n] for n in some], base.of(some), ours.of(some), states.of(some) if states else None)
        for at, some in enumerate(of_jobs)
    ]
    return context, jobs


def _finish(outcome: Outcome, tasks: int, of_run: int) -> None:
    """What holds for the load as a whole. ``tasks`` is how many of the run were asked for; raises ``Gone`` if none is on the
    server.
    """
    run = outcome.run
    if tasks and len(outcome.gone) == tasks:
        raise Gone(
            f"Nothing of the run {run.anno_key!r} is on the server any more; its labels here are untouched. "
            f"{outcome.gone[-1]} delete_annotation_run({run.anno_key!r}) forgets it."
        )
    notes = {
        "{} samples were left out by the options of the load; their labels stay as they are.": outcome.skipped,
        "Two processes sent this run at once, and recorded {} labels twice; each counts once.": outcome.duplicates,
        f"{{}} labels that came from a file are not in {run.backend}; they stay as they are.": outcome.of_files,
        "{} labels that lie over the border of their image in the tool were cut back to it.": outcome.clipped,
        "{} labels lie over the border of their image in the tool, and are taken as they are; annotate sends them only once they "
        "are clipped.": outcome.overhanging,
    }
    outcome.notes += [text.format(count) for text, count in notes.items() if count]
    outcome.notes += sentences(outcome.agreed)
    read = tasks - len(outcome.gone)
    if read:
        _tell_of_annotators(outcome, read == of_run)


def _tell_of_annotators(outcome: Outcome, is_all: bool) -> None:
    """Tell of names of annotators that are in the options, and have answered nothing of what was read.

    Args:
        outcome: the plan.
        is_all: whether all tasks were read: otherwise, they may have answered others.

    Raises:
        InvalidOption: ``annotator`` has answered nothing at all.
    """
    wanted, consensus, answered = outcome.options.annotator, outcome.options.consensus, set(outcome.annotators)
    what = f"the run {outcome.run.anno_key!r}" if is_all else "any task that this load looked at"
    if wanted is not None and wanted not in answered:
        if is_all:
            names = ", ".join(sorted(answered)) or "nobody"
            raise InvalidOption(f"Nobody named {wanted!r} has answered {what}; {names} did.")
        outcome.notes.append(f"Nobody named {wanted!r} has answered {what}.")
    if consensus is not None and not answered:
        outcome.notes.append(
            f"Nobody has answered {what}, so there is no consensus, and nothing is loaded; what the tool takes for the truth is "
            "not counted as an answer."
        )
    elif is_all and consensus is not None and (unknown := sorted(set(consensus.weights) - answered)):
        outcome.notes.append(
            f"The weights of {', '.join(unknown)} count for nothing, as nobody of these names has answered."
        )


def _intersection(a: pa.Array, b: pa.Array) -> pa.Array:
    return a.filter(pc.is_in(a, value_set=b))


def require_usable_destinations(stores: Stores, run: Run, destinations: Mapping[str, str]) -> None:
    """Raise ``SchemaError`` for a destination that holds labels of another type; and, where a sample has room for one
    label, for any labels but those that this run itself brought there, whatever its key was then.
    """
    for name, target in destinations.items():
        spec = run.schema.fields[name]
        if stores.labels.count(f"{field_condition([target])} AND kind != {quote(spec.kind)}"):
            raise SchemaError(
                f"dest_field sends {name!r} ({spec.kind}) to {target!r}, which holds labels of another type."
            )
        if spec.type in SINGLE and stores.labels.exists_other_than(
            stores.baseline.label_ids(run, target), field_condition([target])
        ):
            raise SchemaError(
                f"dest_field sends {name!r} to {target!r}, which holds one label per sample and has labels already; "
                "choose a new field."
            )
