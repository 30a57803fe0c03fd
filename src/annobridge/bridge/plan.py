"""Plan: what a load would do, task by task, with nothing written but temporary files.

For each task: download → leave out other samples → clip → match → route → restore fixed attributes → merge → add to the outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.values import Download
from ..core.arrays import as_array, as_mask, count_in, equal, filter_rows, set_columns
from ..core.labels import BASELINE, COMMENTS, OURS, REVIEWED, SINGLE
from ..core.merge import border, destination, findings, frames, tracks
from ..core.merge.file_ids import file_labels, with_ids_of_tool
from ..core.merge.findings import FINDINGS
from ..core.merge.match import field_moves, match
from ..core.merge.output import REPLACED, WRITES, Merged, Provenance
from ..core.merge.proposed import PROPOSED
from ..core.merge.reconcile import merge
from ..core.merge.route import route
from ..core.merge.unexpected import UNEXPECTED
from ..display.progress import Progress
from ..exceptions import Gone, SchemaError
from ..spill.streams import Streams
from ..store.by_task import ByTask
from ..store.labels import field_condition
from ..store.run import Run
from ..store.sample_states import not_recorded
from ..store.schemas import SAMPLE_STATES
from ..store.stores import Stores
from ..store.tables import quote
from .counts import counted
from .download import GONE, Answers, Downloaded, digest_of, download_all
from .outcome import Options, Outcome, require_unique
from .push import settle
from .reviewed import Reviewed
from .run_states import require_sent
from .scope import Scope

STREAMS = {
    "writes": WRITES, "replaced": REPLACED, "baseline": BASELINE,
    "refused": FINDINGS, "conflicts": FINDINGS, "dropped": FINDINGS, "unexpected": UNEXPECTED, "proposed": PROPOSED,
    "comments": COMMENTS, "states": REVIEWED,
}  # fmt: skip
_NOT_TAKEN = ("refused", "conflicts", "dropped", "unexpected")  # what may not be taken in full


def make(
    stores: Stores,
    run: Run,
    answers: Answers,
    options: Options,
    progress: Any = None,
    handed_out: bool = False,
) -> Outcome:
    """Plan a load of a run.

    Args:
        stores: the dataset. Nothing is written to it.
        run: as the ledger has it now.
        answers: where the work is.
        options: what the caller asked for.
        progress: as in ``annotate``.
        handed_out: whether people look at the plan, and may apply it later: it notes what the tool had, and each change.

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
    outcome = Outcome(Streams(STREAMS), stores.labels.version(), run, run.next_load_number, options, destinations)
    outcome.patterns = stores.protections.all()
    reviewed = Reviewed(outcome, stores.decisions.standing(run), handed_out)
    tasks = ByTask.of_run(stores.runs.tasks(run))
    scope, receipts = Scope(stores, outcome, answers, tasks), stores.runs.receipts(run)
    planner = _Planner(stores, outcome, answers.is_file, reviewed, scope)
    present = stores.samples.existing_ids(tasks.all_sample_ids)
    if lost := len(tasks.all_sample_ids) - len(present):
        outcome.notes.append(f"{lost} samples of the run are not in the dataset any more; their labels were left out.")

    fields = {*run.schema.fields, *destinations.values()}
    bases = tasks.by_name(BASELINE, _collecting(fields, stores.baseline.scan(run)))
    with (
        bases,
        tasks.by_sample(OURS, stores.labels.scan_ours(field_condition(sorted(fields)), outcome.version)) as ours,
        tasks.by_sample(SAMPLE_STATES, stores.sample_states.scan(run)) as states,
    ):
        numbers = scope.numbers(receipts)
        downloads = download_all(answers, run, {number: tasks.names[number] for number in numbers}, receipts, bases)
        with Progress(progress, sum(len(tasks.sample_ids[n]) for n in numbers), f"loading from {answers.name}") as bar:
            for number, downloaded in downloads:
                sample_ids = tasks.sample_ids[number]
                here = _intersection(sample_ids, present) if lost else sample_ids
                planner.note_states(here, downloaded.download, states.get(number))
                listed = [outcome.streams.rows[name] for name in _NOT_TAKEN]
                planner.plan_task(number, tasks.names[number], here, downloaded, ours.get(number).combine_chunks())
                if listed != [outcome.streams.rows[name] for name in _NOT_TAKEN]:
                    outcome.marks.pop(tasks.names[number], None)  # another load may take it
                bar.advance(len(sample_ids))
    outcome.streams.finish()
    planner.finish(len(numbers))
    reviewed.finish()
    require_unique(outcome.streams)
    return outcome


