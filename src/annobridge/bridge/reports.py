"""What plans and loads have in common, and the reports of loads and undos: counts and tables."""

from __future__ import annotations

import warnings
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.merge import findings
from ..core.review.decisions import OPEN
from ..core.unsent import sentences
from ..display import html
from ..spill.streams import Streams
from ..store.run import NOT_SENT_OPTION
from .changed_labels import SIGNS, ChangedLabels, changed_rows
from .counts import ACTIONS
from .outcome import Outcome


class Summary(ChangedLabels):
    """Counts and tables of a plan or a report."""

    title = ""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.streams, outcome.counts)
        self.outcome = outcome

    @property
    def anno_key(self) -> str:
        """The run's key."""
        return self.outcome.run.anno_key

    @property
    def refused(self) -> pa.Table:
        """Changes that are not allowed, and values that cannot be stored, each with its reason."""
        return self.outcome.streams.table("refused")

    @property
    def conflicts(self) -> pa.Table:
        """Changes of the same thing on both sides, with the values of both, and which side is kept."""
        return self.outcome.streams.table("conflicts")

    @property
    def unexpected(self) -> pa.Table:
        """Labels outside the schema, as the tool returned them: the unexpected ``component``, its value in the tool
        (``theirs``), and the ``reason``.
        """
        return self.outcome.streams.table("unexpected")

    @property
    def unexpected_reasons(self) -> str:
        """One line about the unexpected labels: each reason with its count and some of the values."""
        return findings.summary(self.outcome.streams.batches("unexpected"))

    @property
    def dropped(self) -> pa.Table:
        """Unexpected values that are not taken, by component, and labels of samples that are not in the dataset."""
        return self.outcome.streams.table("dropped")

    @property
    def comments(self) -> pa.Table:
        """What people wrote beside the labels in the tool (``annobridge.core.labels.COMMENTS``): sample, place, author, text, and
        whether the thread is open or resolved. Empty for a tool without comments.
        """
        return self.outcome.streams.table("comments")

    @property
    def reviewed(self) -> int:
        """How many samples people have reviewed, as the tool says; 0 for one that does not. ``Dataset.reviewed`` lists them."""
        return self.outcome.reviewed

    @property
    def notes(self) -> tuple[str, ...]:
        """Other remarks about the plan or load, as sentences."""
        return tuple(self.outcome.notes)

    @property
    def decided(self) -> dict[str, int]:
        """How many changes people decided about for this load: one by one (``"looked_at"``), and many at once (``"by_rule"``)."""
        used = self.outcome.used
        used = used.filter(pc.not_equal(used["verdict"], OPEN))
        return {"looked_at": used["rule"].null_count, "by_rule": used.num_rows - used["rule"].null_count}

    @property
    def not_sent(self) -> tuple[str, ...]:
        """The labels that were not sent, one sentence for each field and reason."""
        return tuple(sentences(self.outcome.run.options.get(NOT_SENT_OPTION, ())))

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes as plain data."""
        rows = self.outcome.streams.rows
        return {
            "anno_key": self.anno_key,
            "fields": self.counts,
            **{name: getattr(self, name) for name in ("added", "edited", "deleted")},
            **{name: rows[name] for name in ("refused", "conflicts", "unexpected", "dropped", "comments")},
            "reviewed": self.reviewed,
            "decided": self.decided,
            "notes": list(self.notes),
            "not_sent": list(self.not_sent),
        }

    def __repr__(self) -> str:
        rows = self.outcome.streams.rows
        extras = [f"{rows[n]} {n}" for n in ("refused", "conflicts", "unexpected", "comments") if rows[n]]
        head = f"{self.title} {self.anno_key!r}: +{self.added} ~{self.edited} -{self.deleted}"
        lines = [head + (f" ({', '.join(extras)})" if extras else ""), *self._signed_counts()]
        return "\n".join([*lines, *(f"  note: {note}" for note in (*self.not_sent, *self.notes))])

    def _repr_html_(self) -> str:
        counts, pairs = self._tables_html()
        rest = ", ".join(f"{self.outcome.streams.rows[n]} {n}" for n in ("refused", "conflicts", "unexpected"))
        notes = (html.line(f"Note: {n}") for n in self.notes)
        return html.titled(f"{self.title} {self.anno_key}", counts, html.line(rest), pairs, *notes)


class LoadReport(Summary):
    """What a load did."""

    title = "Loaded"

    def __init__(self, outcome: Outcome, version: int | None) -> None:
        super().__init__(outcome)
        self.version = version  # of the labels table, made by this load; None when nothing was written

    @property
    def changes(self) -> int:
        """The name of ``total`` before version 0.2."""
        warnings.warn("LoadReport.changes is called total now; use that.", DeprecationWarning, stacklevel=2)
        return self.total

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes as plain data."""
        return {**super().to_dict(), "version": self.version}


class Undone:
    """What an undo did: counts of reversed changes by action, labels that were kept as they are, and the new version."""

    def __init__(self, anno_key: str, load: int, counts: dict[str, int], streams: Streams, version: int | None) -> None:
        self.anno_key, self.load, self.counts, self.version = anno_key, load, counts, version
        self._streams = streams

    @property
    def kept(self) -> pa.Table:
        """Changes that were not reversed, each with its reason: the label was edited or replaced since, or its sample deleted."""
        return self._streams.table("kept")

    def to_arrow(self) -> pa.Table:
        """One row per changed label: label_id, sample_id, field, action (what the undo did), label."""
        return changed_rows(self._streams)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow stream interface, for pandas, polars and duckdb."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_dict(self) -> dict[str, Any]:
        """Counts and kept labels as plain data."""
        return {
            "anno_key": self.anno_key,
            "load": self.load,
            "taken_back": self.counts,
            "kept": self.kept.to_pylist(),
            "version": self.version,
        }

    def __repr__(self) -> str:
        back = " ".join(f"{SIGNS[a]}{self.counts[a]}" for a in ACTIONS)
        kept = f"; {self._streams.rows['kept']} kept as they are" if self._streams.rows["kept"] else ""
        return f"Undone load {self.load} of {self.anno_key!r}: {back} taken back{kept}"

    def _repr_html_(self) -> str:
        head = [f"{what} taken back" for what in ("added", "edited", "deleted")]
        counts = html.table(head, [[self.counts[a] for a in ACTIONS]])
        return html.titled(
            f"Undone load {self.load} of {self.anno_key}", counts, html.line(f"{self._streams.rows['kept']} kept")
        )
