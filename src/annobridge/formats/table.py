"""Generates the tables of what survives in each format of label files, from the declared fidelities.

python -m annobridge.formats.table docs/formats/index.md      # writes them between two marks of the file
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from . import registry
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat

BEGIN, END = "<!-- fidelity: begin -->", "<!-- fidelity: end -->"
_KINDS = (
    "box", "polygon", "polyline", "mask", "segmentation", "keypoints", "skeleton", "ellipse", "cuboid", "classification",
)  # fmt: skip


def installed() -> list[FileFormat]:
    """The installed formats of label files that can be written, by their names."""
    found: list[Any] = [registry.get(name) for name in registry.names()]
    return [one for one in found if isinstance(one, FileFormat) and type(one).write_files is not FileFormat.write_files]


def markdown(formats: Sequence[FileFormat]) -> str:
    """The tables as Markdown: the kinds of labels, what else survives, and the notes of the declarations."""
    kinds = [[f"`{one.name}`", *(_fate(one.fidelity, kind) for kind in _KINDS)] for one in formats]
    rest = [[f"`{one.name}`", *(cell for _, cell in _properties(one.fidelity))] for one in formats]
    heads = [name for name, _ in _properties(formats[0].fidelity)] if formats else []
    notes = [f"- `{one.name}`: {' '.join(one.fidelity.notes)}" for one in formats if one.fidelity.notes]
    tables = [_table(["format", *_KINDS], kinds), _table(["format", *heads], rest)]
    return "\n\n".join([*tables, "\n".join(notes)]).strip()


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _fate(fidelity: Fidelity, kind: str) -> str:
    fate = fidelity.kinds.get(kind)
    return "yes" if fate == KEPT else fate or ""


def _properties(fidelity: Fidelity) -> list[tuple[str, str]]:
    """What survives beside the shapes, by the heads of the table."""
    holes = (
        "yes" if fidelity.holes else "" if "polygon" not in fidelity.kinds else fidelity.without_holes.partition(":")[0]
    )
    return [
        ("attributes", _attributes(fidelity)),
        ("groups", _named(fidelity, "group")),
        ("z-order", _named(fidelity, "z_order") or ("order of painting" if not fidelity.overlaps else "")),
        ("rotation", _flag(fidelity, "rotation")),
        ("confidence", _flag(fidelity, "confidence")),
        ("tracks", _flag(fidelity, "tracks")),
        ("hidden and missing points", _flag(fidelity, "visibility")),
        ("holes", holes),
        ("several parts", "yes" if fidelity.parts else ""),
        ("masks that overlap", "yes" if fidelity.overlaps and fidelity.kinds.get("mask") == KEPT else ""),
        ("images without labels", "yes" if fidelity.empty_images else ""),
        ("splits", "yes" if fidelity.splits else ""),
        ("ids of labels", "yes" if fidelity.ids else ""),
        ("tags", _flag(fidelity, "tags")),
        ("positions", _precision(fidelity)),
    ]


def _precision(fidelity: Fidelity) -> str:
    if set(fidelity.kinds) <= {"classification"}:
        return ""
    return "exact" if fidelity.decimals is None else f"{fidelity.decimals} decimals of a pixel"


def _attributes(fidelity: Fidelity) -> str:
    if fidelity.attributes is not None:
        return ", ".join(f"`{name}`" for name in sorted(fidelity.attributes))
    text = "all" if fidelity.attribute_types is None else "all; lists become text"
    return text + _of(fidelity, "attributes")


def _named(fidelity: Fidelity, name: str) -> str:
    kept = fidelity.attributes is None or name in fidelity.attributes
    return f"yes{_of(fidelity, 'attributes')}" if kept else ""


def _flag(fidelity: Fidelity, name: str) -> str:
    return f"yes{_of(fidelity, name)}" if getattr(fidelity, name) else ""


def _of(fidelity: Fidelity, name: str) -> str:
    """The kinds to which something is restricted; the rest, where these are most."""
    kinds = fidelity.only.get(name)
    if not kinds:
        return ""
    with_it = [kind for kind in _KINDS if kind in kinds and kind in fidelity.kinds]
    without = [kind for kind in _KINDS if kind not in kinds and kind in fidelity.kinds]
    if not without:
        return ""
    return f" (not {', '.join(without)})" if len(without) < len(with_it) else f" ({', '.join(with_it)})"


def replace_table(text: str, table: str) -> str:
    """Replace what is between the marks in ``text``."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write the tables of the installed formats to the file that is the first argument."""
    path = Path(sys.argv[1])
    path.write_text(replace_table(path.read_text("utf-8"), markdown(installed())), "utf-8")


if __name__ == "__main__":
    main()
