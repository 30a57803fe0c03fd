"""What Hugging Face's files say of the columns of a dataset: which hold images, and the names of classes that are numbers.

They say it as JSON in the metadata of a Parquet or Arrow schema, in ``dataset_info.json`` and ``dataset_infos.json``, or as YAML
at the beginning of ``README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
import yaml

from .archive import Archive

_KEY = b"huggingface"
_INFO = ("dataset_info.json", "dataset_infos.json")
_MOST = 1 << 24  # bytes of a description
_DEEPEST = 32
Path = tuple[str, ...]  # the names of a column and of those in it


@dataclass(frozen=True)
class Features:
    """Columns by their paths, as ``("objects", "category")``."""

    names: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)  # of classes
    images: frozenset[Path] = frozenset()

    def __or__(self, other: Features) -> Features:
        return Features({**self.names, **other.names}, self.images | other.images)


def of_schema(schema: pa.Schema) -> Features:
    """What the metadata of a schema say; nothing where there are none."""
    text = (schema.metadata or {}).get(_KEY)
    if not text or len(text) > _MOST:
        return Features()
    found = _json(text)
    info = found.get("info") if isinstance(found, dict) else None
    return of_json(info.get("features")) if isinstance(info, dict) else Features()


def of_json(features: Any) -> Features:
    """Features as ``datasets`` writes them to JSON."""
    names, images = dict[Path, tuple[str, ...]](), set[Path]()
    for path, node in _nodes(features, ()):
        if node.get("_type") == "ClassLabel" and (found := _texts(node.get("names"))):
            names[path] = found
        elif node.get("_type") == "Image":
            images.add(path)
    return Features(names, frozenset(images))


def of_yaml(features: Any) -> Features:
    """Features as they are at the beginning of a README."""
    names, images = dict[Path, tuple[str, ...]](), set[Path]()
    for path, kind in _entries(features, (), 0):
        if kind == "image":
            images.add(path)
        elif isinstance(kind, dict) and isinstance(label := kind.get("class_label"), dict):
            given = label.get("names")
            if isinstance(given, dict) and all(str(key).isdecimal() for key in given):
                given = [given[key] for key in sorted(given, key=lambda key: int(str(key)))]
            if found := _texts(given):
                names[path] = found
    return Features(names, frozenset(images))


def of_folder(archive: Archive, folder: str) -> Features:
    """What the descriptions in a folder of an archive say (``""`` or a name with ``/`` at its end)."""

    def get(name: str) -> bytes | None:
        name = folder + name
        return archive.read(name) if name in archive and archive.size(name) <= _MOST else None

    return of_files(get)


def of_files(get: Callable[[str], bytes | None]) -> Features:
    """What the descriptions of a dataset say; ``get`` returns the content of a file by its name, if it is there."""
    found = Features()
    for name in _INFO:
        if (text := get(name)) is not None:
            info = _json(text)
            for part in (info, *(info.values() if isinstance(info, dict) else ())):
                if isinstance(part, dict) and "features" in part:
                    found |= of_json(part["features"])
    if (text := get("README.md")) is not None:
        found |= _of_readme(text)
    return found


def _of_readme(text: bytes) -> Features:
    start, _, rest = text.decode("utf-8", "replace").lstrip("\ufeff").partition("---")
    if start.strip() or "\n---" not in rest:
        return Features()
    try:
        head = yaml.safe_load(rest.partition("\n---")[0])
    except (yaml.YAMLError, RecursionError, ValueError):
        return Features()
    info = head.get("dataset_info") if isinstance(head, dict) else None
    found = Features()
    for config in info if isinstance(info, list) else [info]:
        if isinstance(config, dict):
            found |= of_yaml(config.get("features"))
    return found


def _json(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _nodes(node: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The leaves; lists add nothing to a path."""
    if len(path) > _DEEPEST:
        return
    if isinstance(node, list) and len(node) == 1:
        yield from _nodes(node[0], path)
    elif isinstance(node, dict):
        if "feature" in node and isinstance(node.get("_type", ""), str):
            yield from _nodes(node["feature"], path)
        elif isinstance(node.get("_type"), str):
            yield path, node
        else:
            for name, inner in node.items():
                yield from _nodes(inner, (*path, str(name)))


def _entries(features: Any, path: Path, depth: int) -> Iterator[tuple[Path, Any]]:
    for entry in features if isinstance(features, list) and depth < _DEEPEST else ():
        if not isinstance(entry, dict):
            continue
        here = (*path, str(entry["name"])) if "name" in entry else path
        if "dtype" in entry:
            yield here, entry["dtype"]
        for key in ("sequence", "list", "struct"):
            inner = entry.get(key)
            if isinstance(inner, dict):
                yield from _entries([inner], here, depth + 1)
            elif isinstance(inner, list):
                yield from _entries(inner, here, depth + 1)
            elif inner == "image":
                yield here, inner


def _texts(names: Any) -> tuple[str, ...]:
    return tuple(map(str, names)) if isinstance(names, list) and all(isinstance(n, str | int) for n in names) else ()


def to_metadata(features: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The metadata of a schema with these features."""
    return {_KEY: json.dumps({"info": {"features": features}}, ensure_ascii=False).encode()}
