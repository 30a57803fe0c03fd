"""The items of a label file by image, united where a file has several items for one image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annobridge.exceptions import InvalidSource

Json = dict[str, Any]


@dataclass
class Document:
    """The content of a label file.

    Attributes:
        items: by DataGym's id of the image.
        types: the types of the keys of the label configuration, where an export lists them.
        videos: how many items are of videos, which are left out.
        without_id: how many items have no id of an image, and are left out.
    """

    items: dict[str, Json] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    videos: int = 0
    without_id: int = 0


def read(path: Path) -> Document:
    """Read a file. Raises ``InvalidSource``."""
    try:
        listed = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidSource(f"{str(path)!r} cannot be read as JSON ({error}); give the file again.") from None
    if not isinstance(listed, list):
        raise InvalidSource(
            f"{str(path)!r} holds no list of images; give an export of DataGym, or a file for its import."
        )
    document = Document()
    for number, item in enumerate(listed):
        where = f"{str(path)!r}: its element {number}"
        if not isinstance(item, dict):
            raise InvalidSource(f"{where} is not an image, but {json.dumps(item)[:60]}.")
        if "label_classes" in item:
            document.types |= _types(item, path)
        else:
            _add_item(document, item, where)
    return document


def _types(header: Json, path: Path) -> dict[str, str]:
    try:
        return {
            one["class_name"]: one.get("geometry_type") or one["classification_type"] for one in header["label_classes"]
        }
    except (KeyError, TypeError, AttributeError):
        raise InvalidSource(
            f"{str(path)!r}: its label_classes are not in DataGym's form; export the project again."
        ) from None


def _add_item(document: Document, item: Json, where: str) -> None:
    """Add an item as DataGym's import does: what the image has already stays, unless ``keepData`` is false."""
    media_id = item.get("internal_media_ID")
    if "task_export_url" in item:
        document.videos += 1
    elif media_id is None:
        document.without_id += 1
    elif not isinstance(media_id, str):
        raise InvalidSource(f"{where} has the id {media_id!r}, which is not a text.")
    elif item.get("keepData") is False or media_id not in document.items:
        document.items[media_id] = item
    else:
        document.items[media_id] = _united(document.items[media_id], item, where)


def _united(before: Mapping[str, Any], item: Json, where: str) -> Json:
    """Two items of one image as one. Raises ``InvalidSource``."""
    united = {**before, **item}
    try:
        labels = dict(before.get("labels") or {})
        for key, more in (item.get("labels") or {}).items():
            labels[key] = [*labels.get(key, []), *more]
        united["labels"] = labels
        classifications = dict(before.get("global_classifications") or {})
        for key, given in (item.get("global_classifications") or {}).items():
            classifications[key] = _united_classification(classifications.get(key) or [], given)
        united["global_classifications"] = classifications
    except (TypeError, ValueError, AttributeError):
        raise InvalidSource(f"{where} is not in DataGym's form; correct it, or export the project again.") from None
    return united


def _united_classification(before: list[Any], given: list[Any]) -> list[Any]:
    """A classification that is given twice: an empty answer does not clear one, and nested classifications are added."""
    answer: list[Any] = [one for one in given if isinstance(one, str)] or [
        one for one in before if isinstance(one, str)
    ]
    nested = [one for one in [*before, *given] if isinstance(one, dict)]
    return [*(answer or [None]), *nested]