def _collecting(fields: set[str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches as they are; the fields that occur in them are added to the set."""
    for batch in batches:
        fields.update(pc.unique(batch["field"]).to_pylist())
        yield batch


class _Planner:
    """Plans one task after another into an outcome."""

    def __init__(self, stores: Stores, outcome: Outcome, is_file: bool, reviewed: Reviewed, scope: Scope) -> None:
        self._scope = scope
        self._stores, self._out, self._is_file, self._reviewed = stores, outcome, is_file, reviewed
        self._single = destination.single_label_fields(outcome.run.schema, outcome.destinations)
        self._policy = outcome.options.policy
        self._gone = 0  # tasks that are not on the server
        self._why_gone = ""
        self._clipped = 0  # labels that were cut back to their image
        self._overhanging = 0  # labels that lie over the border of their image, and stay so
        self._duplicates = 0  # labels that the baseline has twice
        self._learned = BASELINE.empty_table()  # rows of this task for which the tool has ids now
        self._of_files = 0  # labels that came from a file, and are not in the tool

    def note_states(self, sample_ids: pa.Array, answer: Download | Gone, recorded: pa.Table) -> None:
        """Note what the tool says about the progress of samples, where it is not ``recorded`` (``SAMPLE_STATES``) yet."""
        if isinstance(answer, Gone):
            return
        said = filter_rows(answer.reviewed, pc.is_in(answer.reviewed["sample_id"], value_set=sample_ids))
        self._out.reviewed += pc.sum(said["reviewed"], min_count=0).as_py()
        self._out.streams.add("states", not_recorded(said, recorded))

    def plan_task(self, number: int, name: str, sample_ids: pa.Array, downloaded: Downloaded, ours: pa.Table) -> None:
        """Plan one task. ``sample_ids`` are its samples that are in the dataset, ``ours`` (``OURS``) their labels."""
        out, run, sent = self._out, self._out.run, downloaded.sent
        self._learned = BASELINE.empty_table()
        self._duplicates += downloaded.doubled
        answer = downloaded.download
        if isinstance(answer, Gone):
            self._gone += 1
            self._why_gone = str(answer)
            out.digests[name] = GONE
            out.sent += downloaded.labels
            out.unanswered += len(sample_ids)
            out.notes.append(f"The task {name} is not on the server any more, and brought nothing: {answer}")
            return
        if self._reviewed.handed_out:
            out.digests[name] = digest_of(answer)
        out.notes += answer.notes
        theirs, returned = self._chosen(number, sample_ids, downloaded, answer)
        theirs = self._clip(self._without_frames_on_images(theirs, sent))
        if not self._is_file:
            sent = self._as_tool_knows_it(sent, theirs)
        matched = match(run.run_id, sent, theirs, run.schema)
        routed = route(matched, sent, run.schema, out.options.unexpected)
        labels, refused_attributes = tracks.restore_fixed_attributes(routed.labels, sent, run.schema)

        ours = self._with_moved(downloaded.base, matched, ours)
        provenance = Provenance(run.anno_key, run.run_id, name, out.load, run.backend, datetime.now(UTC), run.versions)
        review = self._reviewed.review
        merged = merge(
            sent, labels, ours, returned, run.schema, self._single, self._policy, provenance,
            review=review and review.without(frozenset(out.destinations)), overhang=out.options.invalid == border.KEEP,
        )  # fmt: skip
        if out.destinations:
            merged = destination.redirect(
                merged, sent, downloaded.copies, ours, returned, out.destinations, self._single, self._policy,
                provenance, review,
            )  # fmt: skip
        for stream, rows in (
            ("refused", field_moves(theirs, matched)), ("refused", routed.refused), ("refused", refused_attributes),
            ("unexpected", routed.unexpected), ("dropped", routed.found),
        ):  # fmt: skip
            out.streams.add(stream, rows)
        self._store(merged)

    def _chosen(
        self, number: int, sample_ids: pa.Array, downloaded: Downloaded, answer: Download
    ) -> tuple[pa.Table, pa.Array]:
        """The labels of the samples that the load looks at, and the ids of those of them for which the tool answered."""
        out, chosen = self._out, self._scope.within(number, sample_ids, answer)
        out.sent += (
            downloaded.labels if len(chosen) == len(sample_ids) else count_in(downloaded.sent["sample_id"], chosen)
        )
        of_chosen = pc.is_in(answer.comments["sample_id"], value_set=chosen)
        out.streams.add("comments", filter_rows(answer.comments, of_chosen))
        returned = _intersection(chosen, answer.samples)
        out.unanswered += len(chosen) - len(returned)
        theirs = self._within(answer.labels, sample_ids, "its sample is not of this task, or not here any more")
        left_out = pc.is_in(theirs["sample_id"], value_set=_without(sample_ids, chosen))
        theirs = filter_rows(theirs, pc.invert(left_out))
        return self._within(theirs, returned, "the tool did not answer for its sample"), returned

    def finish(self, tasks: int) -> None:
        """What holds for the load as a whole. ``tasks`` is how many were asked for; raises ``Gone`` if none is on the server."""
        out = self._out
        if out.skipped:
            out.notes.append(
                f"{out.skipped} samples were left out by the options of the load; their labels stay as they are."
            )
        if tasks and self._gone == tasks:
            raise Gone(
                f"Nothing of the run {out.run.anno_key!r} is on the server any more; its labels here are untouched. "
                f"{self._why_gone} delete_annotation_run({out.run.anno_key!r}) forgets it."
            )
        if self._duplicates:
            out.notes.append(
                f"Two processes sent this run at once, and recorded {self._duplicates} labels twice; each counts once."
            )
        if self._of_files:
            out.notes.append(
                f"{self._of_files} labels that came from a file are not in {out.run.backend}; they stay as they are."
            )
        if self._clipped:
            out.notes.append(
                f"{self._clipped} labels that lie over the border of their image in the tool were cut back to it."
            )
        if self._overhanging:
            out.notes.append(
                f"{self._overhanging} labels lie over the border of their image in the tool, and are taken as they are; "
                "annotate sends them only once they are clipped."
            )

    def _as_tool_knows_it(self, sent: pa.Table, theirs: pa.Table) -> pa.Table:
        """The baseline without labels that came from a file and are not in the tool: they cannot have been deleted there. Those
        that it has by now get its ids, also for later loads.
        """
        of_files = file_labels(sent)
        if not of_files.any():
            return sent
        sent = with_ids_of_tool(sent, theirs)
        unknown = file_labels(sent)
        self._of_files += int(unknown.sum())
        learned = sent.filter(pa.array(of_files & ~unknown))
        self._learned = set_columns(learned, load=self._out.load)
        return sent.filter(pa.array(~unknown)).combine_chunks()

    def _within(self, theirs: pa.Table, samples: pa.Array, reason: str) -> pa.Table:
        """The labels of these samples; a finding for each of the others."""
        inside = pc.is_in(theirs["sample_id"], value_set=samples)
        if not pc.all(inside, min_count=0).as_py():
            left_out = findings.of(findings.by_remote_id(theirs), ~as_mask(inside), "existence", reason)
            self._out.streams.add("dropped", left_out)
        return filter_rows(theirs, inside).combine_chunks()

    def _without_frames_on_images(self, theirs: pa.Table, sent: pa.Table) -> pa.Table:
        """The labels without frame numbers on images; a finding for each number."""
        on_frame = theirs["frame_number"].is_valid()
        if not pc.any(on_frame, min_count=0).as_py():
            return theirs
        samples = as_array(pc.unique(theirs.filter(on_frame)["sample_id"]))
        kinds = self._stores.samples.rows(samples, ["media_type"])["media_type"]
        theirs, left_out = frames.without_frames_on_images(
            theirs, sent, samples.filter(pa.array(~equal(kinds, "video")))
        )
        self._out.streams.add("dropped", left_out)
        return theirs

    def _clip(self, theirs: pa.Table) -> pa.Table:
        """The labels, cut back to their image where people drew over its border, as far as the options say."""
        invalid = self._out.options.invalid
        over = border.overhang(theirs)
        at = pa.array(np.flatnonzero(over.any(axis=1)))
        if invalid == border.KEEP:
            self._overhanging += len(at)
        if not len(at) or invalid in (border.REFUSE, border.KEEP):
            return theirs
        samples = as_array(theirs["sample_id"].take(at))
        rows = self._stores.samples.rows(pc.unique(samples), ["sample_id", "width", "height"])
        rows = rows.take(pc.index_in(samples, value_set=as_array(rows["sample_id"])))
        sizes = np.stack([rows[name].cast(pa.float64()).to_numpy() for name in ("width", "height")], axis=1)
        cut = np.zeros(theirs.num_rows, bool)
        cut[at] = True if invalid == border.CLIP else border.within_a_pixel(over[at], sizes)
        self._clipped += int(cut.sum())
        return border.clip_where(theirs, cut)

    def _with_moved(self, base: pa.Table, matched: pa.Table, ours: pa.Table) -> pa.Table:
        """With labels that were sent and were moved here since, to another field or sample: they are edited where they are.

        A label that is new in the tool, or its copy, may be such a label too: when it was loaded before, moved here, and so was
        kept when that load was undone.
        """
        run, label_ids = self._out.run, as_array(base["label_id"])
        if any(load.state == "undone" for load in run.loads):
            copies = [
                destination.copy_ids(rows["label_id"], target, run.run_id)
                for target in self._out.destinations.values() for rows in (base, matched)
            ]  # fmt: skip
            label_ids = pc.unique(pa.concat_arrays([label_ids, as_array(matched["label_id"]), *copies]))
        missing = label_ids.filter(pc.invert(pc.is_in(label_ids, value_set=as_array(ours["label_id"]))))
        if not len(missing):
            return ours
        moved = self._stores.labels.get_by_ids(missing, self._out.version)
        return pa.concat_tables([ours, moved]).combine_chunks()

    def _store(self, merged: Merged) -> None:
        out = self._out
        for name in ("writes", "replaced", "baseline", "refused", "conflicts"):
            out.streams.add(name, getattr(merged, name))
        self._reviewed.add(merged.proposed, merged.conflicts)
        is_old = pc.is_in(self._learned["label_id"], value_set=as_array(merged.baseline["label_id"]))
        out.streams.add("baseline", self._learned.filter(pc.invert(is_old)))
        for rows in (merged.writes, merged.replaced.filter(pc.equal(merged.replaced["action"], "delete"))):
            out.counts.update(counted(rows))


def _without(a: pa.Array, b: pa.Array) -> pa.Array:
    return a.filter(pc.invert(pc.is_in(a, value_set=b)))


def _intersection(a: pa.Array, b: pa.Array | pa.ChunkedArray) -> pa.Array:
    return a.filter(pc.is_in(a, value_set=as_array(b)))


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
