"""The media of tasks that were found in the tool, as samples: matched with those of the dataset, or created."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import FoundTask
from ..core.match_media import match_media
from ..exceptions import InvalidOption, StoreError
from ..store.media_files import MediaFiles
from ..store.stores import Stores
from .adoption import UNMATCHED

Match = str | Callable[[Mapping[str, Any]], str | None]


def matched_samples(stores: Stores, found: Sequence[FoundTask], match: Match, media_field: str) -> list[pa.Array]:
    """The sample of each of the media of each task. Raises ``StoreError`` where two samples fit, or two media are one sample."""
    if media_field not in stores.samples.schema().names:
        raise InvalidOption(f"The samples have no column {media_field!r} (media_field); give one that they have.")
    names = [name for task in found for name in task.media["name"].to_pylist()]
    if callable(match):
        media = [row for task in found for row in task.media.to_pylist()]
        matched = [match(row) for row in media]
        stores.samples.require(pa.array(matched, pa.string()).drop_null(), "let match= return ids of samples, or None")
    else:
        if match not in ("name", "path"):
            raise InvalidOption(f"match={match!r} is not known; give 'name', 'path', or a function.")
        columns = ["sample_id", media_field]
        rows = (
            pair_
            for batch in stores.samples.scan(None, columns)
            for pair_ in zip(*(batch[name].to_pylist() for name in columns), strict=True)
        )
        result = match_media(names, rows, by_path=match == "path")
        if result.ambiguous:
            name, samples = next(iter(result.ambiguous.items()))
            raise StoreError(
                f"{len(result.ambiguous)} images of the tasks could be two samples or more: {name!r} is "
                f"{' or '.join(samples[:3])}. Match by match='path', or by a function from the row of a medium to a sample id."
            )
        matched = result.sample_ids
    seen: dict[str, str] = {}
    for name, sample_id in zip(names, matched, strict=True):
        if sample_id in seen:
            raise StoreError(
                f"Two images of the tasks are the sample {sample_id!r}: {seen[sample_id]!r} and {name!r}. Match by "
                "match='path', or by a function, or adopt their tasks as runs of their own."
            )
        if sample_id is not None:
            seen[sample_id] = name
    ends = pc.cumulative_sum(pa.array([0, *(task.media.num_rows for task in found)])).to_pylist()
    ids = pa.array(matched, pa.string())
    return [ids.slice(start, end - start) for start, end in pairwise(ends)]


def with_created(
    stores: Stores, backend: CheckedBackend, task: FoundTask, sample_ids: pa.Array,
    create: Callable[[pa.Table], list[str]],
) -> pa.Array:  # fmt: skip
    """The samples of a task, after those that are not here are downloaded and added."""
    missing = [n for n, known in enumerate(sample_ids.is_valid().to_pylist()) if not known]
    if not missing:
        return sample_ids
    files = MediaFiles(stores.database)
    paths = []
    for number in missing:
        with backend.read_media(task, number) as data:
            paths.append(files.write(task.media["name"][number].as_py(), data))
    rows = task.media.take(pa.array(missing))
    columns = {name: rows[name] for name in ("media_type", "width", "height", "frames")}
    new = create(pa.table({"filepath": pa.array(paths, pa.string()), **columns}))
    filled = sample_ids.to_pylist()
    for number, sample_id in zip(missing, new, strict=True):
        filled[number] = sample_id
    return pa.array(filled, pa.string())


def unmatched(found: Sequence[FoundTask], sample_ids: Sequence[pa.Array]) -> pa.Table:
    parts = [
        task.media.filter(ids.is_null()).append_column("task", pa.repeat(task.title, ids.null_count))
        for task, ids in zip(found, sample_ids, strict=True)
    ]
    return pa.concat_tables([UNMATCHED.empty_table(), *(part.cast(UNMATCHED) for part in parts)])


def require_samples(found: Sequence[FoundTask], sample_ids: Sequence[pa.Array], can_create: bool) -> None:
    """Raise ``StoreError`` for a task of which no medium is a sample."""
    for task, ids in zip(found, sample_ids, strict=True):
        if ids.null_count == len(ids):
            name = task.media["name"][0].as_py() if task.media.num_rows else ""
            cure = ", or with create=True, which downloads and imports them" if can_create else ""
            raise StoreError(
                f"None of the {len(ids)} images of the task {task.title!r} is a sample of the dataset (the first is {name!r}); "
                f"import them first{cure}, or match them with a function."
            )
