"""Generates the README's table of what each backend can represent, from the declared capabilities.

python -m annobridge.backend.table README.md      # writes it between two marks of the file
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..core.labels import LABEL_TYPES
from ..core.schema import ATTRIBUTE_TYPES
from . import registry
from .base import AnnotationBackend, Capabilities

BEGIN, END = "<!-- capabilities: begin -->", "<!-- capabilities: end -->"


def markdown(backends: Sequence[type[AnnotationBackend]]) -> str:
    """The table as Markdown, with a column for each backend."""
    rows = [("label type", [b.name for b in backends]), ("---", ["---"] * len(backends))]
    rows += [(f"`{t}`", [_label_type(b.capabilities, t) for b in backends]) for t in LABEL_TYPES]
    rows += [
        (f"attribute `{t}`", [_yes(t in b.capabilities.attribute_types) for b in backends]) for t in ATTRIBUTE_TYPES
    ]
    rows += [
        ("attributes of some classes only", [_yes(b.capabilities.class_attributes) for b in backends]),
        ("read-only shown as such", [_yes(b.capabilities.read_only) for b in backends]),
        ("tracks, keyframes", [_yes(b.capabilities.tracks and b.capabilities.keyframes) for b in backends]),
        ("columns of the samples shown", [_yes(b.capabilities.sample_columns) for b in backends]),
        ("progress of the people", [_yes(b.capabilities.status) for b in backends]),
        ("which samples are reviewed", [_yes(b.capabilities.reviewed) for b in backends]),
        ("changes here are pushed to it", [_yes(b.capabilities.push) for b in backends]),
        ("tasks made in it are adopted", [_yes(b.capabilities.adopt) for b in backends]),
        ("several answers to one sample", [_yes(b.capabilities.answers) for b in backends]),
        ("comments of people come back", [_yes(b.capabilities.comments) for b in backends]),
        ("refused work goes back", [_yes(b.capabilities.send_back) for b in backends]),
        ("media", [", ".join(sorted(b.capabilities.media_types)) for b in backends]),
    ]
    table = "\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in rows)
    return f"{table}\n\n{limits}" if (limits := _limits(backends)) else table


def _label_type(capabilities: Capabilities, label_type: str) -> str:
    if label_type not in capabilities.label_types:
        return ""
    attributed = capabilities.attributed_types is None or label_type in capabilities.attributed_types
    return ("yes" if attributed else "yes, no attributes") + " (*)" * (label_type in capabilities.editor_limits)


def _limits(backends: Sequence[type[AnnotationBackend]]) -> str:
    """The list that explains the (*) of the table: what people cannot do in the tools."""
    lines = []
    for backend in backends:
        found: dict[str, list[str]] = {}
        for label_type, sentence in backend.capabilities.editor_limits.items():
            found.setdefault(sentence, []).append(f"`{label_type}`")
        lines += [f"- {backend.name}, {', '.join(types)}: {sentence}" for sentence, types in found.items()]
    return "\n".join(["(*) What people cannot do in the tool's own page:", "", *lines]) if lines else ""


def _yes(value: bool) -> str:
    return "yes" if value else ""


def replace_table(text: str, table: str) -> str:
    """Replace what is between the marks in ``text``."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write the table of the installed backends to the file that is the first argument."""
    path = Path(sys.argv[1])
    path.write_text(replace_table(path.read_text(), markdown([registry.get(name) for name in registry.names()])))


if __name__ == "__main__":
    main()
