"""Checks whether the files of a dataset are there, and as they were recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..core.media import without_secrets
from ..core.wording import LISTED, listed, plural
from ..display.progress import Progress, ProgressChoice
from ..spill.streams import Streams
from ..store.file_records import among
from ..store.schemas import FILES
from ..store.stores import Stores
from .look import Recorded, difference, look_at

PROBLEMS = pa.schema(
    [
        pa.field("sample_id", pa.string()),
        pa.field("filepath", pa.string()),
        pa.field("problem", pa.string()),  # "missing", "unreadable", "size" or "content"
        pa.field("recorded_size", pa.int64()),  # bytes
        pa.field("size", pa.int64()),
        pa.field("why", pa.string()),  # of "unreadable"
    ]
)


@dataclass(frozen=True)
class MediaReport:
    """What a check of media found.

    Attributes:
        dataset: the dataset.
        checked: how many files were looked at.
        counts: how many are missing, cannot be read, or have another size or content than is recorded, by problem.
        unrecorded: how many have no record, so that only their presence was checked.
        recorded: how many were recorded by this check.
        uncompared: where content was to be compared, of how many files it was not, as they are on a server.
    """

    dataset: str
    checked: int
    counts: dict[str, int]
    unrecorded: int
    recorded: int
    uncompared: int
    _streams: Streams = field(repr=False)

    @property
    def problems(self) -> pa.Table:
        """The files with a problem (``PROBLEMS``)."""
        return self._streams.table("problems")

    @property
    def ok(self) -> bool:
        """Whether no file has a problem."""
        return not self.counts

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        names = ("dataset", "checked", "ok", "counts", "unrecorded", "recorded", "uncompared")
        rows = [
            row | {"filepath": row["filepath"] and without_secrets(row["filepath"])}
            for row in self.problems.to_pylist()
        ]
        return {name: getattr(self, name) for name in names} | {"problems": rows}

    def lines(self) -> list[str]:
        """The report in sentences."""
        words = {
            "missing": "missing",
            "unreadable": "unreadable",
            "size": "of another size",
            "content": "of other content",
        }
        counts = ", ".join(f"{n:,} {words[name]}" for name, n in sorted(self.counts.items()))
        lines = [f"{plural(self.checked, 'file')} checked: {counts or 'nothing is missing'}."]
        if self.unrecorded:
            lines.append(
                f"{self.unrecorded:,} have no recorded size and content, so that only their presence was checked; "
                "check_media(record=True) records what is there now."
            )
        if self.uncompared:
            lines.append(
                f"The content of {plural(self.uncompared, 'file')} was not compared: files on servers are not downloaded, and only "
                "their size is compared, if the server tells it."
            )
        if self.recorded:
            lines.append(f"{self.recorded:,} were recorded.")
        return lines

    def __repr__(self) -> str:
        rows = [
            f"{row['problem']}: {_shown(row['filepath'])} of sample {row['sample_id']!r}"
            for row in self._streams.table("problems", LISTED).to_pylist()
        ]
        return "\n".join([*self.lines(), *(f"  {line}" for line in listed(rows, sum(self.counts.values())))])


def check(
    stores: Stores, content: bool = False, record: bool = False, accept: bool = False, progress: ProgressChoice = None
) -> MediaReport:
    """Look at the file of each sample, in parallel and in bounded memory. Files elsewhere are asked about, and not downloaded.

    Args:
        stores: the dataset.
        content: compare the content too.
        record: record the files that have no record yet.
        accept: record changed files as they are now; they are reported this once.
        progress: as in ``annotate``.
    """
    streams = Streams({"problems": PROBLEMS, "files": FILES})
    counts: Counter[str] = Counter()
    total = stores.samples.count() if stores.samples.has_files else 0
    unrecorded = uncompared = 0
    with Progress(progress, total, "checking", noun="files") as bar:
        for batch, known in _batches(stores) if total else ():
            problems, news = [], []
            places = batch["filepath"].to_pylist()
            looks = look_at(places, stores.database.storage_options, content or record or accept)
            for sample_id, place, was, found in zip(batch["sample_id"].to_pylist(), places, known, looks, strict=True):
                is_new = was.size is None and not found.problem
                compared = found if content or accept else found._replace(content=None)
                problem = found.problem or difference(compared, was)
                if problem:
                    counts[problem] += 1
                    problems.append((sample_id, place, problem, was.size, found.size, found.why))
                if (is_new and record) or (accept and problem and not found.problem):
                    news.append((sample_id, found.size, found.content))
                unrecorded += is_new and not record
                uncompared += content and not problem and not is_new and None in (was.content, found.content)
                bar.advance()
            streams.add("problems", _table(problems, PROBLEMS))
            streams.add("files", _table(news, FILES))
    streams.finish()
    stores.fingerprints.record(streams.batches("files"))
    return MediaReport(
        stores.database.uri, total, dict(sorted(counts.items())), unrecorded, streams.rows["files"], uncompared, streams
    )


def _shown(place: str | None) -> str:
    return repr(without_secrets(place)) if place is not None else "the filepath"


def _batches(stores: Stores) -> Iterator[tuple[pa.RecordBatch, list[Recorded]]]:
    """The samples, and what is recorded of each."""
    known = stores.fingerprints.table()
    for batch in stores.samples.scan(None, ["sample_id", "filepath"]):
        rows = among(known, batch["sample_id"])
        yield batch, [Recorded(row["size"], row["fingerprint"]) for row in rows.to_pylist()]


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([pa.array(values, f.type) for values, f in zip(columns, schema, strict=True)], schema)
