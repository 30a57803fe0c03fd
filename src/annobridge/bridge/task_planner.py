"""Plans tasks of a load: compares what the tool has with the baseline and the dataset, and writes what follows to streams.

For each task: download → leave out other samples. Then for all tasks of a job at once: clip → match → route → restore fixed
attributes → merge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.values import Download
from ..core.arrays import Bools, Ints, as_array, as_mask, count_in, equal, filter_rows, index_of, not_null, set_columns
from ..core.labels import BASELINE, COMMENTS, REMOTE, REVIEWED
from ..core.lookup import look_up
from ..core.merge import border, destination, findings, frames, tracks
from ..core.merge.disputed import disputes
from ..core.merge.file_ids import file_labels, with_ids_of_tool
from ..core.merge.findings import FINDINGS
from ..core.merge.match import field_moves, match
from ..core.merge.output import REPLACED, WRITES, Merged, Provenance, TaskNames
from ..core.merge.proposed import PROPOSED
from ..core.merge.reconcile import merge
from ..core.merge.route import route
from ..core.merge.unchanged import without_unchanged
from ..core.merge.unexpected import UNEXPECTED
from ..exceptions import Gone
from ..spill.streams import StreamWriter
from ..store.baseline import newest_and_repeats
from ..store.by_task import ByTask, in_task_order, task_ranges
from ..store.sample_states import not_recorded
from ..store.schemas import SAMPLE_STATES
from ..store.stores import Stores
from .counts import counted_changes
from .download import GONE, Answers, Sent, digest_of, download_all
from .outcome import Tally
from .plan_jobs import Job, LoadContext, Planned, TaskToPlan
from .reading import Read, reading
from .scope import chosen_by_state

SAMPLE_IDS = pa.schema([REMOTE.field("sample_id")])
STREAMS = {
    "writes": WRITES, "replaced": REPLACED, "baseline": BASELINE,
    "refused": FINDINGS, "conflicts": FINDINGS, "dropped": FINDINGS, "unexpected": UNEXPECTED, "proposed": PROPOSED,
    "comments": COMMENTS, "states": REVIEWED, "answered": SAMPLE_IDS,
}  # fmt: skip
_NOT_TAKEN = ("refused", "conflicts", "dropped", "unexpected")  # what may not be taken in full


class _Answered(NamedTuple):
    """A task for which the tool answered."""

    task: TaskToPlan
    theirs: pa.Table  # REMOTE, of the samples that the load looks at
    returned: pa.Array  # the ids of those of them for which the tool answered
    disputed: pa.Table  # DISPUTED


class _Sides(NamedTuple):
    """Tasks that are merged at once."""

    tasks: Sequence[_Answered]
    theirs: pa.Table  # REMOTE, of all of them
    base: pa.Table  # BASELINE
    ours: pa.Table  # OURS
    absent: pa.Array  # the ids of the labels of ``base`` that are not in ``ours``


def plan_jobs(stores: Stores, answers: Answers, context: LoadContext, jobs: Iterable[Job]) -> Iterator[Planned]:
    """Plan jobs one after another; the next tasks are downloaded meanwhile."""
    coming: deque[_JobPlanner] = deque()

    def sent() -> Iterator[Sent]:
        for job in jobs:
            coming.append(_JobPlanner(stores, context, answers.is_file, job))
            yield from coming[-1].sent()

    read = reading(answers, context.options, stores, context.run)
    # No variable keeps a task of which only the answer is needed.
    for answer in map(attrgetter("answer"), download_all(read, context.run, sent(), context.ahead)):
        coming[0].add(answer)
        if coming[0].is_done:
            yield coming.popleft().finish()


class _JobPlanner:
    """Plans one job."""

    def __init__(self, stores: Stores, context: LoadContext, is_file: bool, job: Job) -> None:
        self._stores, self._context, self._is_file, self._job = stores, context, is_file, job
        self._tally = Tally()
        self._streams = StreamWriter(context.folder, STREAMS, str(job.number))
        self._base = BASELINE.empty_table()  # of the tasks that were asked for
        self._samples: list[pa.Array] = []  # for each of these tasks, the sample of each label of its baseline
        self._labels = 0  # of these baselines
        self._states = stores.sample_states.rows_at(job.states) if job.states else SAMPLE_STATES.empty_table()
        self._answers = 0
        self._waiting: list[_Answered] = []  # to be merged
        self._labels_waiting = 0
        run, destinations = context.run, context.destinations
        self._single = destination.single_label_fields(run.schema, destinations)
        names = TaskNames({task.name: task.sample_ids for task in job.tasks})
        self._provenance = Provenance(
            run.anno_key, run.run_id, names, context.load, run.backend, context.time, run.versions
        )

    @property
    def is_done(self) -> bool:
        """Whether the answers for all tasks came."""
        return self._answers == len(self._job.tasks)

    def sent(self) -> Iterator[Sent]:
        """The tasks, with the labels that were sent. The first one is asked for while the job before is merged; the baseline of
        the others is read after that, so that memory holds that of one job.
        """
        for tasks in filter(None, (self._job.tasks[:1], self._job.tasks[1:])):
            rows = self._read_baseline(tasks)
            self._base = pa.concat_tables([self._base, rows])
            sent, _ = destination.split_baseline(rows)
            samples = as_array(sent["sample_id"])
            self._labels += len(samples)
            for task, (start, end) in zip(tasks, _ranges(sent, tasks), strict=True):
                self._samples.append(samples.slice(start, end - start))
                yield Sent(task.number, task.name, task.state, sent.slice(start, end - start))

    def _read_baseline(self, tasks: Sequence[TaskToPlan]) -> pa.Table:
        """The baseline of some tasks as it stands now (``BASELINE``), in their order."""
        rows = self._stores.baseline.rows_at(self._job.base.of([task.number for task in tasks])).combine_chunks()
        rows, _ = in_task_order(rows, _numbers_of(rows, tasks))
        newest, repeats = newest_and_repeats(rows, self._context.run.sends)
        self._tally.duplicates += repeats
        return newest

    def add(self, answer: Read | Gone) -> None:
        """Take the tool's answer for the next task. If far more came back than was sent, some are merged before the others."""
        if answered := self._answered(self._answers, answer):
            self._waiting.append(answered)
            self._labels_waiting += answered.theirs.num_rows
        self._answers += 1
        # People may have drawn some labels, or all of a new field.
        if self._labels_waiting >= max(self._context.labels_at_once, 1.25 * self._labels):
            self._merge_waiting()

    def finish(self) -> Planned:
        """The result of the job."""
        self._merge_waiting()
        return Planned([task.number for task in self._job.tasks], self._tally, self._streams.finish())

    def _merge_waiting(self) -> None:
        for sides in self._at_once() if self._waiting else ():
            self._merge(*sides)

    def _answered(self, at: int, answer: Read | Gone) -> _Answered | None:
        """The labels that the load looks at; ``None`` of a task that is not on the server."""
        tally, task = self._tally, self._job.tasks[at]
        if isinstance(answer, Gone):
            tally.gone.append(str(answer))
            tally.digests[task.name] = GONE
            tally.looked_at += len(self._samples[at])
            tally.unanswered += len(task.sample_ids)
            tally.notes.append(f"The task {task.name} is not on the server any more, and brought nothing: {answer}")
            return None
        download = answer.download
        if download.reviewed.num_rows:
            self._note_states(task, download)
        if self._context.looking.handed_out:
            tally.digests[task.name] = digest_of(download)
        tally.notes += download.notes
        tally.agreed.update(answer.counts)
        tally.annotators.update(answer.annotators)
        return self._chosen(at, download, answer.disputed)

    def _note_states(self, task: TaskToPlan, answer: Download) -> None:
        """Note what the tool says about the progress of samples, where it is not recorded yet."""
        said = filter_rows(answer.reviewed, pc.is_in(answer.reviewed["sample_id"], value_set=task.sample_ids))
        self._tally.reviewed += pc.sum(said["reviewed"], min_count=0).as_py()
        self._streams.add("states", not_recorded(said, self._states))

    def _chosen(self, at: int, answer: Download, disputed: pa.Table) -> _Answered:
        tally, task, sample_ids = self._tally, self._job.tasks[at], self._job.tasks[at].sample_ids
        chosen = task.chosen & chosen_by_state(self._context.options, sample_ids, answer.reviewed)
        tally.skipped += int((~chosen).sum())
        tally.looked_at += count_in(self._samples[at], sample_ids.filter(pa.array(chosen)))
        self._streams.add("comments", _of_samples(answer.comments, sample_ids, chosen))
        returned = chosen & as_mask(pc.is_in(sample_ids, value_set=answer.samples))
        tally.unanswered += int(chosen.sum() - returned.sum())
        sample = index_of(answer.labels["sample_id"], sample_ids)
        known, number = not_null(sample), sample.fill_null(0).to_numpy()
        self._drop(task, answer.labels, ~known, "its sample is not of this task, or not here any more")
        not_answered = known & _at(chosen & ~returned, number)
        self._drop(task, answer.labels, not_answered, "the tool did not answer for its sample")
        theirs = filter_rows(answer.labels, pa.array(known & _at(returned, number)))
        answered = sample_ids if returned.all() else sample_ids.filter(pa.array(returned))
        return _Answered(task, theirs, answered, disputed)

    def _drop(self, task: TaskToPlan, theirs: pa.Table, where: Bools, reason: str) -> None:
        """Add a finding for each label that is left out."""
        if where.any():
            self._streams.add("dropped", findings.of(findings.by_remote_id(theirs), where, "existence", reason))
            self._tally.not_taken.append(task.name)

    def _at_once(self) -> Iterator[_Sides]:
        """The waiting tasks that can be merged at once, with the labels of all sides: all, unless two of them have one label, as
        after it was moved to a sample that was sent later; or the tool's ids have to be found for labels of files, which is done by
        task.
        """
        tasks, theirs = _joined(self._waiting)
        self._waiting, self._labels_waiting = [], 0
        self._base = base = self._base.combine_chunks()
        ours = self._stores.labels.rows_at(self._job.ours).combine_chunks()
        if len(tasks) < len(self._job.tasks):
            names = pa.array([answered.task.name for answered in tasks])
            base = base.filter(pc.is_in(base["task"], value_set=names)).combine_chunks()
        if not file_labels(base).any():
            found = look_up(base, ours, ["label_id"])
            if found.unique:
                yield _Sides(tasks, theirs, base, ours, _absent(base, found.at))
                return
        for answered in tasks:
            mine = base.filter(pc.equal(base["task"], answered.task.name)).combine_chunks()
            its_own = pc.is_in(ours["sample_id"], value_set=answered.task.sample_ids)
            here = ours.filter(its_own).combine_chunks()
            yield _Sides([answered], answered.theirs, mine, here, _absent(mine, look_up(mine, here, ["label_id"]).at))

    def _merge(
        self, tasks: Sequence[_Answered], theirs: pa.Table, base: pa.Table, ours: pa.Table, absent: pa.Array
    ) -> None:
        """Plan tasks no two of which have one label; see ``_Sides``."""
        context, run = self._context, self._context.run
        sent, copies = destination.split_baseline(base)
        returned = pa.concat_arrays([task.returned for task in tasks])
        if context.destinations:
            self._streams.add("answered", pa.table([returned], schema=SAMPLE_IDS))
        theirs = self._clip(self._without_frames_on_images(theirs, sent))
        learned = BASELINE.empty_table()
        if not self._is_file:
            sent, learned = self._as_tool_knows_it(sent, theirs)
        changed = without_unchanged(sent, theirs)
        matched = match(run.run_id, changed.base, changed.theirs, run.schema)
        routed = route(matched, changed.base, run.schema, context.options.unexpected)
        labels, refused_attributes = tracks.restore_fixed_attributes(routed.labels, changed.base, run.schema)

        ours = self._with_moved(base, matched, ours, absent)
        review, policy = context.looking.review, context.options.policy
        if review is not None:
            found = disputes(pa.concat_tables(task.disputed for task in tasks), [matched, sent])
            review = review._replace(disputes=destination.with_copies(found, context.destinations, run.run_id))
        merged = merge(
            changed.base, labels, ours, returned, run.schema, self._single, policy, self._provenance,
            review=review and review.without(frozenset(context.destinations)),
            overhang=context.options.invalid == border.KEEP,
        )  # fmt: skip
        if context.destinations:
            merged = destination.redirect(
                merged, sent, copies, ours, returned, context.destinations, self._single, policy, self._provenance,
                review,
            )  # fmt: skip
        for stream, rows in (
            ("refused", field_moves(changed.theirs, matched)), ("refused", routed.refused), ("refused", refused_attributes),
            ("unexpected", routed.unexpected), ("dropped", routed.found),
        ):  # fmt: skip
            self._add(stream, rows)
        self._store(merged, learned)

    def _add(self, stream: str, rows: pa.Table) -> None:
        self._streams.add(stream, rows)
        if stream in _NOT_TAKEN and rows.num_rows:
            self._tally.not_taken += pc.unique(self._provenance.tasks.of(rows["sample_id"])).to_pylist()

    def _store(self, merged: Merged, learned: pa.Table) -> None:
        for name in ("writes", "replaced", "baseline", "refused", "conflicts"):
            self._add(name, getattr(merged, name))
        self._context.looking.note(self._tally, self._streams, merged.proposed, merged.conflicts)
        if learned.num_rows:
            is_old = pc.is_in(learned["label_id"], value_set=as_array(merged.baseline["label_id"]))
            self._streams.add("baseline", learned.filter(pc.invert(is_old)))
        self._tally.counts.update(counted_changes(merged.writes, merged.replaced))

    def _as_tool_knows_it(self, sent: pa.Table, theirs: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The baseline without labels that came from a file and are not in the tool: they cannot have been deleted there. Those
        that it has by now get its ids; these are the second table (``BASELINE``), for later loads.
        """
        of_files = file_labels(sent)
        if not of_files.any():
            return sent, BASELINE.empty_table()
        sent = with_ids_of_tool(sent, theirs)
        unknown = file_labels(sent)
        self._tally.of_files += int(unknown.sum())
        learned = set_columns(sent.filter(pa.array(of_files & ~unknown)), load=self._context.load)
        return sent.filter(pa.array(~unknown)).combine_chunks(), learned

    def _without_frames_on_images(self, theirs: pa.Table, sent: pa.Table) -> pa.Table:
        """The labels without frame numbers on images; a finding for each number."""
        on_frame = theirs["frame_number"].is_valid()
        if not pc.any(on_frame, min_count=0).as_py():
            return theirs
        samples = as_array(pc.unique(theirs.filter(on_frame)["sample_id"]))
        kinds = self._stores.samples.rows(samples, ["media_type"])["media_type"]
        images = samples.filter(pa.array(~equal(kinds, "video")))
        theirs, left_out = frames.without_frames_on_images(theirs, sent, images)
        self._add("dropped", left_out)
        return theirs

    def _clip(self, theirs: pa.Table) -> pa.Table:
        """The labels, cut back to their image where people drew over its border, as far as the options say."""
        invalid = self._context.options.invalid
        over = border.overhang(theirs)
        at = pa.array(np.flatnonzero(over.any(axis=1)))
        if invalid == border.KEEP:
            self._tally.overhanging += len(at)
        if not len(at) or invalid in (border.REFUSE, border.KEEP):
            return theirs
        samples = as_array(theirs["sample_id"].take(at))
        rows = self._stores.samples.rows(pc.unique(samples), ["sample_id", "width", "height"])
        rows = rows.take(pc.index_in(samples, value_set=as_array(rows["sample_id"])))
        sizes = np.stack([rows[name].cast(pa.float64()).to_numpy() for name in ("width", "height")], axis=1)
        cut = np.zeros(theirs.num_rows, bool)
        cut[at] = True if invalid == border.CLIP else border.within_a_pixel(over[at], sizes)
        self._tally.clipped += int(cut.sum())
        return border.clip_where(theirs, cut)

    def _with_moved(self, base: pa.Table, matched: pa.Table, ours: pa.Table, absent: pa.Array) -> pa.Table:
        """With labels that were sent and were moved here since, to another field or sample: they are edited where they are.

        A label that is new in the tool, or its copy, may be such a label too: when it was loaded before, moved here, and so was
        kept when that load was undone.
        """
        run = self._context.run
        if any(load.state == "undone" for load in run.loads):
            copies = [
                destination.copy_ids(rows["label_id"], target, run.run_id)
                for target in self._context.destinations.values() for rows in (base, matched)
            ]  # fmt: skip
            label_ids = pc.unique(pa.concat_arrays([absent, as_array(matched["label_id"]), *copies]))
            absent = label_ids.filter(pc.invert(pc.is_in(label_ids, value_set=as_array(ours["label_id"]))))
        if not len(absent):
            return ours
        moved = self._stores.labels.get_by_ids(absent, self._context.version)
        return pa.concat_tables([ours, moved]).combine_chunks()


def _joined(tasks: Sequence[_Answered]) -> tuple[list[_Answered], pa.Table]:
    """Tasks whose labels are parts of one table, and that table."""
    theirs = pa.concat_tables(task.theirs for task in tasks).combine_chunks()
    ends = accumulate(task.theirs.num_rows for task in tasks)
    parts = (
        theirs.slice(end - task.theirs.num_rows, task.theirs.num_rows) for task, end in zip(tasks, ends, strict=True)
    )
    return [task._replace(theirs=part) for task, part in zip(tasks, parts, strict=True)], theirs


def _ranges(rows: pa.Table, tasks: Sequence[TaskToPlan]) -> list[tuple[int, int]]:
    """The first row and the end of those of each task, from rows in the order of the tasks."""
    return task_ranges(_numbers_of(rows, tasks), len(tasks))


def _numbers_of(rows: pa.Table, tasks: Sequence[TaskToPlan]) -> Ints:
    """The position of the task of each row among some tasks; -1 for others."""
    return ByTask([], [task.name for task in tasks]).numbers_of_names(as_array(rows["task"]))


def _absent(base: pa.Table, at: Ints) -> pa.Array:
    """The ids of the labels of a baseline that were not found: ``at`` is from ``look_up``."""
    return as_array(base["label_id"]).filter(pa.array(at < 0))


def _of_samples(rows: pa.Table, sample_ids: pa.Array, which: Bools) -> pa.Table:
    """The rows of some of the samples."""
    if not rows.num_rows:
        return rows
    return filter_rows(rows, pc.is_in(rows["sample_id"], value_set=sample_ids.filter(pa.array(which))))


def _at(mask: Bools, rows: Ints) -> Bools:
    """The mask at some rows; it may be empty."""
    return mask[rows] if len(mask) else np.zeros(len(rows), bool)
