"""Adopt: tasks that were made in the tool, by people or other programs, become a run.

find the tasks → match their media with samples → pair their labels with those here → reserve the key, record tasks and baseline.
Nothing is changed in the tool, and nothing is written here before all is checked, but samples that are created.
"""

from __future__ import annotations

import reprlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.base import AnnotationBackend
from ..backend.capability_check import problems as unsupported
from ..backend.checked import CheckedBackend
from ..backend.values import FoundTask, Receipt
from ..core import tasks
from ..core.arrays import filter_rows
from ..core.labels import LABELS, REMOTE
from ..core.merge.adopted import pair
from ..core.schema import LabelSchema
from ..display.progress import Progress, ProgressChoice
from ..exceptions import BackendError, InvalidOption, InvalidSchema, RunError, RunNotFound, StoreError, Unsupported
from ..spill.streams import Streams
from ..store import views
from ..store.baseline import as_sent
from ..store.labels import field_condition
from ..store.run import ADOPTED_OPTION, ADOPTING, MEDIA_FIELD_OPTION, Run
from ..store.stores import Stores
from .adoption import Adoption
from .annotate import check_key, resolve_schema
from .found_media import Match, matched_samples, require_samples, unmatched, with_created

INFER = "infer"
_BASELINE = REMOTE.append(pa.field("unsent", LABELS.field("attributes").type)).append(pa.field("task", pa.string()))


class _Task(NamedTuple):
    """A task that was found, with its name in the ledger and the sample of each of its media."""

    name: str
    found: FoundTask
    sample_ids: pa.Array  # null where there is none


@dataclass(frozen=True, slots=True)
class Request:
    """What to adopt; see ``Dataset.adopt_annotation``."""

    anno_key: str
    tasks: Sequence[str]
    project: str | None
    label_schema: Any
    match: Match
    media_field: str = "filepath"


def task_names(given: Any) -> list[str]:
    """The argument ``tasks``: ids or names, or one. Raises ``InvalidOption`` for anything else."""
    if isinstance(given, str | int):
        given = [given]
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise InvalidOption(f"tasks= is {reprlib.repr(given)}; give the ids or names of tasks, or leave it out.")
    named = list(given)
    if wrong := [one for one in named if not isinstance(one, str | int)]:
        raise InvalidOption(f"tasks= has {reprlib.repr(wrong[0])}; give the id or the name of each task.")
    return [str(one) for one in named]


def require_adoptable(backend: AnnotationBackend) -> None:
    """Raise ``Unsupported`` for a backend without ``adopt``."""
    if not backend.capabilities.adopt:
        raise Unsupported(
            f"Tasks of {backend.name} cannot be adopted:",
            [
                "They cannot be told apart by what its tool says of them. Export the labels there, and import the file with "
                "import_dataset; or annotate, and load the file with path=."
            ],
        )


def adopt(
    stores: Stores,
    request: Request,
    backend: CheckedBackend,
    create: Callable[[pa.Table], list[str]] | None,
    progress: ProgressChoice = None,
) -> tuple[Run, Adoption]:
    """Make tasks of the tool a run.

    Args:
        stores: the dataset.
        request: what to adopt.
        backend: the tool.
        create: adds samples (with ``filepath`` and sizes) and returns their ids, for media that are not here; ``None`` to leave
            these out.
        progress: as in ``annotate``.
    """
    check_key(request.anno_key)
    _free_key(stores, request.anno_key)
    if create is not None:
        _require_creatable(stores)
    found = _find(stores, request, backend)
    schema = _schema(stores, request, found)
    if problems := unsupported(schema, backend.capabilities, backend.name):
        raise Unsupported(f"The backend {backend.name!r} cannot do this:", problems)
    matched = matched_samples(stores, backend, found, request.match, request.media_field)
    for one, ids in zip(found, matched, strict=True):
        backend.adopt(one, schema, ids)  # raises if the schema does not fit, before samples are created
    sample_ids, created = matched, 0
    if create is not None:
        with _saying_how_to_go_on(request.anno_key):
            sample_ids, created = with_created(stores, backend, found, matched, create)
    require_samples(found, sample_ids, can_create=create is None)
    adoption = Adoption(request.anno_key, [task.title for task in found])
    adoption.matched = sum(len(ids) - ids.null_count for ids in sample_ids) - created
    adoption.created = created
    adoption.unmatched = unmatched(found, sample_ids)
    run = _new_run(stores, request, backend, schema, len(found))
    names = [tasks.name(run.anno_key, run.run_id, number) for number in range(len(found))]
    todo = [_Task(*one) for one in zip(names, found, sample_ids, strict=True)]
    receipts = {task.name: backend.adopt(task.found, schema, task.sample_ids) for task in todo}
    with Streams({"baseline": _BASELINE}) as streams:
        with Progress(progress, len(todo), f"adopting from {backend.name}") as bar:
            for task in todo:
                with _saying_how_to_go_on(request.anno_key, created):
                    streams.add("baseline", _baseline(stores, run, backend, task, receipts[task.name], adoption))
                bar.advance(1)
        streams.finish()
        return _record(stores, run, backend, todo, receipts, streams), adoption


def _new_run(stores: Stores, request: Request, backend: CheckedBackend, schema: LabelSchema, size: int) -> Run:
    run_id, now = str(uuid.uuid4()), datetime.now(UTC)
    return Run(
        anno_key=request.anno_key,
        run_id=run_id,
        state=ADOPTING,
        backend=backend.name,
        schema=schema,
        options={**backend.config.stored(), MEDIA_FIELD_OPTION: request.media_field, ADOPTED_OPTION: size},
        view=[views.samples_of_run(run_id)],
        labels_version=stores.labels.version(),
        created=now,
        updated=now,
    )


