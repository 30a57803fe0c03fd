"""Runs the jobs of a load on a cluster.

A worker writes the rows of a job into the staging folder, and then the result of the job, as JSON, which makes the job complete:
should this process end, the next load that would plan the same goes on from there. A job may run twice; each attempt has files of
its own, and one result counts.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from ..backend.checked import CheckedBackend
from ..core.digest import digest
from ..core.review.decisions import DECISIONS
from ..jobs.calls import Caller, Sealed, require_workers, versions
from ..jobs.shared import in_order, of_calls
from ..store.load_staging import LoadStaging
from ..store.staged_files import StagedFolder
from ..store.stores import Stores
from . import job_files
from .outcome import Outcome
from .place import Place
from .plan_jobs import Job, LoadContext, Planned
from .task_planner import STREAMS, plan_jobs
from .workers import require_outside

_ALONE = {"writes": ("label_id", "sample_id")}  # which this process reads of every job


def run_on_cluster(
    stores: Stores, answers: CheckedBackend, context: LoadContext, jobs: Sequence[Job], outcome: Outcome
) -> Iterator[Planned]:
    """Plan the jobs on a cluster; the results come in the order of the jobs.

    Raises:
        ExecutorError: the cluster is not there, has other versions, or ended. What was planned is kept for the next load.
        InvalidOption: the tool is in this process, or an option cannot be sent to workers.
    """
    require_outside(answers)
    if not jobs:
        return
    shown = replace(context, options=replace(context.options, where=None, decisions=DECISIONS.empty_table()))
    Sealed(shown.options)  # before anything is written: a function may be one that cannot be sent
    with outcome.execution.connected() as cluster:
        require_workers(cluster)
        staging = _staging(stores, answers, context, jobs)
        outcome.streams.close_with(staging.remove)
        try:
            shown = replace(shown, folder=staging.folder, time=staging.time)
            known = _known(staging, jobs)
            _note(outcome, staging, [job for job in jobs if job.number in known])
            caller = Caller(cluster, _plan, Place.of(stores, answers), shown)
            todo = [job for job in jobs if job.number not in known]
            at_once = min(cluster.at_once, answers.parallel_downloads)
            results = _results(staging, in_order(caller.submit, of_calls(todo), at_once))
            for job in jobs:
                yield known[job.number] if job.number in known else next(results)
        except BaseException:
            staging.leave()
            raise


def _plan(place: Place, context: LoadContext, jobs: Sequence[Job]) -> list[str]:
    """Plan jobs in a worker; returns their results as JSON, and leaves them in the staging folder."""
    folder = context.folder
    assert isinstance(folder, StagedFolder)  # noqa: S101
    attempt = replace(folder, attempt=uuid.uuid4().hex[:8])
    done = []
    for job, planned in zip(
        jobs, plan_jobs(place.dataset.stores, place.tool, replace(context, folder=attempt), jobs), strict=True
    ):
        done.append(job_files.to_json(planned))
        folder.write(job_files.name_of(job.number), done[-1].encode())
    return done


def _results(staging: LoadStaging, answers: Iterator[list[str]]) -> Iterator[Planned]:
    for texts in answers:
        yield from (job_files.from_json(text, staging.folder) for text in texts)


def _known(staging: LoadStaging, jobs: Sequence[Job]) -> dict[int, Planned]:
    """The results that an interrupted load left, by number of the job."""
    there, known = set(staging.files), {}
    for job in jobs:
        if (name := job_files.name_of(job.number)) in there:
            with suppress(ValueError, KeyError, TypeError):  # damaged: the job runs again
                planned = job_files.from_json(staging.folder.read(name).to_pybytes(), staging.folder)
                if there.issuperset(planned.part.files.values()):
                    known[job.number] = planned
    return known


def _note(outcome: Outcome, staging: LoadStaging, known: Sequence[Job]) -> None:
    """Tell what is older than this load, and do not take these tasks for loaded as they are now."""
    if not known:
        return
    tasks = [task.name for job in known for task in job.tasks]
    for name in tasks:
        outcome.marks.pop(name, None)
    outcome.notes.append(
        f"{len(tasks)} tasks were downloaded by a load that was interrupted, and which began at {staging.time:%Y-%m-%d %H:%M} UTC; "
        "what people did in them since then comes with the next load."
    )


def _staging(stores: Stores, answers: CheckedBackend, context: LoadContext, jobs: Sequence[Job]) -> LoadStaging:
    tables = {"labels": context.version, "annotation_baseline": jobs[0].base.version}
    content = _content(answers, context, jobs)
    return LoadStaging(stores.database, context.run.run_id, context.load, content, tables, _ALONE)


def _content(answers: CheckedBackend, context: LoadContext, jobs: Sequence[Job]) -> str:
    """A digest of all that the results of the jobs depend on, but for what people do in the tool."""
    options, looking = context.options, context.looking
    hasher = hashlib.sha256()
    for job in jobs:
        for task in job.tasks:
            rows = pa.table({"sample": task.sample_ids, "chosen": pa.array(task.chosen)})
            hasher.update(
                f"{job.number} {task.name} {json.dumps(task.state, sort_keys=True)} {digest(rows)}\n".encode()
            )
    review = looking.review
    values = {
        "versions": versions(), "rows": [schema.to_string() for schema in STREAMS.values()],
        "run": [context.run.run_id, context.run.rev, context.load],
        "tables": [context.version, jobs[0].base.version, jobs[0].states and jobs[0].states.version],
        "tool": [answers.name, answers.config.model_dump_json()],  # without credentials
        "options": [
            options.invalid, _comparable(options.unexpected), options.reviewed_only, _comparable(options.since),
            options.annotator, options.consensus and asdict(options.consensus),
            dict(context.destinations), _comparable(options.conflicts),
        ],
        "review": review and [digest(review.decisions), review.recorded, review.undecided],
        "looking": [looking.handed_out, looking.keeps_ids], "jobs": hasher.hexdigest(),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _comparable(value: Any) -> Any:
    """An option as JSON. Two functions are never the same."""
    if callable(value):
        return uuid.uuid4().hex
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if isinstance(value, Mapping) else value
