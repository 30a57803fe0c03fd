"""A tool that is reached by files: ``upload`` writes a folder or a zip that people open in it, ``download`` reads what they saved.

The formats of ``annobridge.formats`` write and read the files. Few of them keep ids, so labels are matched with those that were
sent by sample, frame, class and shape; what a format cannot hold stays as it was sent.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import (
    AnnotationBackend,
    AnnotationBackendConfig,
    Capabilities,
    Download,
    Media,
    Receipt,
    Status,
    Task,
)
from annobridge.backend.values import GONE
from annobridge.core.arrays import as_array
from annobridge.core.labels import LABEL_TYPES, LABELS, REMOTE, SAMPLES, conform
from annobridge.core.media import without_secrets
from annobridge.core.merge.file_fit import Expected
from annobridge.core.merge.partial_answer import complete, sentences
from annobridge.core.merge.seen import Seen
from annobridge.core.schema import ATTRIBUTE_TYPES, LabelSchema
from annobridge.core.similarity import sizes_of
from annobridge.core.terms import Terms
from annobridge.exceptions import Gone, InvalidOption, InvalidSource, Rejected
from annobridge.formats import registry
from annobridge.formats.base import Part
from annobridge.formats.common.answer import ANSWER, labels_of
from annobridge.formats.common.archive import Archive
from annobridge.formats.common.fidelity import KEPT, Fidelity
from annobridge.formats.common.file_format import FileFormat
from annobridge.formats.common.source import LabelSource
from annobridge.formats.names import with_slashes
from annobridge.formats.output import new_output

from . import returned
from .config import FilesConfig

README = "README.md"  # says for which task the files are
_TASK = re.compile(r"^Task: (.+)$", re.MULTILINE)
_NEW_ID = "made-"  # how the ids of labels begin that people made; they can be deleted in the files, too
_SAVE_MEDIA: dict[str, bool | str] = {"copy": True, "link": "link", "none": False}


class FilesBackend(AnnotationBackend):
    """Files in one of the formats. An instance is of the class of its format, whose capabilities are what that format holds."""

    name: ClassVar[str] = "files"
    Config = FilesConfig

    def __new__(cls, config: AnnotationBackendConfig) -> FilesBackend:
        assert isinstance(config, FilesConfig)  # noqa: S101
        return super().__new__(backend_of(config.format) if cls is FilesBackend else cls)

    @property
    def format(self) -> FileFormat:
        """The format of the files."""
        return _format(self._config.format)

    @property
    def _config(self) -> FilesConfig:
        assert isinstance(self.config, FilesConfig)  # noqa: S101
        return self.config

    @property
    def needs_whole_files(self) -> bool:
        """Whether images are copied."""
        return self._config.media == "copy"

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:  # noqa: ARG002
        """Attributes that the format has no place for."""
        fidelity = self.format.fidelity
        for spec in schema.fields.values():
            names = [name for name in spec.all_attributes() if not fidelity.keeps(name, spec.kind)]
            if names:
                yield (
                    f"{spec.name}: {self.format.title} has no place for the attributes {', '.join(names)} of {spec.type}; leave "
                    "them out with attributes=, or choose another format."
                )

    def check_task(self, task: Task) -> Iterable[str]:
        """Whether something else is where the files go."""
        place = self._place(task.name)
        if place.exists() and not _is_empty(place) and _task_of(place) != task.name:
            yield f"There is something else at path={str(place)!r}; give another path, or remove it."

    def upload(self, task: Task) -> Receipt:
        """Write the files, unless they are there. The baseline is what is read back from them."""
        place = self._place(task.name)
        names = _names(task.samples)
        sizes = zip(task.samples["width"].to_pylist(), task.samples["height"].to_pylist(), strict=True)
        state = {
            "samples": task.samples["sample_id"].to_pylist(), "names": names, "sizes": list(sizes), "schema": task.schema.to_dict(),
        }  # fmt: skip
        if not place.exists() or _is_empty(place):
            with new_output(place) as folder:
                notes = self._write(task, names, folder, _SAVE_MEDIA[self._config.media])
                answer, files = self._read_back(task, state, folder), _files(folder)
            written = returned.mark(place)
        elif _task_of(place) == task.name:  # an earlier call wrote them, and people may have edited them
            with tempfile.TemporaryDirectory() as temporary:
                notes = self._write(task, names, Path(temporary), False)
                answer, files = self._read_back(task, state, Path(temporary)), _files(place)
                written = returned.mark(place) if returned.is_as_written(place, Path(temporary)) else ""
        else:
            raise Rejected(f"files: there is something else at {str(place)!r}; move it away, then resume the run.")
        sent = as_array(task.labels["label_id"])
        is_ours = pc.is_in(answer.labels["remote_id"], value_set=sent)
        baseline = answer.labels.filter(is_ours)
        at = baseline.column_names.index("label_id")
        baseline = baseline.set_column(at, REMOTE.field("label_id"), baseline["remote_id"])
        unsent = sent.filter(pc.invert(pc.is_in(sent, value_set=as_array(baseline["label_id"]))))
        state |= {"files": files, "surplus": answer.labels.filter(pc.invert(is_ours))["remote_id"].to_pylist()}
        state |= {"unheld": sorted(answer.unheld), "written": written}
        return Receipt(task.name, state, baseline.cast(REMOTE).combine_chunks(), unsent, tuple(notes))

    def _write(self, task: Task, names: list[str], folder: Path, save_media: bool | str) -> list[str]:
        classes = list(dict.fromkeys(name for spec in task.schema.fields.values() for name in spec.classes))
        options = {"save_media": save_media, "classes": classes}
        chosen = registry.options(self.format.writing, options, f"Writing {self.format.title}")
        samples = task.samples.set_column(
            task.samples.column_names.index("filepath"), SAMPLES.field("filepath"), pa.array(names, pa.string())
        )
        part = Part(samples, task.labels.select(LABELS.names), _Renamed(task.media))
        losses = self.format.write([part], folder, chosen)
        (folder / README).write_text(self._readme(task), "utf-8")
        return [f"In the files only, and not here: {loss}" for loss in losses]

    def _read_back(self, task: Task, state: Mapping[str, Any], folder: Path) -> _Answer:
        sent = conform(task.labels, ANSWER)
        base = sent.set_column(sent.column_names.index("remote_id"), REMOTE.field("remote_id"), sent["label_id"]).cast(
            REMOTE
        )
        _, theirs, seen = self._labels_in(folder, state, base)
        unheld = set(pc.unique(base["kind"]).to_pylist()) - set(pc.unique(theirs["kind"]).to_pylist())
        _leave_out(seen, unheld)
        known = _known(state)
        answer = complete(base, theirs, seen, task.schema, sizes_of(known, base), sizes_of(known, theirs), _NEW_ID)
        return _Answer(answer.labels, unheld)

    def _labels_in(self, place: Path, state: Mapping[str, Any], base: pa.Table) -> tuple[LabelSource, pa.Table, Seen]:
        """The labels of the files (``ANSWER``), and what these can say."""
        options = registry.options(self.format.reading, {}, f"Reading {self.format.title}")
        source = self.format.open_onto(place, options, [_known(state)])
        seen = self.format.fidelity.written(base)
        schema = LabelSchema.from_dict(state["schema"])
        batches = labels_of(source, seen, Expected(schema), Terms({}, {}))
        theirs = pa.Table.from_batches(batches, ANSWER).combine_chunks()
        seen.unread = source.unread
        return source, theirs, seen

    def _readme(self, task: Task) -> str:
        return (
            f"{task.title or task.name}: {task.samples.num_rows} images and their labels as {self.format.title}.\n"
            "Edit the labels in a tool that reads this format, and save them here; then load the run with annobridge.\n"
            f"Task: {task.name}\n"
        )

    def download(self, receipt: Receipt) -> Download:
        """The labels that are in the files now."""
        place, state = self._place(receipt.task), receipt.state
        if not place.exists() or _is_empty(place):
            raise Gone(f"There is nothing at {str(place)!r}; give the path= of the files, if they were moved.")
        if (found := _task_of(place)) not in (None, receipt.task):
            raise InvalidSource(
                f"{str(place)!r} has the files of the task {found!r}, not of {receipt.task!r}; give its path=."
            )
        source, theirs, seen = self._labels_in(place, state, receipt.baseline)
        _leave_out(seen, state["unheld"])
        known = _known(state)
        is_there = pa.array([sample_id in source.sample_ids for sample_id in state["samples"]], pa.bool_())
        there = as_array(known["sample_id"]).filter(is_there)
        base = receipt.baseline.filter(pc.is_in(receipt.baseline["sample_id"], value_set=there)).combine_chunks()
        schema = LabelSchema.from_dict(state["schema"])
        answer = complete(base, theirs, seen, schema, sizes_of(known, base), sizes_of(known, theirs), _NEW_ID)
        surplus = pa.array(state["surplus"], pa.string())
        labels = answer.labels.filter(pc.invert(pc.is_in(answer.labels["remote_id"], value_set=surplus)))
        notes = (*source.notes, *list(sentences(answer.counts, []))[1:])
        time = None if returned.mark(place) == state.get("written") else returned.changed_at(place)
        reviewed = returned.reviewed(as_array(known["sample_id"]), is_there, time)
        return Download(labels.combine_chunks(), there, notes, reviewed=reviewed)

    def delete(self, receipt: Receipt) -> None:
        """Remove the files that were written, unless they are of another task by now. What people put beside them stays."""
        place = self._place(receipt.task)
        if not place.exists() or _task_of(place) != receipt.task:
            return
        if place.is_file():
            place.unlink()
            return
        for name in receipt.state.get("files", _files(place)):
            (place / name).unlink(missing_ok=True)
        for folder, _, _ in os.walk(place, topdown=False):
            if not os.listdir(folder):
                os.rmdir(folder)

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """An empty state if the files are there."""
        place = self._place(task_name)
        return {} if place.exists() and _task_of(place) == task_name else None

    def status(self, receipt: Receipt) -> Status:
        """Whether the files are there, and whether they changed since they were written."""
        place, state = self._place(receipt.task), receipt.state
        if not place.exists():
            return Status(GONE)
        mark = returned.mark(place)
        if mark == state.get("written"):
            return Status("written", reviewed=0, mark=mark)
        options = registry.options(self.format.reading, {}, f"Reading {self.format.title}")
        try:
            there = len(self.format.open_onto(place, options, [_known(state)]).sample_ids)
        except InvalidSource:  # a person is saving it, or has put something else there
            return Status("changed", mark=mark)
        return Status("changed", reviewed=there, mark=mark)

    @classmethod
    def reads_path(cls, options: Mapping[str, Any], path: Path, format_name: str | None) -> bool:
        """It is where the files are now, if they have the README; other labels are read by their format."""
        own = options.get("format", FilesConfig.model_fields["format"].default)
        return format_name in (None, own) and path.exists() and _task_of(path) is not None

    @classmethod
    def file_names(cls, receipt: Receipt) -> Mapping[str, str]:
        """The names of the images in the files."""
        return dict(zip(receipt.state.get("names", ()), receipt.state.get("samples", ()), strict=True))

    def _place(self, task_name: str) -> Path:
        """The folder or zip of a task: the path itself for the first one."""
        path = Path(self._config.path).expanduser()
        number = int(task_name.rpartition("-")[2])
        return path if not number else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")


class _Answer(NamedTuple):
    """What was read back, and the kinds of labels that were written as others, or not at all."""

    labels: pa.Table
    unheld: set[str]


@dataclass(frozen=True, slots=True)
class _Renamed:
    """The media of samples whose paths in the export are not those of their files."""

    media: Media

    def open(self, sample_id: str) -> BinaryIO:
        return self.media.open(sample_id)

    def path(self, sample_id: str) -> Path | None:
        return self.media.path(sample_id)


@cache
def backend_of(format_name: str) -> type[FilesBackend]:
    """The backend of one format. Raises ``InvalidOption`` for one that cannot be written and read."""
    can = _capabilities(_format(format_name).fidelity)
    return type("FilesBackend", (FilesBackend,), {"capabilities": can, "__module__": __name__})


def _capabilities(fidelity: Fidelity) -> Capabilities:
    """What an annotator can change in files of a format."""
    kinds = {kind for kind, fate in fidelity.kinds.items() if fate == KEPT}
    attributed = kinds.intersection(fidelity.only.get("attributes", kinds))
    return Capabilities(
        label_types=frozenset(name for name, kind in LABEL_TYPES.items() if kind in kinds),
        attribute_types=frozenset(ATTRIBUTE_TYPES) if fidelity.attributes != frozenset() else frozenset(),
        attributed_types=frozenset(name for name, kind in LABEL_TYPES.items() if kind in attributed),
        class_attributes=True,
        status=True,
        reviewed=True,
    )


def _format(name: str) -> FileFormat:
    found: Any = registry.get(name)
    if not isinstance(found, FileFormat) or found.writing is None:
        raise InvalidOption(f"format={name!r}: {found.title} cannot be written and read back; choose another format.")
    return found


def _leave_out(seen: Seen, kinds: Iterable[str]) -> None:
    """Take kinds out of what the files can say: their labels were written as those of other kinds."""
    seen.kinds -= frozenset(kinds)
    seen.found -= set(kinds)


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())


def _files(folder: Path) -> list[str]:
    """The files in a folder, by their paths in it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()
    )


