"""Lines with ``views`` and ``entities``: Pixano 0.7 and 0.8, which are told apart over the whole file."""

from __future__ import annotations

from typing import Any

from ....core.did_you_mean import did_you_mean
from ..keys import CATEGORIES, CONVERSATIONS, HEADER, OBJECTS, VERSION
from . import conversations
from .chunk import Chunk, of_sample
from .entities import Entities, as_attributes
from .folder_files import ImageFolder
from .json_lines import Line, fail
from .line_keys import ClassKeys, Counts, check_metadata, pop_classes, pop_record_keys
from .parallel_arrays import add_views

_ANNOTATION_FILES, _BEGIN_WITH_ANSWER = "annotation files", "begin with an answer"
_KEYS_08 = frozenset({"id", "split", "attrs", "views", "entities", CONVERSATIONS, "annotation_files"})


class ViewsReader:
    """Reads the lines of Pixano 0.7 and 0.8. Which of them wrote the file is known at its end.

    Args:
        folder: the folder of the images.
        field: the label field of the entities.
        class_keys: where the key of the class is recorded.
        option: the dialect that the user named, if any.
    """

    title = "Pixano's lines with {!r}"
    always_pixels = False

    def __init__(self, folder: ImageFolder, field: str, class_keys: ClassKeys, option: str | None) -> None:
        self._folder, self._option = folder, option
        self._entities = Entities(field, class_keys)
        self._evidence: dict[str, str] = {"pixano-0.8": "", "pixano-0.7": ""}  # the first of each
        self._unknown_key = ""  # where the first key is that 0.8 does not have
        self._unknown_hint = ""
        self._counts = Counts()  # lines

    def add_header(self, line: Line, where: str) -> None:
        """Take the defaults of the header, the first line of a file of Pixano 0.8. Raises ``InvalidSource``."""
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
        self._entities.box_defaults = box
        self._evidence["pixano-0.8"] = f"{where} (a header)"

    def add_line(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Add the samples and labels of a line to a chunk. Raises ``InvalidSource``."""
        if HEADER in line:
            fail(where, f"has the key {HEADER!r}, which belongs on the first line only; remove it.")
        self._look_for_evidence(line, where)
        images = self._images(line.pop("views"), where)
        line.pop("image", None)
        entities = _pop_entities(line, where)
        messages = line.pop(CONVERSATIONS, None)
        self._counts[_ANNOTATION_FILES] += bool(line.pop("annotation_files", None))
        record_keys = pop_record_keys(line, where, ("id",))
        line = {**as_attributes(line.pop("attrs", None), "a record", where), **line}
        sample_id = line.pop("sample_id", None)
        record_keys["sample_id"] = record_keys["sample_id"] or sample_id
        classes = pop_classes(line, where)
        samples = add_views(chunk, images, number, record_keys, check_metadata(line, where))
        first = next(iter(samples.values()))
        if classes:
            chunk.add_labels(CATEGORIES, of_sample(first, classes))
        if messages is not None:
            self._counts[_BEGIN_WITH_ANSWER] += conversations.begins_with_an_answer(messages)
            chunk.add_labels(CONVERSATIONS, of_sample(first, conversations.parse_messages(messages, where)))
        self._entities.add_to(chunk, entities, samples, where)
        if self._entities.has_lists and not self._evidence["pixano-0.8"]:
            self._evidence["pixano-0.8"] = f"{where} (a list of annotations)"
        if self._entities.has_groups and not self._evidence["pixano-0.7"]:
            self._evidence["pixano-0.7"] = f"{where} (annotations by view)"

    def _look_for_evidence(self, line: Line, where: str) -> None:
        evidence = self._evidence
        if not evidence["pixano-0.8"] and ("attrs" in line or "annotation_files" in line):
            evidence["pixano-0.8"] = f"{where} ({'attrs' if 'attrs' in line else 'annotation_files'!r})"
        if not evidence["pixano-0.7"] and ("status" in line or "comment" in line):
            evidence["pixano-0.7"] = f"{where} ('status' or 'comment')"
        if not self._unknown_key and (unknown := [key for key in line if key not in _KEYS_08]):
            self._unknown_key = f"{where} has the key {unknown[0]!r},"
            self._unknown_hint = did_you_mean(unknown[0], _KEYS_08)

    def _images(self, views: Any, where: str) -> dict[str, int]:
        """The image of each view, as its number among the files of the folder."""
        if not isinstance(views, dict) or not views:
            fail(where, "has 'views' that name no image; give {'image': 'path'}.")
        images = {}
        for view, value in views.items():
            name = value.get("uri", value.get("path")) if isinstance(value, dict) else value
            if not isinstance(name, str):
                fail(where, f"has the view {view!r}, which is not an image; only images can be imported.")
            images[view] = self._folder.find(name, where, or_above=True)
        return images

    @property
    def dialect(self) -> str:
        """The dialect of the file. Raises ``InvalidSource`` for evidence of both."""
        if self._option:
            return self._option
        later, earlier = self._evidence["pixano-0.8"], self._evidence["pixano-0.7"]
        if later and earlier:
            fail(later, f"is of Pixano 0.8, and {earlier} of 0.7; a file has one dialect, so make two of it.")
        return "pixano-0.7" if earlier or (self._unknown_key and not later) else "pixano-0.8"

    def finish(self) -> list[str]:
        """Notes on all lines. Raises ``InvalidSource`` for what the dialect does not have."""
        if self.dialect == "pixano-0.8":
            if self._unknown_key:
                fail(self._unknown_key, f"which Pixano 0.8 does not have; {self._unknown_hint}")
            if self._entities.has_groups:
                fail(
                    self._evidence["pixano-0.7"],
                    "is of Pixano 0.7; say dialect='pixano-0.7', or write a list of annotations.",
                )
        notes = self._entities.notes()
        if count := self._counts[_ANNOTATION_FILES]:
            notes.append(f"{count} lines name annotation files, which belong to videos, and were not read.")
        if count := self._counts[_BEGIN_WITH_ANSWER]:
            notes.append(
                f"{count} records have a conversation that begins with an answer, as Pixano's own export may "
                "write them; look whether the answers are with their questions."
            )
        return notes


def _pop_entities(line: Line, where: str) -> list[Any]:
    """Take the entities out of a line."""
    given = [line.pop(name, None) for name in ("entities", OBJECTS)]
    found = [value for value in given if value is not None and value != []]
    if len(found) > 1:
        fail(where, "has 'entities' and 'objects'; keep one of them.")
    if found and not isinstance(found[0], list):
        fail(where, "has entities that are not a list; give a list of {'attrs': …, 'annotations': […]}.")
    return found[0] if found else []
