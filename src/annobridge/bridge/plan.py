"""Plan: run → per task: download → match → route → merge → spool. What a load would do, with nothing written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.base import Download, Receipt
from ..backend.guarded import Guarded
from ..core import tracks
from ..core.arrays import as_array, as_mask, equal, filter_rows
from ..core.digest import digest
from ..core.labels import BASELINE, OURS, REMOTE, SINGLE
from ..core.merge import border, destination, findings, frames
from ..core.merge.findings import FINDINGS
from ..core.merge.match import match, moves
from ..core.merge.reconcile import REPLACED, WRITES, Merged, Provenance, merge
from ..core.merge.route import UNEXPECTED, route
from ..display.progress import Progress
from ..exceptions import BackendError, Gone, RunIncomplete, SchemaError
from ..spill import temporary
from ..spill.groups import Groups
from ..spill.streams import Streams
from ..store import baseline
from ..store.baseline import current
from ..store.labels import of_fields
from ..store.locate import Locator
from ..store.run import Run
from ..store.stores import Stores
from ..store.tables import quote
from .outcome import Options, Outcome, require_unique


def make(stores: Stores, run: Run, backend: Guarded, options: Options, progress: Any = None) -> Outcome:
    """Plan a load of a run. Writes nothing."""
    planner = _Planner(stores, run, backend, options)
    try:
        return planner.run_all(progress)
    finally:
        planner.close()


def digests(stores: Stores, run: Run, backend: Guarded) -> list[str]:
    """What the tool holds now, as one digest per task; compared before a plan made earlier is applied."""
    receipts = stores.runs.receipts(run)
    found = []
    for name in stores.runs.tasks(run)["task"].to_pylist():
        try:
            receipt = Receipt(name, receipts[name], baseline_of(stores, run, name))
            found.append(_digest(_downloaded(backend, run, receipt)))
        except Gone:
            found.append("gone")
    return found


def baseline_of(stores: Stores, run: Run, task: str) -> pa.Table:
    """The baseline of one task as it stands now (``REMOTE``), less what was carried into other fields."""
    rows = pa.Table.from_batches(stores.baseline.scan(run, task=task), BASELINE)
    return destination.split(current(rows))[0].select(REMOTE.names).cast(REMOTE)


def _downloaded(backend: Guarded, run: Run, receipt: Receipt) -> Download:
    """What the tool has for a task. An error says how to go on."""
    try:
        return backend.download(receipt)
    except Gone:
        raise
    except BackendError as e:
        again = f"Nothing was loaded; load_annotations({run.anno_key!r}) tries again."
        raise type(e)(f"{e} {again}", e.status, e.detail, e.samples) from e


def _digest(download: Download) -> str:
    """The same for the same labels and samples, in whatever order the tool returns them."""
    labels, samples = download.labels, download.samples
    order = pc.sort_indices(
        labels.select(["sample_id", "remote_id"]), [("sample_id", "ascending"), ("remote_id", "ascending")]
    )
    said = labels.select([name for name in REMOTE.names if name not in ("label_id", "rev", "time")]).take(order)
    answered = pa.table({"sample_id": samples.take(pc.sort_indices(samples))})
    return digest(said) + digest(answered)


class _Answer(NamedTuple):
    """A task's baseline, parted into what was sent and what was carried into other fields, and what the tool has now."""

    base: pa.Table
    sent: pa.Table
    copies: pa.Table
    labels: int  # how many were sent
    doubled: int  # of which the baseline has a second record
    download: Download | Gone


