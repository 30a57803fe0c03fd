"""Plan a push, task by task: what would be changed in the tool. Nothing is written but temporary files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.base import AnnotationBackend
from ..backend.checked import CheckedBackend
from ..backend.values import Download, Receipt, Task
from ..core.arrays import as_array, count_in, equal, index_of, not_null
from ..core.checks import validate
from ..core.labels import BASELINE, LABELS, OURS, SAMPLES
from ..core.merge import border, destination
from ..core.merge.findings import FINDINGS
from ..core.merge.output import REPLACED, Provenance, TaskNames
from ..core.merge.patch import component_masks
from ..core.merge.proposed import PROPOSED
from ..core.merge.push import DELETED, PUSHED, Here, ToPush, plan_push, written_labels
from ..core.review.values import SPATIAL
from ..core.unsent import Unsent, sentences
from ..display.progress import Progress, ProgressChoice
from ..exceptions import Gone, InvalidLabels, RunError, StalePlan, Unsupported
from ..spill.groups import Groups
from ..spill.streams import Streams
from ..store import views
from ..store.by_task import ByTask
from ..store.labels import field_condition
from ..store.run import MEDIA_FIELD_OPTION, Run
from ..store.stores import Stores
from .counts import counted, deletions
from .download import Downloaded, Sent, download_all, newest_sent
from .outcome import PUSH, Options, Outcome
from .reviewed import Reviewed
from .run_states import require_sent

STREAMS = {
    "writes": PUSHED, "replaced": REPLACED, "deleted": DELETED, "baseline": BASELINE, "refused": FINDINGS,
    "conflicts": FINDINGS, "proposed": PROPOSED,
}  # fmt: skip
_NEW = pa.schema([LABELS.field("label_id"), LABELS.field("sample_id")])


def require_pushable(backend: AnnotationBackend) -> None:
    """Raise ``Unsupported`` for a backend without ``push``."""
    if not backend.capabilities.push:
        raise Unsupported(
            f"Changes cannot be pushed to {backend.name}:",
            [
                "Its tool does not let labels be changed once they are sent. Annotate the changed samples under a new key, and "
                "clean up the old run when its work is loaded."
            ],
        )


def make(
    stores: Stores, run: Run, backend: CheckedBackend, options: Options, progress: ProgressChoice = None
) -> Outcome:
    """Plan a push of a run.

    Args:
        stores: the dataset.
        run: as the ledger has it now, with no push that is not settled.
        backend: the tool.
        options: ``conflicts``, ``force``, ``decisions`` and ``undecided`` count.
        progress: as in ``annotate``.

    Raises:
        RunIncomplete: the run was not sent in full.
        InvalidLabels: labels cannot be stored in the tool; all are listed.
        Rejected: a task cannot be changed.
        Gone: nothing of the run is on the server any more.
    """
    require_sent(stores, run)
    outcome = Outcome(Streams(STREAMS), stores.labels.version(), run, run.next_load_number, options, {}, verb=PUSH)
    reviewed = Reviewed(outcome, stores.decisions.standing(run), handed_out=True)
    tasks = ByTask.of_run(stores.runs.tasks(run))
    present = stores.samples.existing_ids(tasks.all_sample_ids)
    receipts = stores.runs.receipts(run)
    if lost := len(tasks.all_sample_ids) - len(present):
        outcome.notes.append(
            f"{lost} samples of the run are not in the dataset any more; their labels stay in {run.backend}."
        )
    fields, filters = sorted(run.schema.fields), views.label_filters(run.view)
    with ExitStack() as files:
        bases = files.enter_context(tasks.by_name(BASELINE, stores.baseline.scan(run)))
        here = files.enter_context(
            tasks.by_sample(OURS, stores.labels.scan_ours(field_condition(fields), outcome.version))
        )
        new = None
        if filters:
            selected = stores.labels.scan(views.label_condition(fields, filters), _NEW.names, outcome.version)
            new = files.enter_context(tasks.by_sample(_NEW, selected))
        samples = files.enter_context(samples_by_task(stores, run, tasks))
        changed = _changed(stores, outcome, tasks, bases, here)
        planner = _Planner(stores, outcome, backend, reviewed, present, receipts, changed, samples)
        sent = (Sent(n, name, receipts[name], newest_sent(bases.get(n))) for n, name in enumerate(tasks.names))
        with Progress(progress, len(tasks.all_sample_ids), f"comparing with {backend.name}") as bar:
            for downloaded in download_all(backend.download, run, sent):
                number = downloaded.task.number
                outcome.looked_at += downloaded.task.baseline.num_rows
                labels = here.get(number).combine_chunks()
                planner.plan_task(number, tasks, downloaded, labels, _ids(new, number))
                bar.advance(len(tasks.sample_ids[number]))
    outcome.streams.finish()
    planner.finish(len(tasks))
    reviewed.finish()
    return outcome


def _ids(new: Groups | None, number: int) -> pa.Array | None:
    return None if new is None else as_array(new.get(number)["label_id"])


class _Planner:
    """Plans the push of one task after another into an outcome."""

    def __init__(
        self, stores: Stores, outcome: Outcome, backend: CheckedBackend, reviewed: Reviewed, present: pa.Array,
        receipts: Mapping[str, Mapping[str, Any]], changed: Changed, samples: Groups,
    ) -> None:  # fmt: skip
        self._receipts, self._changed, self._samples = receipts, changed, samples
        self._stores, self._out, self._backend, self._reviewed = stores, outcome, backend, reviewed
        self._present = present  # the samples of the run that the dataset has
        self._single = destination.single_label_fields(outcome.run.schema, {})
        self._unsent = Unsent()
        self._moved = 0  # labels that are on another sample, or in another field, by now
        self._problems: list[str] = []  # labels that cannot be pushed

    def plan_task(
        self, number: int, tasks: ByTask, downloaded: Downloaded[Download], here: pa.Table, may_be_new: pa.Array | None
    ) -> None:
        """Plan one task; ``here`` (``OURS``) are the labels of its samples in the dataset."""
        name, sample_ids = tasks.names[number], tasks.sample_ids[number]
        out, run, answer = self._out, self._out.run, downloaded.answer
        if isinstance(answer, Gone):
            out.gone.append(str(answer))
            out.notes.append(f"The task {name} is not on the server any more, so nothing is pushed to it: {answer}")
            return
        present = sample_ids.filter(pc.is_in(sample_ids, value_set=self._present))
        returned = present.filter(pc.is_in(present, value_set=answer.samples))
        out.unanswered += len(present) - len(returned)
        provenance = Provenance(
            run.anno_key, run.run_id, TaskNames.one(name), out.load, run.backend, datetime.now(UTC), run.versions
        )
        found = plan_push(
            downloaded.task.baseline, answer.labels, self._here(downloaded.task.baseline, here, may_be_new), returned,
            run.schema, self._single, out.options.policy, provenance, self._reviewed.looking.review,
        )  # fmt: skip
        self._check(number, name, found)
        self._store(found, answer)

    def _here(self, base: pa.Table, labels: pa.Table, may_be_new: pa.Array | None) -> Here:
        known, changed = index_of(labels["label_id"], base["label_id"]), self._changed
        elsewhere = changed.elsewhere.filter(pc.is_in(changed.elsewhere, value_set=as_array(base["label_id"])))
        moved = not_null(known) & ~equal(labels["sample_id"], as_array(base["sample_id"]).take(known))
        self._moved += len(elsewhere) + int(moved.sum())
        of_task = pc.is_in(changed.before["label_id"], value_set=as_array(labels["label_id"]))
        touched = pc.or_(known.is_null(), pc.is_in(labels["label_id"], value_set=changed.written))
        self._unsent.add(labels.filter(touched).select(LABELS.names), self._out.run.schema)
        return Here(labels, elsewhere, changed.of_others, may_be_new, changed.before.filter(of_task).combine_chunks())

    def _check(self, number: int, name: str, found: ToPush) -> None:
        """Note what the tool cannot hold."""
        if found.labels.num_rows:
            labels = found.labels.select(LABELS.names)
            task = task_of(self._stores, self._out.run, name, self._samples.get(number), labels)
            masks = component_masks(as_array(found.labels["components"]))
            pushed = masks.get(SPATIAL, np.zeros(len(task.labels), bool))
            # Other shapes of edited labels are those of the tool, which may be over the border there.
            stays = ~pushed & equal(found.labels["action"], "edit")
            checked = border.clip_where(task.labels, stays)
            self._problems += [*validate.problems(checked), *validate.mask_sizes(task.labels, task.samples)]
            self._problems += self._backend.check_task(task)
        if found.labels.num_rows or found.deleted.num_rows:
            self._problems += self._backend.check_push(Receipt(name, self._receipts[name]))

    def _store(self, found: ToPush, answer: Download) -> None:
        out = self._out
        for stream, rows in (
            ("writes", found.labels), ("replaced", found.replaced), ("deleted", found.deleted),
            ("baseline", found.intended), ("refused", found.refused), ("conflicts", found.conflicts),
        ):  # fmt: skip
            out.streams.add(stream, rows)
        self._reviewed.looking.note(out, out.streams, found.proposed, found.conflicts)
        touched = pc.unique(
            pa.chunked_array([*found.labels["sample_id"].chunks, *found.deleted["sample_id"].chunks], pa.string())
        )
        finished = answer.reviewed.filter(answer.reviewed["reviewed"])["sample_id"]
        out.finished += count_in(touched, finished)
        for rows in (found.labels, deletions(found.deleted)):
            out.counts.update(counted(rows))

    def finish(self, tasks: int) -> None:
        """What holds for the push as a whole."""
        run = self._out.run
        if len(self._out.gone) == tasks:
            raise Gone(
                f"Nothing of the run {run.anno_key!r} is on the server any more, so nothing can be pushed. {self._out.gone[0]} "
                f"delete_annotation_run({run.anno_key!r}) forgets it."
            )
        if self._problems:
            problems = list(dict.fromkeys(self._problems))
            raise InvalidLabels("Some changes cannot be pushed, so nothing was pushed:", problems)
        self._out.notes += sentences(self._unsent.to_list())
        if self._out.unanswered:
            self._out.notes.append(
                f"{run.backend} does not answer for {self._out.unanswered} samples, so changes on them are not pushed."
            )
        if self._moved:
            self._out.notes.append(
                f"{self._moved} labels were moved to another sample or field here; they stay where they are in {run.backend}."
            )


class Changed(NamedTuple):
    """What changed here since the baseline, looked up once for all tasks; as large as the changes are."""

    written: pa.Array  # the ids of labels of the baseline that were written since
    before: pa.Table  # OURS, these as they were then, where the version is still there
    # The ids of labels of the baseline that are on samples out of their task, or in other fields, by now
    elsewhere: pa.Array
    of_others: pa.Array  # the ids of labels that are new on the samples of a task, and in the baseline of another one


def _changed(stores: Stores, outcome: Outcome, tasks: ByTask, bases: Groups, here: Groups) -> Changed:
    versions, nothing = outcome.run.versions, pa.array([], pa.string())
    written, missing, new = [], [nothing], [nothing]
    for number in range(len(tasks)):
        base, labels = newest_sent(bases.get(number)), here.get(number)
        base_ids, ids = as_array(base["label_id"]), as_array(labels["label_id"])
        written.append(written_labels(base, labels.combine_chunks(), versions))
        missing.append(base_ids.filter(pc.invert(pc.is_in(base_ids, value_set=ids))))
        new.append(ids.filter(pc.invert(pc.is_in(ids, value_set=base_ids))))
    rows = pa.concat_tables(written) if written else pa.table({"label_id": nothing, "load": pa.array([], pa.int32())})
    before = [OURS.empty_table()]
    for load in pc.unique(rows["load"]).to_pylist():
        with suppress(StalePlan):  # the version may be cleaned up; then values are compared with the baseline
            ids = as_array(rows.filter(pc.equal(rows["load"], load))["label_id"])
            before.append(stores.labels.get_by_ids(ids, versions[load]))
    return Changed(
        as_array(rows["label_id"]), pa.concat_tables(before).combine_chunks(),
        as_array(stores.labels.get_by_ids(pa.concat_arrays(missing), outcome.version)["label_id"]),
        stores.baseline.known(outcome.run, pa.concat_arrays(new)),
    )  # fmt: skip


def samples_by_task(stores: Stores, run: Run, tasks: ByTask) -> Groups:
    """The samples of each task (``SAMPLES``), with the column that the run sent files from as ``filepath``. Close it after use."""
    column = run.options[MEDIA_FIELD_OPTION]
    if column not in stores.samples.schema().names:
        raise RunError(
            f"The samples have no column {column!r} any more, from which the run {run.anno_key!r} sent files; add it again."
        )
    names = [column if n == "filepath" else n for n in SAMPLES.names]
    batches = stores.samples.scan(None, list(dict.fromkeys(names)))
    return tasks.by_sample(
        SAMPLES, (pa.RecordBatch.from_arrays([b[n] for n in names], schema=SAMPLES) for b in batches)
    )


def task_of(stores: Stores, run: Run, name: str, samples: pa.Table, labels: pa.Table) -> Task:
    """A task that was sent, with its samples that are still here, and some labels."""
    return Task(name, run.schema, samples.combine_chunks(), labels, stores.samples.media(samples), run.anno_key)