def _free_key(stores: Stores, anno_key: str) -> None:
    """Raise ``RunExists`` if the key is in use. A run of which the adoption was interrupted is forgotten."""
    with suppress(RunNotFound):
        run = stores.runs.get_idle(anno_key)
        if run.state == ADOPTING:
            stores.runs.delete_by_key(anno_key)
    stores.runs.require_free(anno_key)


def _require_creatable(stores: Stores) -> None:
    """Raise ``StoreError`` if no samples can be added."""
    try:
        stores.samples.require_writable()
    except StoreError as e:
        raise StoreError(f"{e} Leave out create=True to adopt the images that are samples already.") from e


@contextmanager
def _saying_how_to_go_on(anno_key: str, created: int = 0) -> Iterator[None]:
    """Errors of the tool say what was done, and how to go on."""
    try:
        yield
    except BackendError as e:
        samples = f" {created} samples were added, and a repetition uses them." if created else ""
        again = f"Nothing was adopted; adopt again under the key {anno_key!r}.{samples}"
        raise type(e)(f"{e} {again}", e.status, e.detail, e.samples) from e


def _find(stores: Stores, request: Request, backend: CheckedBackend) -> list[FoundTask]:
    """The tasks in the tool. Raises ``RunError`` for one that another run holds."""
    if not request.tasks and request.project is None:
        raise InvalidOption("Say what to adopt: give tasks=[…], by id or name, or project=.")
    found = list(backend.find_tasks(request.tasks, request.project))
    if not found:
        raise InvalidOption(f"The project {request.project!r} has no task, so there is nothing to adopt.")
    keys = Counter(task.key for task in found)
    if twice := [key for key, count in keys.items() if count > 1]:
        raise InvalidOption(f"The task {twice[0]} is given twice; give each task once.")
    _require_unheld(stores, backend, keys.keys())
    return found


def _require_unheld(stores: Stores, backend: CheckedBackend, keys: Set[str], but: str = "") -> None:
    """Raise ``RunError`` if another run holds one of the tasks, be its adoption complete or not; ``but`` is a run id."""
    for run in stores.runs.all_readable():
        if run.backend != backend.name or run.run_id == but:
            continue
        for name, state in stores.runs.receipts(run).items():
            if held := sorted(backend.task_keys(Receipt(name, state)) & keys):
                raise RunError(
                    f"The run {run.anno_key!r} holds the task {held[0]} already, and two runs would take the same work; load that "
                    f"one, or forget it with delete_annotation_run({run.anno_key!r})."
                )


def _schema(stores: Stores, request: Request, found: Sequence[FoundTask]) -> LabelSchema:
    """The schema that was given; or that of the tasks, with the classes of all of them."""
    if request.label_schema != INFER:
        return resolve_schema(stores, {"label_schema": request.label_schema})
    fields: dict[str, dict[str, Any]] = {}
    for task in found:
        for name, spec in task.label_schema.items():
            known = fields.setdefault(name, dict(spec))
            if known["type"] != spec["type"]:
                raise InvalidSchema(
                    "",
                    [
                        f"The tasks have the field {name!r} as {known['type']} and as {spec['type']}; give a label_schema."
                    ],
                )
            for key, empty in (("classes", []), ("attributes", {})):
                known[key] = _union(known.get(key), spec.get(key)) or empty
    if not fields:
        raise InvalidSchema("", ["The tasks have no labels that a field could take; give a label_schema."])
    return resolve_schema(stores, {"label_schema": fields})


def _union(known: Any, more: Any) -> Any:
    """Both lists, or both dictionaries, without what is in the first already."""
    if isinstance(known or more, Mapping):
        return {**(more or {}), **(known or {})}
    return [*(known or ()), *(one for one in more or () if one not in (known or ()))]


def _baseline(
    stores: Stores, run: Run, backend: CheckedBackend, task: _Task, state: Mapping[str, Any], adoption: Adoption
) -> pa.Table:
    """The baseline of a task: the labels here that the tool has, too."""
    answer = backend.download(Receipt(task.name, state))
    ids = task.sample_ids.drop_null()
    there = filter_rows(answer.labels, pc.is_in(answer.labels["sample_id"], value_set=ids))
    here = stores.labels.of_samples(ids, field_condition(sorted(run.schema.fields)), run.labels_version)
    samples = stores.samples.rows(ids, ["sample_id", "width", "height"])
    found = pair(here, there.combine_chunks(), samples, run.schema)
    adoption.add(found)
    rows = found.baseline.append_column("task", pa.repeat(task.name, found.baseline.num_rows))
    return rows.select(_BASELINE.names).cast(_BASELINE)


def _record(
    stores: Stores, run: Run, backend: CheckedBackend, todo: Sequence[_Task],
    receipts: Mapping[str, Mapping[str, Any]], streams: Streams,
) -> Run:  # fmt: skip
    """Write the run into the ledger. It is complete once its state is ``sent``.

    The receipts come first, and only then is looked whether another run holds one of the tasks: of two adoptions at once, at least
    one sees the other, and takes itself back.
    """
    with stores.runs.reserve(run) as hold:
        stores.runs.add_tasks(run, [(task.name, task.sample_ids.drop_null()) for task in todo])
        stores.runs.add_receipts(run, {task.name: receipts[task.name] for task in todo})
        try:
            _require_unheld(stores, backend, {task.found.key for task in todo}, but=run.run_id)
        except RunError:
            stores.runs.delete(run)
            raise
        for batch in streams.batches("baseline"):
            stores.baseline.add(as_sent(pa.Table.from_batches([batch]), run).to_batches())
        hold.check()
        return stores.runs.end_sending(run)
