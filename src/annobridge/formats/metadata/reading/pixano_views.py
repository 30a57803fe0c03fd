"""Lines with ``views`` and ``entities``: Pixano 0.7 and 0.8, told apart over the whole file."""

from __future__ import annotations

from typing import Any

from ....core.did_you_mean import did_you_mean
from ..keys import CONVERSATIONS, HEADER, VERSION
from . import conversations
from .chunk import Chunk
from .entities import Entities, as_attributes
from .folder_files import ImageFolder
from .json_lines import Line, fail
from .line_keys import ClassKeys, check_metadata, pop_classes, pop_record_keys
from .parallel_arrays import add_views

_KEYS_08 = frozenset(
    {"id", "split", "attrs", "views", "entities", "conversations", "annotation_files"}
)  # the keys of 0.8


class ViewsReader:
    """Reads such lines. Which generation wrote the file is known at its end."""

    title = "Pixano's lines with {!r}"

    def __init__(self, folder: ImageFolder, field: str, class_keys: ClassKeys, told: str | None) -> None:
        self._folder, self._told = folder, told
        self._entities = Entities(field, class_keys)
        self._marks: dict[str, str] = {"pixano-0.8": "", "pixano-0.7": ""}  # the first evidence of each
        self._odd = ""  # the first key that 0.8 does not know
        self._files = self._unordered = 0

    @property
    def pixels(self) -> bool:
        """Whether boxes that do not say so are in pixels."""
        return False

    def header(self, line: Line, where: str) -> None:
        """Take the first line, if it is a header."""
        defaults = line.get("defaults") or {}
        if line[HEADER] != VERSION:
            fail(where, f"says {HEADER}: {line[HEADER]!r}; only {VERSION!r} can be read.")
        if not isinstance(defaults, dict) or set(line) - {HEADER, "defaults"}:
            fail(where, f"is a header with more than {HEADER!r} and 'defaults'; leave the rest out.")
        box = defaults.get("bbox") or {}
        if not isinstance(box, dict):
            fail(
                where, f"has the defaults {str(box)[:60]} of boxes; give an object {{'format': …, 'is_normalized': …}}."
            )
        self._entities.defaults = box
        self._marks["pixano-0.8"] = f"{where} (a header)"

    def take(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Put what a line says into a chunk."""
        if HEADER in line:
            fail(where, f"has the key {HEADER!r}, which belongs on the first line only; remove it.")
        self._look(line, where)
        images = self._images(line.pop("views"), where)
        line.pop("image", None)
        entities = _pop_entities(line, where)
        talks = line.pop("conversations", None)
        self._files += bool(line.pop("annotation_files", None))
        given = pop_record_keys(line, where, ("id",))
        line = {**as_attributes(line.pop("attrs", None), "a record", where), **line}
        named = line.pop("sample_id", None)
        given["sample_id"] = given["sample_id"] or named
        classes = pop_classes(line, where)
        samples = add_views(chunk, images, number, given, check_metadata(line, where))
        first = next(iter(samples.values()))
        if classes:
            chunk.add_labels("categories", ({"sample": first, **row} for row in classes))
        if talks is not None:
            self._unordered += conversations.begins_with_an_answer(talks)
            rows = conversations.parse_messages(talks, where)
            chunk.add_labels(CONVERSATIONS, ({"sample": first, **row} for row in rows))
        self._entities.take(entities, samples, where, chunk)
        self._note_forms(where)

    def _look(self, line: Line, where: str) -> None:
        marks = self._marks
        if not marks["pixano-0.8"] and ("attrs" in line or "annotation_files" in line):
            marks["pixano-0.8"] = f"{where} ({'attrs' if 'attrs' in line else 'annotation_files'!r})"
        if not marks["pixano-0.7"] and ("status" in line or "comment" in line):
            marks["pixano-0.7"] = f"{where} ('status' or 'comment')"
        if not self._odd and (odd := [key for key in line if key not in _KEYS_08]):
            self._odd = f"{where} has the key {odd[0]!r},"
            self._hint = did_you_mean(odd[0], _KEYS_08)

    def _note_forms(self, where: str) -> None:
        if self._entities.lists and not self._marks["pixano-0.8"]:
            self._marks["pixano-0.8"] = f"{where} (a list of annotations)"
        if self._entities.groups and not self._marks["pixano-0.7"]:
            self._marks["pixano-0.7"] = f"{where} (annotations by view)"

    def _images(self, views: Any, where: str) -> dict[str, int]:
        if not isinstance(views, dict) or not views:
            fail(where, "has 'views' that name no image; give {'image': 'path'}.")
        images = {}
        for view, value in views.items():
            name = value.get("uri", value.get("path")) if isinstance(value, dict) else value
            if not isinstance(name, str):
                fail(where, f"has the view {view!r}, which is no image; only images can be imported.")
            images[view] = self._folder.image(name, where, or_above=True)
        return images

    @property
    def dialect(self) -> str:
        """Which generation wrote the file. Raises ``InvalidSource`` for marks of both."""
        if self._told:
            return self._told
        later, earlier = self._marks["pixano-0.8"], self._marks["pixano-0.7"]
        if later and earlier:
            fail(later, f"is of Pixano 0.8, and {earlier} of 0.7; a file has one dialect, so make two of it.")
        return "pixano-0.7" if earlier or (self._odd and not later) else "pixano-0.8"

    def done(self) -> list[str]:
        """What to tell at the end of the file. Raises ``InvalidSource`` for what its generation does not have."""
        if self.dialect == "pixano-0.8":
            if self._odd:
                fail(self._odd, f"which Pixano 0.8 does not have; {self._hint}")
            if self._entities.groups:
                fail(
                    self._marks["pixano-0.7"],
                    "is of Pixano 0.7; say dialect='pixano-0.7', or write a list of annotations.",
                )
        notes = self._entities.notes()
        if self._files:
            notes.append(f"{self._files} lines name annotation files, which belong to videos, and were not read.")
        if self._unordered:
            notes.append(
                f"{self._unordered} records have a conversation that begins with an answer, as Pixano's own export may write "
                "them; look whether the answers are with their questions."
            )
        return notes


def _pop_entities(line: Line, where: str) -> list[Any]:
    """Take the entities out of a line."""
    given = [line.pop(name, None) for name in ("entities", "objects")]
    found = [value for value in given if value is not None and value != []]
    if len(found) > 1:
        fail(where, "has 'entities' and 'objects'; keep one of them.")
    if found and not isinstance(found[0], list):
        fail(where, "has entities that are no list; give a list of {'attrs': …, 'annotations': […]}.")
    return found[0] if found else []
