"""The media of tasks that were found in the tool, as samples: matched with those of the dataset, or created."""

from __future__ import annotations

import reprlib
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import FoundTask
from ..core.ids import derive, join_parts
from ..core.match_media import match_media
from ..exceptions import InvalidMedia, InvalidOption, StoreError
from ..store.image_headers import IMAGE_ERRORS
from ..store.media import header_size
from ..store.media_files import MediaFiles
from ..store.stores import Stores
from .adoption import UNMATCHED

_SPACE = str(uuid.uuid5(uuid.NAMESPACE_URL, "annobridge:adopted-media"))  # of the ids of samples that are created
_IN_MEMORY = 8 << 20  # bytes

Match = str | Callable[[Mapping[str, Any]], str | None]


def matched_samples(
    stores: Stores, backend: CheckedBackend, found: Sequence[FoundTask], match: Match, media_field: str
) -> list[pa.Array]:
    """The sample of each of the media of each task. One that an earlier adoption created for a medium is its sample.

    Raises ``StoreError`` where two samples fit, or two media are one sample; ``InvalidOption`` for a wrong ``match``.
    """
    if media_field not in stores.samples.schema().names:
        raise InvalidOption(f"The samples have no column {media_field!r} (media_field); give one that they have.")
    own = pa.concat_arrays([pa.array([], pa.string()), *(_own_ids(backend, task) for task in found)])
    created = [own_id if here else None for own_id, here in zip(own.to_pylist(), _here(stores, own), strict=True)]
    names = [name for task in found for name in task.media["name"].to_pylist()]
    if callable(match):
        chosen = _by_function(stores, match, [row for task in found for row in task.media.to_pylist()])
        matched = [one or known for one, known in zip(chosen, created, strict=True)]
    else:
        rest = iter(
            _by_name(stores, [n for n, known in zip(names, created, strict=True) if not known], match, media_field)
        )
        matched = [known or next(rest) for known in created]
    seen: dict[str, str] = {}
    for name, sample_id in zip(names, matched, strict=True):
        if sample_id in seen:
            raise StoreError(
                f"Two images of the tasks are the sample {sample_id!r}: {seen[sample_id]!r} and {name!r}. Match by "
                "match='path', or by a function, or adopt their tasks as runs of their own."
            )
        if sample_id is not None:
            seen[sample_id] = name
    return _by_task(found, matched)


def _own_ids(backend: CheckedBackend, task: FoundTask) -> pa.Array:
    """The id that a sample has which is created for each of the media, so that a repetition finds it."""
    server = str(backend.config.stored().get("url", ""))
    counts: Counter[str] = Counter()
    parts = []
    for name in task.media["name"].to_pylist():
        parts.append(join_parts(backend.name, server, task.key, name, str(counts[name])))
        counts[name] += 1
    return derive(_SPACE, pa.array(parts, pa.string()))


def _here(stores: Stores, sample_ids: pa.Array) -> list[bool]:
    found: list[bool] = pc.is_in(sample_ids, value_set=stores.samples.existing_ids(sample_ids)).to_pylist()
    return found


def _by_task(found: Sequence[FoundTask], sample_ids: Sequence[str | None]) -> list[pa.Array]:
    """The samples of the media of all tasks, as one array for each task."""
    ends = pc.cumulative_sum(pa.array([0, *(task.media.num_rows for task in found)])).to_pylist()
    ids = pa.array(sample_ids, pa.string())
    return [ids.slice(start, end - start) for start, end in pairwise(ends)]


def _by_function(
    stores: Stores, match: Callable[[Mapping[str, Any]], str | None], media: Sequence[Mapping[str, Any]]
) -> list[str | None]:
    cure = "let it return the id of a sample, or None"
    matched: list[str | None] = []
    for row in media:
        try:
            sample_id = match(row)
        except Exception as e:  # a function of the caller may raise anything
            raise InvalidOption(
                f"The function match= failed for the image {row['name']!r} with {type(e).__name__}: {e}; {cure}."
            ) from e
        if sample_id is not None and not isinstance(sample_id, str):
            raise InvalidOption(
                f"The function match= returned {reprlib.repr(sample_id)} for the image {row['name']!r}; {cure}."
            )
        matched.append(sample_id)
    stores.samples.require(pa.array(matched, pa.string()).drop_null(), "let match= return ids of samples, or None")
    return matched


