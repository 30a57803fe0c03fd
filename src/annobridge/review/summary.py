"""The summary of a plan as HTML that needs no script: counts, class changes, samples, conflicts."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.review.changes import CONFLICT, GROUPS
from .reviewed import ReviewedPlan

_ROWS = 20  # of a table
_VALUE = 90  # characters of a cell
_TITLES = {
    "conflict": "Conflicts", "dispute": "Disputed by the annotators", "deletion": "Deletions",
    "class change": "Class changes", "large move": "Large moves",
    "attribute change": "Attribute changes", "addition": "Additions", "small move": "Small moves",
}  # fmt: skip


def summary_html(
    plan: ReviewedPlan, dataset: str, names: Sequence[str], numbers: Sequence[int], notes: Iterable[str]
) -> str:
    """The summary.

    Args:
        plan: the plan.
        dataset: its dataset, as shown.
        names: of the samples, by number.
        numbers: the number of each change's sample.
        notes: sentences.
    """
    changes = plan.changes.append_column("state", plan.states()["state"])
    shown = [names[n] for n in numbers]
    head = (
        f"{changes.num_rows:,} changes in {len(set(numbers)):,} images and videos, from {plan.run.backend}, for {dataset}. Made "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    )
    parts = [
        f"<h1>Review of {_text(plan.run.anno_key)}</h1><p>{_text(head)}</p>",
        '<p class="summary-link"><a href="#app">Go to the pictures</a></p>',
        _notes(notes),
        _table("Changes by risk", ["", "changes", "decided", "open"], _groups(changes)),
        _table("Changes of class", ["before", "after", "changes"], _classes(changes)),
        _table("Most changed", ["file", "changes", "of these, by risk"], _most_changed(changes, shown)),
        _table(
            "Conflicts",
            ["file", "field", "part", "sent", "here", "in the tool", "proposed"],
            _conflicts(changes, shown),
        ),
    ]
    return f'<section class="summary" id="summary">{"".join(parts)}</section>'


def _notes(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return f"<ul>{items}</ul>" if items else ""


def _groups(changes: pa.Table) -> list[list[Any]]:
    counts = Counter(zip(changes["group"].to_pylist(), changes["state"].to_pylist(), strict=True))
    rows: list[list[Any]] = []
    for group in GROUPS:
        decided = counts[group, "decided"]
        total = sum(n for (name, _), n in counts.items() if name == group)
        if total:
            rows.append([_TITLES.get(group, group), total, decided, total - decided])
    return rows


def _classes(changes: pa.Table) -> list[list[Any]]:
    moved = pc.not_equal(changes["class_from"], changes["class_to"])
    different = changes.filter(pc.and_(pc.equal(changes["component"], "label"), moved))
    pairs = Counter(zip(different["class_from"].to_pylist(), different["class_to"].to_pylist(), strict=True))
    return [[before, after, count] for (before, after), count in pairs.most_common()]


def _most_changed(changes: pa.Table, names: Sequence[str]) -> list[list[Any]]:
    groups = changes["group"].to_pylist()
    totals = Counter(names)
    by_group = Counter(zip(names, groups, strict=True))
    return [
        [
            name,
            count,
            ", ".join(f"{_TITLES.get(g, g).lower()}: {by_group[name, g]}" for g in GROUPS if by_group[name, g]),
        ]
        for name, count in totals.most_common()
    ]


def _conflicts(changes: pa.Table, names: Sequence[str]) -> list[list[Any]]:
    columns = ("group", "field", "component", "base", "ours", "theirs", "proposal")
    rows = zip(names, *(changes[c].to_pylist() for c in columns), strict=True)
    return [
        [name, field, component, *(_value(v) for v in sides), proposal]
        for name, group, field, component, *sides, proposal in rows
        if group == CONFLICT
    ]


def _value(text: str | None) -> str:
    """A value of a change, in short."""
    if text is None:
        return "–"
    value = json.loads(text)
    if isinstance(value, dict):
        about = [value.get("kind"), value.get("label")]
        if box := value.get("bounding_box"):
            about.append("[" + " ".join(f"{v:.2f}" for v in box) + "]")
        value = ", ".join(str(a) for a in about if a is not None) or text
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of the first rows; nothing for none."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in columns)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows[:_ROWS])
    more = f"<p>… and {len(rows) - _ROWS:,} more.</p>" if len(rows) > _ROWS else ""
    return f"<h2>{_text(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    return (
        f'<td class="number">{value:,}</td>'
        if isinstance(value, int)
        else f"<td>{_text('–' if value is None else _short(value))}</td>"
    )


def _short(text: str) -> str:
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"


def _text(value: Any) -> str:
    return html.escape(str(value))
