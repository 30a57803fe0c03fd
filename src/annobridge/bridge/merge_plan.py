"""A plan: what a load would do, as tables; the decisions of people about it; and the load itself."""

from __future__ import annotations

import pkgutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, first_rows, row_keys
from ..core.labels import LABELS, SAMPLES, conform
from ..core.media import Media
from ..core.review.changes import changes
from ..core.review.decisions import DECISIONS, TAKE
from ..core.review.values import side_table
from ..core.schema import LabelSchema
from ..display.progress import ProgressChoice
from ..exceptions import StalePlan
from ..store.labels import field_condition
from ..store.run import Run
from ..store.stores import Stores
from . import apply as loading
from . import checks as checking
from . import evidence, plan_file
from . import plan as planning
from .checks import CheckReport
from .decidable import Decidable
from .download import GONE, Answers, digests
from .outcome import Options, Outcome
from .plan_file import FROM_TOOL, Source
from .reading import reading
from .reports import LoadReport, Summary

_SHAPES = pa.schema([*(f.with_nullable(True) for f in LABELS), pa.field("side", pa.string())])


class MergePlan(Decidable, Summary):
    """What a load would do. Nothing is written before ``apply()`` or ``load()``."""

    title = "Plan"

    def __init__(
        self, stores: Stores, answers: Answers, outcome: Outcome, source: Source = FROM_TOOL, is_saved: bool = False
    ) -> None:
        super().__init__(outcome)
        self._is_saved = is_saved  # it comes from a file, of which nothing but decisions is written to a dataset
        self._stores, self._answers, self._source = stores, answers, source
        self._given = outcome.options.decisions

    @property
    def _schema(self) -> LabelSchema:
        return self.outcome.schema

    @property
    def run(self) -> Run:
        """The run."""
        return self.outcome.run

    @property
    def dataset_uri(self) -> str:
        """Where the dataset is."""
        return self._stores.database.uri

    @cached_property
    def changes(self) -> pa.Table:
        """What the load would change, a row for each label and component, conflicts among them; the riskiest first.

        The columns are those of ``annobridge.core.review.changes.CHANGES``. ``change_id`` is the same in every plan of the run.
        """
        proposed = self._proposed
        return changes(proposed, self._sample_rows(proposed["sample_id"], ["sample_id", "width", "height"]))

    @property
    def not_allowed(self) -> int:
        """How many changes of the tool cannot be taken, whatever is decided: those of ``refused`` that the schema does not allow,
        or that cannot be stored.
        """
        names = ("label_id", "component")
        proposed = pc.is_in(row_keys(self.refused, names), value_set=row_keys(self._proposed, names))
        return int(pc.sum(pc.invert(proposed)).as_py() or 0)

    def check(self, checks: Collection[str] | None = None, **limits: Mapping[str, Any]) -> CheckReport:
        """Check what the load would do, with the decisions so far: ``plan.check(share_of_deletions={"limit": 0.05}).ok``.

        If decisions were made since the plan, it is planned again, from what the tool has now.

        Args:
            checks: the names of the checks to run; by default those of the section ``[checks]`` of the configuration file, or all.
            **limits: name of a check → its parameters; ``level`` is one of every check: ``"error"``, ``"warning"`` or ``"off"``.

        Raises:
            InvalidOption: there is no such check or parameter, or a value has another type.
        """
        return checking.check(self.anno_key, lambda: evidence.of_plan(self._stores, self._decided()), checks, limits)

    @property
    def _is_up_to_date(self) -> bool:
        """Whether the rows of the outcome are what is decided now."""
        return not self._is_saved and self._given.num_rows == self.outcome.options.decisions.num_rows

    def _decided(self) -> Outcome:
        if self._is_up_to_date:
            return self.outcome
        return self._planned(self._settled(), self._options())

    def apply(self, force: bool = False) -> LoadReport:
        """Make exactly this change, with the decisions about it, in one commit.

        ``force`` allows that most of the run is deleted. Raises ``StalePlan`` if the baseline, the labels of the dataset or the
        work in the tool changed since the plan was made.
        """
        outcome = self.outcome
        if self._is_up_to_date:
            read = reading(self._answers, outcome.options, self._stores, self.run)
            now = digests(self._stores, self.run, lambda receipt: read(receipt).download, outcome.digests)
            if set(now.values()) == {GONE}:
                raise StalePlan(
                    f"Nothing of the run {self.anno_key!r} is in {self._answers.name} any more, so that the plan cannot be "
                    "applied; plan again to see what there is."
                )
            is_same = now == outcome.digests
        else:
            outcome = self._planned(self._settled(), self._options())
            is_same = outcome.digests == self.outcome.digests and outcome.content() == self.outcome.content()
        if not is_same:
            raise StalePlan(
                f"The work in {self._answers.name} went on since the plan of {self.anno_key!r} was made; plan again."
            )
        return LoadReport(outcome, loading.apply(self._stores, outcome, force))

    def load(self, undecided: str = TAKE, force: bool = False, progress: ProgressChoice = None) -> LoadReport:
        """Plan again, from what the tool has now, and load with the decisions about this plan.

        Decisions about what changed since are stale: they are not applied, these changes are left for later, and the notes of the
        report count them.

        Args:
            undecided: what happens to changes without a decision: ``"take"`` loads them as they are proposed, ``"leave"``
                leaves them for later.
            force: whether to load even if most of the run would be deleted.
            progress: as in ``annotate``.
        """
        options = replace(self._options(), undecided=undecided, force=force or self.outcome.options.force)

        def plan_and_apply() -> LoadReport:
            run = self._stores.runs.get_idle(self.anno_key)
            outcome = planning.make(
                self._stores, run, self._answers, options, progress, execution=self.outcome.execution
            )
            return LoadReport(outcome, loading.apply(self._stores, outcome))

        return loading.until_not_stale(plan_and_apply)

    def replan(self) -> MergePlan:
        """The plan of the next load, made now with the same options, and without the decisions that were given to this one."""
        options = replace(self.outcome.options, decisions=DECISIONS.empty_table())
        run = self._stores.runs.get_idle(self.anno_key)
        outcome = self._planned(run, options)
        return MergePlan(self._stores, self._answers, outcome, self._source)

    def review(
        self,
        decisions: str | Path | None = None,
        port: int = 0,
        reviewer: str | None = None,
        host: str = "127.0.0.1",
    ) -> Any:
        """Serve the page on which people decide about the changes, from a thread of this process.

        Args:
            decisions: the file that decisions are stored in; by default ``KEY.decisions.jsonl`` in the current folder.
            port: the port on this machine; 0 for a free one.
            reviewer: the name of who decides; the user of this computer by default.
            host: the address to listen on. Any but that of this machine lets others in, who need the token in the address.

        Returns:
            The server: its ``url``, and ``stop()``. A notebook shows it as a link.

        Raises:
            ConfigError: the extra ``annobridge[review]`` is not installed.
            InvalidOption: the port or the file cannot be used.
        """
        # Both know plans, and cannot be imported here.
        serve = pkgutil.resolve_name("annobridge.review.server:review")
        sender = pkgutil.resolve_name("annobridge.bridge.send_back:sender")
        send_back = sender(self._stores, self.run, self._answers, Path(decisions or "x").expanduser().parent)
        return serve(self, self.dataset_uri, decisions, reviewer=reviewer, send_back=send_back, port=port, host=host)

    def _options(self) -> Options:
        return replace(self.outcome.options, decisions=self._given)

    def _planned(self, run: Run, options: Options) -> Outcome:
        return planning.make(
            self._stores, run, self._answers, options, handed_out=True, execution=self.outcome.execution
        )

    def _settled(self) -> Run:
        run = self._stores.runs.get_idle(self.anno_key)
        if run.rev != self.run.rev:
            raise StalePlan(f"The run {self.anno_key!r} was loaded or changed since this plan was made; plan again.")
        return run

    def samples(self) -> pa.Table:
        """The samples that have changes (``SAMPLES``), in the order in which the changes name them first."""
        return self._sample_rows(self.changes["sample_id"], SAMPLES.names)

    def _sample_rows(self, sample_ids: pa.ChunkedArray, columns: list[str]) -> pa.Table:
        wanted = pc.unique(sample_ids)
        rows = self._stores.samples.rows(wanted, columns)
        return rows.take(pc.index_in(wanted, value_set=as_array(rows["sample_id"])).drop_null())

    def media(self, sample_ids: pa.Array) -> Media:
        """Access to the files of samples."""
        return self._stores.samples.media(self._stores.samples.rows(sample_ids, ["sample_id", "filepath"]))

    def shapes(self, sample_ids: pa.Array) -> pa.Table:
        """The labels of samples as they are on each side, to draw them: the columns of ``LABELS``, and ``side``.

        ``side`` is ``"same"`` for labels of the dataset that the load leaves alone, and ``"base"``, ``"ours"`` or ``"theirs"``
        for each side of a label that has changes.
        """
        table = self._changed_labels.filter(pc.is_in(self._changed_labels["sample_id"], value_set=sample_ids))
        parts = [_of_side(table, side, side_table(table[side])) for side in ("base", "ours", "theirs")]
        fields = sorted({*self.run.schema.fields, *self.outcome.destinations.values()})
        here = self._stores.labels.of_samples(sample_ids, field_condition(fields), self.outcome.version)
        untouched = here.filter(pc.invert(pc.is_in(here["label_id"], value_set=as_array(table["label_id"]))))
        return pa.concat_tables([_of_side(untouched, "same", untouched), *parts])

    def save(self, path: str | Path) -> None:
        """Write the plan, with its decisions, into a file that ``annobridge.load_plan`` reads, here or on another machine.

        Raises ``InvalidOption`` for a plan made with a function as ``unexpected=``, which cannot be written.
        """
        plan_file.save(self.outcome, self._given, self.dataset_uri, self._source, Path(path).expanduser())

    @cached_property
    def _proposed(self) -> pa.Table:
        return self.outcome.streams.table("proposed").combine_chunks()

    @cached_property
    def _changed_labels(self) -> pa.Table:
        """One row for each label that has changes."""
        return self._proposed.take(first_rows(self._proposed["label_id"])).combine_chunks()


def _of_side(ids: pa.Table, side: str, rows: pa.Table) -> pa.Table:
    """Labels of one side, with their ids: ``LABELS`` and ``side``."""
    present = rows["kind"].is_valid()
    ids = ids.select(["label_id", "sample_id", "field"]).filter(present)
    columns = {name: rows[name].filter(present) for name in rows.column_names if name not in ids.column_names}
    return conform(pa.table({**{n: ids[n] for n in ids.column_names}, **columns}), _SHAPES, side=side)
