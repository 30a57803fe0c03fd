"""The YAML file of an Ultralytics dataset: its classes, splits and keypoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import msgspec
import yaml

from ...exceptions import InvalidSource
from ..common.archive import Archive

_LOADER = getattr(
    yaml, "CBaseLoader", yaml.BaseLoader
)  # all scalars are texts, so that a class called "no" is not False
_LARGEST = 8 << 20  # bytes
_DEEPEST = 20
_PREFERRED = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
# Keys whose values are no images. Others are splits if their values are folders or lists in the archive.
NO_SPLITS = frozenset({"path", "names", "nc", "kpt_shape", "flip_idx", "kpt_names", "download", "task", "channels"})


_TASK = re.compile(r"# task: (\w+)\r?\n")


@dataclass(frozen=True, slots=True)
class Config:
    """What a dataset says of itself. ``file`` is the name of the YAML file, ``None`` where there is none."""

    file: str | None = None
    names: Mapping[int, str] | None = None  # the classes
    path: str = ""
    splits: Mapping[str, list[str]] = field(default_factory=dict)  # name → folders or list files
    keypoints: tuple[int, int] | None = None
    task: str | None = None

    @property
    def folder(self) -> str:
        """The folder of the file in the archive; ``""`` for the top."""
        parent = str(PurePosixPath(self.file or "").parent)
        return "" if parent == "." else parent


def find_config(archive: Archive) -> str | None:
    """The name of the YAML file with the classes, if there is one: the uppermost, and of several the one with the usual name."""
    found = []
    for suffix in (".yaml", ".yml"):
        for name in archive.by_suffix.get(suffix, ()):
            with archive.open(name) as stream:
                head = stream.read(_LARGEST)
            if any(line.startswith((b"names:", b"\xef\xbb\xbfnames:")) for line in head.splitlines()):
                found.append(name)
    return min(found, key=_rank) if found else None


def _rank(name: str) -> tuple[int, int, str]:
    path = PurePosixPath(name)
    base = path.name.lower()
    return len(path.parts), _PREFERRED.index(base) if base in _PREFERRED else len(_PREFERRED), name


def read_config(archive: Archive, name: str) -> Config:
    """The contents of a YAML file. Raises ``InvalidSource`` with what is wrong with it."""
    where = archive.where(name)
    document = _load(archive, name)
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise InvalidSource(f"{where} is no dictionary of names; write it as Ultralytics' documentation has it.")
    shape = document.get("kpt_shape")
    return Config(
        file=name,
        names=_names(document.get("names"), where),
        path=document["path"] if isinstance(document.get("path"), str) else "",
        splits={key: paths for key, value in document.items() if key not in NO_SPLITS and (paths := _paths(value))},
        keypoints=None if shape is None else _shape(shape, where),
        task=document["task"] if isinstance(document.get("task"), str) else _task_in_comment(archive.text(name)),
    )


def task_comment(task: str) -> str:
    r"""The line of a YAML file that says what its label files are for. It is a comment, as CVAT takes all keys for splits.

    >>> task_comment("obb"), _task_in_comment("# task: obb\npath: .\n")
    ('# task: obb\n', 'obb')
    """
    return f"# task: {task}\n"


def _task_in_comment(text: str) -> str | None:
    found = _TASK.match(text)
    return found[1] if found else None


def read_class_list(archive: Archive) -> tuple[str, dict[int, str]] | None:
    """The classes of a text file with one on each line, as labelImg and Label Studio write it, and its name."""
    found = [name for name in archive.by_suffix.get(".txt", ()) if PurePosixPath(name).name.lower() == "classes.txt"]
    if not found:
        return None
    name = min(found, key=lambda n: (n.count("/"), n))
    classes = [line.strip() for line in archive.text(name).splitlines()]
    while classes and not classes[-1]:
        classes.pop()
    return name, dict(enumerate(classes))


def read_notes_keypoints(archive: Archive) -> int | None:
    """How many keypoints Label Studio's ``notes.json`` says that a class has."""
    for name in archive.by_suffix.get(".json", ()):
        if PurePosixPath(name).name == "notes.json":
            try:
                document = msgspec.json.decode(archive.read(name))
                counts = {len(c["keypoints"]) for c in document["categories"] if c.get("keypoints")}
            except (msgspec.DecodeError, RecursionError, KeyError, TypeError, AttributeError):
                return None
            return max(counts, default=None)
    return None


def _load(archive: Archive, name: str) -> Any:
    where = archive.where(name)
    if archive.size(name) > _LARGEST:
        raise InvalidSource(
            f"{where} has {archive.size(name):,} bytes, more than {_LARGEST:,}; it is no list of classes."
        )
    text = archive.text(name)
    try:
        _require_plain(text, where)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - makes texts, lists and dictionaries only
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        said = " ".join(str(error).split())
        raise InvalidSource(f"{where} is not YAML ({said[:200]}); correct it.") from None


def _require_plain(text: str, where: str) -> None:
    """Refuse what no dataset has, before anything is made of it: deep nesting, and references, which can multiply."""
    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CLoader", yaml.Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise InvalidSource(f"{where} has the reference *{event.anchor}; write out what it stands for.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise InvalidSource(f"{where} is nested deeper than {_DEEPEST} levels; it is no list of classes.")


def _names(value: Any, where: str) -> dict[int, str] | None:
    if value is None:
        return None
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        raise InvalidSource(f"{where} has names that are neither a list nor a dictionary of numbers; correct them.")
    found: dict[int, str] = {}
    for key, name in value.items():
        if not isinstance(name, str) or not name:
            raise InvalidSource(f"{where} has no text as the name of class {key}; give one.")
        if not str(key).isdecimal():
            raise InvalidSource(f"{where} has the class number {str(key)[:40]!r}; give a whole number from 0.")
        found[int(key)] = name
    return found


def _paths(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    return value if isinstance(value, list) and all(isinstance(path, str) for path in value) else []


def _shape(value: Any, where: str) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(n, str) and n.isdecimal() for n in value):
        count, each = int(value[0]), int(value[1])
        if 0 < count <= 10_000 and each in (2, 3):
            return count, each
    raise InvalidSource(f"{where} has kpt_shape {str(value)[:60]}; give [number of keypoints, 2 or 3].")
