"""Rewrites messages of the library, which name Python calls and arguments, to name commands and options.

``load_annotations('r1', force=True)`` becomes ``annobridge load r1 --force``. What no rule covers is in ``_PHRASES``. Text between
double quotes comes from users (SQL, mostly), and is not changed.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from typing import Any

COMMANDS = {
    "load_annotations": "load",
    "merge_annotations": "merge",
    "compare_annotations": "compare",
    "annotation_quality": "quality",
    "load_answers": "load-answers",
    "plan_annotations": "plan",
    "undo_annotations": "undo",
    "resume_annotation": "resume",
    "abort_annotation": "abort",
    "delete_annotation_run": "forget",
    "rename_annotation_run": "rename",
    "cleanup": "cleanup",
    "annotate": "annotate",
    "delete_snapshot": "snapshot --delete",
    "extend_annotation": "extend",
    "push_annotations": "push",
    "adopt_annotation": "adopt",
}
OPTIONS = {
    "allow_additions": "--allow-additions",
    "allow_deletions": "--allow-deletions",
    "allow_index_edits": "--allow-index-edits",
    "allow_label_edits": "--allow-label-edits",
    "allow_spatial_edits": "--allow-spatial-edits",
    "attributes": "--attributes",
    "backend": "--backend",
    "box_format": "--box-format",
    "annotator": "--annotator",
    "cleanup": "--cleanup",
    "cleanup_older_than": "--cleanup-older-than",
    "create": "--create",
    "classes": "--classes",
    "conflicts": "--conflicts",
    "consensus": "--consensus",
    "coordinates": "--coordinates",
    "dataset": "--dataset",
    "decisions": "--decisions",
    "dest_field": "--dest-field",
    "dialect": "--dialect",
    "every": "--every",
    "folder": "--folder",
    "force": "--force",
    "id": "--id",
    "into": "--into",
    "invalid": "--invalid",
    "iou": "--iou",
    "format": "--format",
    "label_field": "--field",
    "label_schema": "--schema",
    "label_type": "--label-type",
    "media": "--media",
    "media_field": "--media-field",
    "mode": "--mode",
    "match": "--match",
    "path": "--path",
    "missing": "--missing",
    "pixel_labels": "--pixel-labels",
    "record": "--record",
    "project": "--project",
    "reviewed_only": "--reviewed-only",
    "since": "--since",
    "strict": "--strict",
    "table": "--table",
    "tags": "--tag",
    "tasks": "--task",
    "truth": "--truth",
    "undecided": "--undecided",
    "unexpected": "--unexpected",
    "where": "--where",
}
# The options of the running command. One of OPTIONS that it does not have is an option of the backend or format: "-o name=value".
CURRENT_OPTIONS: ContextVar[Collection[str]] = ContextVar("options", default=())
# Replacements of whole phrases, for what the patterns below do not cover.
_PHRASES = {
    "give label_schema, or label_field with label_type and classes": "give --schema FILE, or --field with --label-type and "
    "--classes",
    "'keep', 'ignore', 'return', a dictionary of type to field, or a callable": "keep, ignore, return, or TYPE=FIELD",
    "a dictionary of type to field, or a callable": "or TYPE=FIELD",
    "a word, a dictionary of type to field, or a callable": "a word, or TYPE=FIELD",
    ", or doctor(repair=True) of the dataset": "",
    "Look at plan.conflicts, and load": "`annobridge plan` lists them; load",
    "'theirs' or 'ours'": "theirs or ours",
    "'take' to load": "take to load",
    "'leave' to leave": "leave to leave",
    "refuse some, as with plan.decide(where=…, verdict='refuse')": "give the --decisions FILE in which some are",
    "open it with load_dataset, or": "give it with --dataset, or",
    "make a dataset there with create_dataset": "make a dataset there with `annobridge import`",
    "give a 'type' to make a new one": "give its type (--label-type) to make a new one",
    "invalid='clip'": "--clip",
    "classes=[…]": "--classes A,B,…",
    "classes=['…', …]": "--classes A,B,…",
    "check_media(record=True)": "`annobridge media --check --record`",
    " (or take the rows as Arrow with to_arrow())": "",
}
_REPOINT = re.compile(r"\brepoint\(('[^'\n]*'), ('[^'\n]*')\)")
_QUOTED = re.compile(r'("[^"\n]*")')
_CALL = re.compile(rf"(?:\b\w+\.)?\b({'|'.join(COMMANDS)})\(([^()]*)\)")
_KEYWORD = re.compile(
    r"(?<![\w.'/?&])(?<!-o )([a-z][a-z_]*)=('[^'\n]*'|\[[^\]\n]*\]|\{[^}\n]*\}|[\w…-]++(?:\.[\w…-]++)*+(?!:))?"
)
_DICTIONARY = re.compile(r"a dictionary, as \{'([^']*)': '([^']*)'\}")
_NAME = re.compile(rf"(?<![\w.'=-])({'|'.join(name for name in OPTIONS if '_' in name)})(?![\w=('])")


def with_notes(data: dict[str, Any]) -> dict[str, Any]:
    """A plan or report as data, whose notes name commands and options."""
    return data | {"notes": [to_cli(note) for note in data["notes"]]}


def to_cli(text: str) -> str:
    """A message of the library in terms of the command line.

    >>> to_cli("resume_annotation('r1') sends the rest; or load with force=True, or with media='share'.")
    'annobridge resume r1 sends the rest; or load with --force, or with -o media=share.'
    """
    return "".join(part if part.startswith('"') else _translate(part) for part in _QUOTED.split(text))


def _translate(text: str) -> str:
    for python, command_line in _PHRASES.items():
        text = text.replace(python, command_line)
    text = _REPOINT.sub(
        lambda found: f"`annobridge media --repoint {shlex.quote(f'{_value(found[1])}={_value(found[2])}')}`", text
    )
    text = _CALL.sub(lambda found: " ".join(["annobridge", COMMANDS[found[1]], *_arguments(found[2])]), text)
    text = _KEYWORD.sub(lambda found: _option(found[1], found[2]), text)
    text = _NAME.sub(lambda found: OPTIONS[found[1]], text)
    return _DICTIONARY.sub(r"\1=\2", text)


def _arguments(text: str) -> Iterator[str]:
    """The arguments of a call: positional ones as they are, keyword arguments as options."""
    for part in filter(None, map(str.strip, text.split(","))):
        found = _KEYWORD.fullmatch(part)
        yield _option(found[1], found[2]) if found else shlex.quote(str(_value(part)))


def _option(name: str, text: str | None) -> str:
    """``--option value``, ``--flag``, ``--no-flag``, or an option of the backend or format."""
    current, option = CURRENT_OPTIONS.get(), OPTIONS.get(name)
    if "--option" in current and option not in current:
        option = None
    if text is None:
        return option or f"{name}="
    value = _value(text)
    if option:
        return _with_value(option, value)
    return f"-o {shlex.quote(f'{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}')}"


def _with_value(option: str, value: object) -> str:
    if value is True:
        return option
    if value is False:
        return option.replace("--", "--no-", 1) if option.startswith("--allow") else f"{option} none"
    shown = ",".join(map(str, value)) if isinstance(value, list) else "…" if value == "[…]" else str(value)
    return f"{option} {shown if shown == '…' else shlex.quote(shown)}"


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