def _task_of(place: Path) -> str | None:
    """The task that the README in a folder or zip names; ``None`` if there is none."""
    try:
        with Archive(place) as archive:
            text = archive.read(README).decode("utf-8", "replace") if README in archive else ""
    except InvalidSource:
        return None
    found = _TASK.search(text)
    return found[1].strip() if found else None


def _names(samples: pa.Table) -> list[str]:
    """A file name for each sample, of which no two are equal without their suffix: formats name label files so."""
    names, taken = list[str](), set[str]()
    for number, path in enumerate(samples["filepath"].to_pylist()):
        stem, suffix = os.path.splitext(with_slashes(without_secrets(path or "")).rpartition("/")[2])
        stem = stem or "image"
        if stem.lower() in taken:
            stem = f"{number:06d}_{stem}"
        taken.add(stem.lower())
        names.append(stem + (suffix or ".png"))
    return names


def _known(state: Mapping[str, Any]) -> pa.Table:
    """The samples of a task under the names of their files, as formats look them up."""
    count = len(state["samples"])
    sizes = np.array(state["sizes"], object).reshape(-1, 2)
    columns = {
        "sample_id": pa.array(state["samples"], pa.string()), "filepath": pa.array(state["names"], pa.string()),
        "media_type": pa.array(["image"] * count, pa.string()), "width": pa.array(sizes[:, 0].tolist(), pa.int32()),
        "height": pa.array(sizes[:, 1].tolist(), pa.int32()), "frames": pa.nulls(count, pa.int32()),
    }  # fmt: skip
    return pa.table(columns)


FilesBackend.capabilities = _capabilities(_format(FilesConfig.model_fields["format"].default).fidelity)
