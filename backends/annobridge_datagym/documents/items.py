"""Items: what a file says of each image, put together where it says it in several items."""

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
    """A file. ``types`` are the types of the keys of its label configuration, as far as an export says them."""

    items: dict[str, Json] = field(default_factory=dict)  # by DataGym's id of the image
    types: dict[str, str] = field(default_factory=dict)
    videos: int = 0
    nameless: int = 0


def read(path: Path) -> Document:
    """The items of a file. Raises ``InvalidSource``."""
    try:
        listed = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidSource(f"{str(path)!r} cannot be read as JSON ({error}); give the file again.") from None
    if not isinstance(listed, list):
        raise InvalidSource(
            f"{str(path)!r} holds no list of images; give an export of DataGym, or what its import takes."
        )
    found = Document()
    for number, item in enumerate(listed):
        if not isinstance(item, dict):
            raise InvalidSource(f"{str(path)!r}: its element {number} is no image, but {json.dumps(item)[:60]}.")
        if "label_classes" in item:
            found.types |= _types(item, path)
        else:
            _add(found, item, f"{str(path)!r}: its element {number}")
    return found


def _types(header: Json, path: Path) -> dict[str, str]:
    try:
        return {
            one["class_name"]: one.get("geometry_type") or one["classification_type"] for one in header["label_classes"]
        }
    except (KeyError, TypeError, AttributeError):
        raise InvalidSource(
            f"{str(path)!r}: its label_classes are not in DataGym's form; export the project again."
        ) from None


def _add(found: Document, item: Json, where: str) -> None:
    """Take in an item as DataGym's import does: what an image has there stays, unless ``keepData`` is false."""
    number = item.get("internal_media_ID")
    if "task_export_url" in item:
        found.videos += 1
    elif number is None:
        found.nameless += 1
    elif not isinstance(number, str):
        raise InvalidSource(f"{where} has the id {number!r}, which is no text.")
    elif item.get("keepData") is False or number not in found.items:
        found.items[number] = item
    else:
        found.items[number] = _united(found.items[number], item, where)


def _united(before: Mapping[str, Any], item: Json, where: str) -> Json:
    both = {**before, **item}
    try:
        labels = dict(before.get("labels") or {})
        for key, more in (item.get("labels") or {}).items():
            labels[key] = [*labels.get(key, []), *more]
        both["labels"] = labels
        answers = dict(before.get("global_classifications") or {})
        for key, told in (item.get("global_classifications") or {}).items():
            answers[key] = _answered(answers.get(key), told)
        both["global_classifications"] = answers
    except (TypeError, ValueError, AttributeError):
        raise InvalidSource(f"{where} is not in DataGym's form; correct it, or export the project again.") from None
    return both


def _answered(before: list[Any] | None, told: list[Any]) -> list[Any]:
    """A classification that is given again: nothing clears one, and what is asked below it is added."""
    words: list[Any] = [w for w in told if isinstance(w, str)] or [w for w in before or [] if isinstance(w, str)]
    below = [w for w in [*(before or []), *told] if isinstance(w, dict)]
    return [*(words or [None]), *below]
