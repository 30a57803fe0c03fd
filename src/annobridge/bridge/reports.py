"""What plans and loads have in common, and the reports of loads and undos: counts and tables."""

from __future__ import annotations

import warnings
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.merge import changed, findings
from ..core.review.decisions import OPEN
from ..core.unsent import sentences
from ..display import html
from ..spill.streams import Streams
from ..store.run import NOT_SENT_OPTION
from .outcome import Outcome

_ACTIONS = ("add", "edit", "delete")
_SHOWN = 20  # pairs of classes that a notebook shows
_SIGNS = {"add": "+", "edit": "~", "delete": "-"}


class Summary:
    """Counts and tables of a plan or a report."""

    title = ""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    @property
    def anno_key(self) -> str:
        """The run's key."""
        return self.outcome.run.anno_key

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Field → {"add", "edit", "delete"} → labels."""
        fields = sorted({f for f, _ in self.outcome.counts})
        return {f: {a: self.outcome.counts[f, a] for a in _ACTIONS} for f in fields}

    @property
    def added(self) -> int:
        """Labels added."""
        return self.outcome.total("add")

    @property
    def edited(self) -> int:
        """Labels edited."""
        return self.outcome.total("edit")

    @property
    def deleted(self) -> int:
        """Labels deleted."""
        return self.outcome.total("delete")

    @property
    def total(self) -> int:
        """Labels added, edited and deleted."""
        return self.added + self.edited + self.deleted

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

    def writes(self) -> pa.Table:
        """The labels to write: ``LABELS`` and the columns ``action`` and ``components``."""
        return self.outcome.streams.table("writes")

    def to_arrow(self) -> pa.Table:
        """One row per changed label: label_id, sample_id, field, action, label."""
        return _changed(self.outcome.streams)

    def changed(self) -> pa.Table:
        """One row per changed label, deletions first: label_id, sample_id, field, action, classes ``before`` and ``after``."""
        streams = self.outcome.streams
        return changed.changed(streams.table("replaced"), streams.table("writes"))

    def class_pairs(self) -> pa.Table:
        """The number of ``labels`` for each ``field``, class ``before`` and class ``after``; null where there is no label."""
        return changed.class_pairs(self.changed())

    def by_sample(self) -> pa.Table:
        """The number of deleted, edited and added labels of each sample; samples with the most changes first."""
        return changed.by_sample(self.changed())

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow stream interface, for pandas, polars and duckdb."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

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

    def close(self) -> None:
        """Delete the temporary files. This also happens when the object is garbage-collected."""
        self.outcome.streams.close()

    def __repr__(self) -> str:
        rows = self.outcome.streams.rows
        extras = [f"{rows[n]} {n}" for n in ("refused", "conflicts", "unexpected", "comments") if rows[n]]
        head = f"{self.title} {self.anno_key!r}: +{self.added} ~{self.edited} -{self.deleted}"
        lines = [head + (f" ({', '.join(extras)})" if extras else "")]
        for field, n in self.counts.items():
            lines.append(f"  {field}: " + " ".join(f"{_SIGNS[a]}{n[a]}" for a in _ACTIONS))
        return "\n".join([*lines, *(f"  note: {note}" for note in (*self.not_sent, *self.notes))])

    def _repr_html_(self) -> str:
        cells = [[field, *(n[a] for a in _ACTIONS)] for field, n in self.counts.items()]
        rest = ", ".join(f"{self.outcome.streams.rows[n]} {n}" for n in ("refused", "conflicts", "unexpected"))
        parts = [html.table(["field", "added", "edited", "deleted"], cells), html.line(rest)]
        pairs = [pair for pair in self.class_pairs().slice(0, _SHOWN).to_pylist() if pair["before"] != pair["after"]]
        if pairs:
            names = ["field", "before", "after", "labels"]
            parts.append(
                html.table(["field", "class before", "after", "labels"], [[p[n] for n in names] for p in pairs])
            )
        return html.titled(f"{self.title} {self.anno_key}", *parts, *(html.line(f"Note: {n}") for n in self.notes))


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
        return _changed(self._streams)

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
        back = " ".join(f"{_SIGNS[a]}{self.counts[a]}" for a in _ACTIONS)
        kept = f"; {self._streams.rows['kept']} kept as they are" if self._streams.rows["kept"] else ""
        return f"Undone load {self.load} of {self.anno_key!r}: {back} taken back{kept}"

    def _repr_html_(self) -> str:
        head = [f"{what} taken back" for what in ("added", "edited", "deleted")]
        counts = html.table(head, [[self.counts[a] for a in _ACTIONS]])
        return html.titled(
            f"Undone load {self.load} of {self.anno_key}", counts, html.line(f"{self._streams.rows['kept']} kept")
        )


def _changed(streams: Streams) -> pa.Table:
    """One row for each label that was, or would be, written or deleted."""
    columns = ["label_id", "sample_id", "field", "action", "label"]
    before = streams.table("replaced")
    deleted = before.filter(pc.equal(before["action"], "delete"))
    return pa.concat_tables(
        [streams.table("writes").select(columns), deleted.select(columns)], promote_options="permissive"
    )
