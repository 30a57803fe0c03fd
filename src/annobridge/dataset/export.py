"""Write samples and labels in the format of another tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.arrow_memory import system_memory
from ..display.progress import Progress, ProgressChoice
from ..exceptions import InvalidOption
from ..formats import registry
from ..formats.base import Part
from ..formats.common.fidelity import Loss
from ..formats.common.file_format import FileFormat
from ..formats.output import new_output
from ..formats.parts import SampleParts


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        folder: the new folder or zip.
        format: the name of the format.
        samples: how many samples were written.
        labels: how many labels they have here; those that were left out are counted in the notes.
        notes: what the format could not hold, a sentence each.
    """

    folder: Path
    format: str
    samples: int
    labels: int
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {**vars(self), "folder": str(self.folder)}


def write(
    samples: SampleParts, path: str | Path, format_name: str, progress: ProgressChoice, options: Mapping[str, Any]
) -> ExportReport:
    """Write samples with their labels; see ``View.export``."""
    writer = registry.get(format_name)
    chosen = registry.options(writer.writing, options, f"Writing {writer.title}")
    target = Path(path).expanduser().resolve()
    counts: Counter[str] = Counter()
    with system_memory(), new_output(target) as folder, Progress(progress, len(samples), "exporting") as bar:
        notes = writer.write(_counted(samples.parts(), counts, bar), folder, chosen)
    return ExportReport(target, writer.name, counts["samples"], counts["labels"], notes)


def losses(samples: SampleParts, format_name: str, options: Mapping[str, Any]) -> list[Loss]:
    """What an export would lose; see ``View.export_losses``."""
    writer: Any = registry.get(format_name)
    if not isinstance(writer, FileFormat):
        raise InvalidOption(f"What {writer.title} cannot hold is told when it is written, in the notes of the export.")
    chosen = registry.options(writer.writing, options, f"Writing {writer.title}")
    found: list[Loss] = writer.losses(samples.parts(), chosen)
    return found


def _counted(parts: Iterable[Part], counts: Counter[str], bar: Progress) -> Iterator[Part]:
    for part in parts:
        yield part
        counts.update(samples=part.samples.num_rows, labels=part.labels.num_rows)
        bar.advance(part.samples.num_rows)