def _by_name(stores: Stores, names: Sequence[str], match: Any, media_field: str) -> list[str | None]:
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
    return result.sample_ids


def with_created(
    stores: Stores, backend: CheckedBackend, found: Sequence[FoundTask], matched: Sequence[pa.Array],
    create: Callable[[pa.Table], list[str]],
) -> tuple[list[pa.Array], int]:  # fmt: skip
    """The samples of the tasks, after the media that are not here are downloaded and added; and how many were added.

    All are downloaded and checked before the first is added. A file that is that of a sample already is this sample.

    Raises ``InvalidMedia`` for a file that is no image; ``StoreError`` where two media are one file.
    """
    files = MediaFiles(stores.database)
    paths, own, rows = [], [], []
    for task, ids in zip(found, matched, strict=True):
        missing = pc.indices_nonzero(ids.is_null())
        own.append(_own_ids(backend, task).take(missing))
        rows.append(task.media.take(missing))
        paths += [_download(files, backend, task, number) for number in missing.to_pylist()]
    if not paths:
        return list(matched), 0
    names, media = pa.array(paths, pa.string()), pa.concat_tables(rows)
    there = _samples_of_files(stores, names)
    taken = pa.concat_arrays(list(matched))
    new_ids = [there.get(path, new) for path, new in zip(paths, pa.concat_arrays(own).to_pylist(), strict=True)]
    _require_distinct(media, paths, new_ids, taken)
    new = pa.array([path not in there for path in paths])
    columns = {name: media[name] for name in ("media_type", "width", "height", "frames")}
    table = pa.table({"sample_id": pa.array(new_ids, pa.string()), "filepath": names, **columns}).filter(new)
    if table.num_rows:
        create(table)
    filled = iter(new_ids)
    return _by_task(found, [known or next(filled) for known in taken.to_pylist()]), table.num_rows


def _require_distinct(media: pa.Table, paths: Sequence[str], sample_ids: Sequence[str], taken: pa.Array) -> None:
    """Raise ``StoreError`` for a file that is another medium of the tasks, too."""
    seen, others = set(), set(taken.drop_null().to_pylist())
    for name, path, sample_id in zip(media["name"].to_pylist(), paths, sample_ids, strict=True):
        if path in seen or sample_id in others:
            raise StoreError(
                f"Two images of the tasks are one file, {name!r}, which would be one sample; no sample was added. Adopt their "
                "tasks as runs of their own, or remove one of the two in the tool."
            )
        seen.add(path)


def _samples_of_files(stores: Stores, paths: pa.Array) -> dict[str, str]:
    """Path → id, of the samples that have one of these files."""
    found: dict[str, str] = {}
    for batch in stores.samples.scan(None, ["filepath", "sample_id"]):
        rows = batch.filter(pc.is_in(batch["filepath"], value_set=paths))
        found.update(zip(rows["filepath"].to_pylist(), rows["sample_id"].to_pylist(), strict=True))
    return found


def _download(files: MediaFiles, backend: CheckedBackend, task: FoundTask, number: int) -> str:
    """Write one of the media of a task into the dataset; returns its path. Raises ``InvalidMedia`` for what is no image."""
    name = task.media["name"][number].as_py()
    with backend.read_media(task, number) as data:
        if task.media["media_type"][number].as_py() != "image":
            return files.write(name, data)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:
            file: Any = spooled
            shutil.copyfileobj(data, file)
            file.seek(0)
            try:
                header_size(file)
            except IMAGE_ERRORS as e:
                raise InvalidMedia(
                    f"What the tool has as the image {name!r} of the task {task.title!r} is not an image that can be read; no "
                    "sample was added. Replace it in the tool, or adopt without create=True, which leaves it out."
                ) from e
            file.seek(0)
            return files.write(name, file)


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