class _Planner:
    def __init__(self, stores: Stores, run: Run, backend: Guarded, options: Options) -> None:
        self.stores, self.run, self.backend, self.options = stores, run, backend, options
        self.receipts = stores.runs.receipts(run)
        rows = stores.runs.tasks(run)
        self.names: list[str] = rows["task"].to_pylist()
        self.samples: list[pa.Array] = [ids.values for ids in rows["sample_ids"]]
        if run.state != "sent":
            raise RunIncomplete(
                f"Sending of the run {run.anno_key!r} stopped after {len(self.receipts)} of {len(self.names)} tasks; "
                f"finish it with resume_annotation({run.anno_key!r}), or remove it with abort_annotation({run.anno_key!r})."
            )
        self.destinations = destination.resolve(options.dest_field, run.schema)
        require_open(stores, run, self.destinations)
        self.single = destination.singles(run.schema, self.destinations)
        self.policy = "ours" if options.conflicts == "ours" else "theirs"
        schemas = {"writes": WRITES, "replaced": REPLACED, "baseline": BASELINE, "refused": FINDINGS, "conflicts": FINDINGS,
                   "dropped": FINDINGS, "unexpected": UNEXPECTED}  # fmt: skip
        self.out = Outcome(Streams(schemas), stores.labels.version(), run, run.next_load, options, self.destinations)
        self.clipped = 0  # labels that were cut back to their image
        self.doubled = 0  # labels of which the baseline has a second record
        self._folder = temporary.make()

    def close(self) -> None:
        temporary.remove(self._folder)

    def run_all(self, progress: Any) -> Outcome:
        bases, fields = self._regroup_base()
        ours = self._regroup_ours(fields)
        everyone = pa.concat_arrays(self.samples)
        present = self.stores.samples.present(everyone)
        lost = len(everyone) - len(present)
        if lost:
            self.out.notes.append(
                f"{lost} samples of the run are not in the dataset any more; their labels were left out."
            )
        gone = 0
        with Progress(progress, len(everyone), f"loading from {self.backend.name}") as bar:
            for number, answer in enumerate(self._answers(bases)):
                gone += not self._task(number, answer, ours.get(number), present if lost else None)
                bar.advance(len(self.samples[number]))
        if gone == len(self.names):
            raise Gone(
                f"Nothing of the run {self.run.anno_key!r} is on the server any more; its labels here are untouched. "
                f"delete_annotation_run({self.run.anno_key!r}) forgets it."
            )
        if self.doubled:
            self.out.notes.append(
                f"Two processes sent this run at once, and recorded {self.doubled} labels twice; each counts once."
            )
        if self.clipped:
            self.out.notes.append(
                f"{self.clipped} labels that lie over the border of their image in the tool were cut back to it."
            )
        self.out.spool.done()
        require_unique(self.out.spool)
        return self.out

    def _regroup_base(self) -> tuple[Groups, list[str]]:
        shuffle = Groups(BASELINE, self._folder)
        names = pa.array(self.names, pa.string())
        fields = set(self.run.schema.fields) | set(self.destinations.values())
        for batch in self.stores.baseline.scan(self.run):
            fields.update(pc.unique(batch["field"]).to_pylist())
            shuffle.feed(batch, pc.index_in(batch["task"], value_set=names).fill_null(-1).to_numpy())
        return shuffle, sorted(fields)

    def _regroup_ours(self, fields: Sequence[str]) -> Groups:
        shuffle = Groups(OURS, self._folder)
        locator = Locator(pa.concat_arrays(self.samples), np.array([len(s) for s in self.samples]))
        for batch in self.stores.labels.ours(of_fields(fields), self.out.version):
            shuffle.feed(batch, locator.tasks(batch["sample_id"]))
        return shuffle

    def _answers(self, bases: Groups) -> Iterator[_Answer]:
        """What the tool says of each task, in their order; a task is asked for while the one before it is merged."""
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._ask, 0, bases)
            for following in range(1, len(self.names) + 1):
                answer = coming.result()
                if following < len(self.names):
                    coming = ahead.submit(self._ask, following, bases)
                yield answer

    def _ask(self, number: int, bases: Groups) -> _Answer:
        name, rows = self.names[number], bases.get(number)
        base, (labels, doubled) = current(rows), baseline.sent(rows)
        sent, copies = destination.split(base)
        download: Download | Gone
        try:
            receipt = Receipt(name, self.receipts[name], sent.select(REMOTE.names).cast(REMOTE))
            download = _downloaded(self.backend, self.run, receipt)
        except Gone as e:
            download = e
        return _Answer(base, sent, copies, labels, doubled, download)

    def _task(self, number: int, answer: _Answer, ours: pa.Table, present: pa.Array | None) -> bool:
        """Plan one task; ``False`` when it is not on the server any more."""
        name, download = self.names[number], answer.download
        base, sent, copies = answer.base, answer.sent, answer.copies
        self.out.sent += answer.labels
        self.doubled += answer.doubled
        if isinstance(download, Gone):
            self.out.digests.append("gone")
            self.out.unanswered += len(self.samples[number])
            self.out.notes.append(f"The task {name} is not on the server any more, and brought nothing: {download}")
            return False
        self.out.digests.append(_digest(download))
        self.out.notes += download.notes
        returned = self.samples[number] if present is None else _both(self.samples[number], present)
        theirs = self._within(download.labels, returned, "its sample is not of this task, or not here any more")
        answered = _both(returned, download.samples)
        self.out.unanswered += len(returned) - len(answered)
        returned = answered
        theirs = self._within(theirs, returned, "the tool did not answer for its sample")
        theirs = self._without_overhang(self._without_frames(theirs, sent))
        base, ours = base.combine_chunks(), self._with_moved(base, ours.combine_chunks())
        stamp = self._stamp(name)
        schema = self.run.schema
        matched = match(self.run.run_id, sent, theirs, schema)
        self.out.spool.add("refused", moves(theirs, matched))
        routed = route(matched, sent, schema, self.options.unexpected)
        self.out.spool.add("refused", routed.refused)
        self.out.spool.add("unexpected", routed.unexpected)
        self.out.spool.add("dropped", routed.found)
        labels, varied = tracks.settled(routed.labels, sent, schema)
        self.out.spool.add("refused", varied)
        merged = merge(sent, labels, ours, returned, schema, self.single, self.policy, stamp)
        if self.destinations:
            merged = destination.carry(
                merged, sent, copies, ours, returned, self.destinations, self.single, self.policy, stamp
            )
        self._keep(merged)
        return True

    def _stamp(self, task: str) -> Provenance:
        run = self.run
        return Provenance(run.anno_key, run.run_id, task, self.out.load, run.backend, datetime.now(UTC), run.versions)

    def _within(self, theirs: pa.Table, samples: pa.Array, reason: str) -> pa.Table:
        """The labels of these samples; the others are told, and left out."""
        inside = pc.is_in(theirs["sample_id"], value_set=samples)
        if not pc.all(inside, min_count=0).as_py():
            self.out.spool.add(
                "dropped", findings.of(findings.by_remote_id(theirs), ~as_mask(inside), "existence", reason)
            )
        return filter_rows(theirs, inside).combine_chunks()

    def _without_frames(self, theirs: pa.Table, sent: pa.Table) -> pa.Table:
        """The labels without frame numbers on images, which are told."""
        on_frame = theirs["frame_number"].is_valid()
        if not pc.any(on_frame, min_count=0).as_py():
            return theirs
        samples = as_array(pc.unique(theirs.filter(on_frame)["sample_id"]))
        kinds = self.stores.samples.rows(samples, ["media_type"])["media_type"]
        theirs, found = frames.left_out(theirs, sent, samples.filter(pa.array(~equal(kinds, "video"))))
        self.out.spool.add("dropped", found)
        return theirs

    def _without_overhang(self, theirs: pa.Table) -> pa.Table:
        """The labels with those that people drew a little over the border cut back to their image."""
        over = border.overhang(theirs)
        at = pa.array(np.flatnonzero(over.any(axis=1)))
        if not len(at) or self.options.invalid == "refuse":
            return theirs
        samples = as_array(theirs["sample_id"].take(at))
        rows = self.stores.samples.rows(pc.unique(samples), ["sample_id", "width", "height"])
        rows = rows.take(pc.index_in(samples, value_set=as_array(rows["sample_id"])))
        sizes = np.stack([rows[name].cast(pa.float64()).to_numpy() for name in ("width", "height")], axis=1)
        cut = np.zeros(theirs.num_rows, bool)
        cut[at] = True if self.options.invalid == "clip" else border.within_a_pixel(over[at], sizes)
        self.clipped += int(cut.sum())
        return border.clipped(theirs, cut)

    def _with_moved(self, base: pa.Table, ours: pa.Table) -> pa.Table:
        """Labels that were sent and lie now in another field or sample here: they are edited where they are."""
        missing = base.filter(pc.invert(pc.is_in(base["label_id"], value_set=ours["label_id"].combine_chunks())))[
            "label_id"
        ]
        if not len(missing):
            return ours
        moved = self.stores.labels.of_ids(pa.concat_arrays(missing.chunks), self.out.version)
        return pa.concat_tables([ours, moved]).combine_chunks()

    def _keep(self, merged: Merged) -> None:
        out = self.out
        for name in ("writes", "replaced", "baseline", "refused", "conflicts"):
            out.spool.add(name, getattr(merged, name))
        for rows in (merged.writes, merged.replaced.filter(pc.equal(merged.replaced["action"], "delete"))):
            for row in rows.group_by(["field", "action"]).aggregate([([], "count_all")]).to_pylist():
                out.counts[row["field"], row["action"]] += row["count_all"]


def _both(a: pa.Array, b: pa.Array | pa.ChunkedArray) -> pa.Array:
    return a.filter(pc.is_in(a, value_set=b if isinstance(b, pa.Array) else b.combine_chunks()))


def require_open(stores: Stores, run: Run, destinations: Mapping[str, str]) -> None:
    """Raise ``SchemaError`` for a destination that holds labels of another type; and, where a sample has room for one
    label, for any labels but those that this run itself brought there, whatever its key was then.
    """
    for name, target in destinations.items():
        spec = run.schema.fields[name]
        if stores.labels.count(f"{of_fields([target])} AND kind != {quote(spec.kind)}"):
            raise SchemaError(
                f"dest_field sends {name!r} ({spec.kind}) to {target!r}, which holds labels of another type."
            )
        if spec.type in SINGLE and stores.labels.any_but(stores.baseline.ids(run, target), of_fields([target])):
            raise SchemaError(
                f"dest_field sends {name!r} to {target!r}, which holds one label per sample and has labels already; "
                "choose a new field."
            )
