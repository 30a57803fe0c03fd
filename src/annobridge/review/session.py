"""A review: one plan, its samples by number, and the decisions about it."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ..bridge import decision_file
from ..core.review import legal
from ..core.review.decisions import OPEN, OURS, REFUSE, VALUE
from ..exceptions import AnnobridgeError
from . import columns, shapes
from .decision_log import DecisionLog
from .frames import Frames
from .images import NotShown, image_picture
from .load_job import LoadJob
from .pictures import Picture, PictureCache, placeholder
from .records import KnownChanges
from .reviewed import ReviewedPlan

_CACHE = 192 << 20  # bytes of encoded pictures
_TEXT = 20_000  # characters of a note, a value, a rule
_NAME = 200
_AT_ONCE = 32  # samples whose labels are read together
_LABELS = 512  # samples whose labels are kept as JSON
_REFUSED = (REFUSE, OURS)
_GONE = "The plan was made anew since this page was opened, and does not have that change any more; reload the page."


class Refused(Exception):
    """A request is not carried out; the message says why. ``status`` is that of HTTP."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


# Sends refused changes back to the annotators, given rows of ``CHANGES`` with ``note`` and ``by``, and a note for all; returns how
# many, and what is to be told.
SendBack = Callable[[pa.Table, str], tuple[int, str]]


class Session:
    """The state of a review that all its pages share."""

    def __init__(
        self, plan: ReviewedPlan, log: DecisionLog, dataset: str, reviewer: str, send_back: SendBack | None = None
    ) -> None:
        """Start a review with the decisions in ``log``. Raises ``InvalidOption`` for those that do not fit the plan."""
        self.log, self.job = log, LoadJob()
        self._dataset, self._reviewer, self._send_back = dataset, reviewer, send_back
        self._lock = threading.RLock()  # of all that follows from the plan
        self._reading = threading.Lock()  # one reads labels, while others decide
        self._sample_ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._samples: list[dict[str, Any]] = []
        self._pictures, self._frames = PictureCache(_CACHE), Frames()
        self._unreadable: dict[int, str] = {}
        self.unknown: str | None = None  # a sentence about decisions whose changes are not there
        self._use(plan)

    @property
    def plan(self) -> ReviewedPlan:
        """The plan that is reviewed now."""
        return self._plan

    @property
    def unreadable(self) -> Mapping[int, str]:
        """Samples that were asked for and could not be shown, by number, with the reason."""
        return dict(self._unreadable)

    # --- the plan ---------------------------------------------------------------------------------------------------

    def _use(self, plan: ReviewedPlan) -> None:
        """Review another plan. A sample keeps its number, so that an open page shows the right picture."""
        changes, samples, known = plan.changes, columns.complete_samples(plan), KnownChanges(plan)
        with self._lock:
            seq = self.log.refresh()
            decisions = decision_file.table(self.log.rows[:seq])
            plan.add_decisions(decisions)
            self._plan, self._given, self._known = plan, seq, known
            self.plan_id = secrets.token_hex(8)  # a page that shows another plan has to be reloaded
            self._number(samples)
            numbers = pa.array([self._numbers[i] for i in changes["sample_id"].to_pylist()], pa.int32())
            self._columns = msgspec.json.encode(columns.change_columns(changes, numbers))
            self._labels: OrderedDict[int, bytes] = OrderedDict()
            self.unknown = decision_file.unknown_note(decisions, changes["change_id"], str(self.log.path))

    def _number(self, samples: pa.Table) -> None:
        new = [at for at, i in enumerate(samples["sample_id"].to_pylist()) if i not in self._numbers]
        rows = samples.take(pa.array(new, pa.int64()))
        for sample_id in rows["sample_id"].to_pylist():
            self._numbers[sample_id] = len(self._sample_ids)
            self._sample_ids.append(sample_id)
        self._samples += columns.sample_objects(rows)
        self._media = self._plan.media(pa.array(self._sample_ids, pa.string()))

    def plan_json(self) -> bytes:
        """The answer to ``GET /api/plan``."""
        with self._lock:
            seq, records = self.records(0)
            about = columns.run_columns(self._plan.run, self._dataset, self._reviewer)
            return msgspec.json.encode(
                about
                | {
                    "can_load": True,
                    "can_send_back": self._send_back is not None,
                    "notes": self._notes(),
                    "samples": self._samples,
                    "changes": msgspec.Raw(self._columns),
                    "decisions": [*self._known.prior, *records],
                    "seq": seq,
                    "plan_id": self.plan_id,
                }
            )

    def _notes(self) -> list[str]:
        notes = [*self._plan.notes, *self.log.notes]
        if count := self._plan.not_allowed:
            notes.append(
                f"{count:,} change{'s' * (count > 1)} in the tool cannot be taken, whatever is decided: the schema does not allow "
                "that, or it cannot be stored. The plan lists what is refused, with the reasons."
            )
        if self.unknown:
            notes.append(self.unknown)
        if self._unreadable:
            reason = next(iter(self._unreadable.values()))
            notes.append(f"{len(self._unreadable):,} of the pictures asked for cannot be shown. The first: {reason}")
        return notes

    # --- decisions --------------------------------------------------------------------------------------------------

    def records(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        """The decisions in the file behind number ``after`` about changes of the plan, and the number of the last one."""
        with self._lock:
            seq = self.log.refresh()
            return seq, self._known.records(enumerate(self.log.rows[after:seq], after + 1))

    def decide(self, by: Any, decisions: Sequence[Mapping[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
        """Store decisions, all or none: they are on the disk before this returns. Raises ``Refused`` and ``InvalidOption``."""
        at = datetime.now(UTC)
        with self._lock:
            if self.job.is_running:
                raise Refused("A load is going on; decide when it is done.", 409)
            rows = [self._row(decision, _text(by, "by", _NAME) or self._reviewer, at) for decision in decisions]
            before = len(self.log.rows)
            self.log.append(rows)
            return self.records(before)

    def _row(self, decision: Mapping[str, Any], by: str, at: datetime) -> dict[str, Any]:
        """A decision of a request as a row of ``DECISIONS``."""
        change_id, verdict = (_text(decision.get(name), name, _NAME) for name in ("change_id", "verdict"))
        place = self._known.position.get(change_id or "")
        if change_id is None or place is None:
            raise Refused(_GONE, 409)
        if verdict not in (*self._known.choices[place], OPEN):
            shown = ", ".join([*self._known.choices[place], OPEN])
            raise Refused(f"The verdict {verdict!r} cannot be given to this change; legal are {shown}.")
        bound_to = _text(decision.get("bound_to"), "bound_to", _NAME)
        if bound_to != self._known.bound_to[place]:
            raise Refused("The change is not the same any more as the one that was looked at; reload the page.", 409)
        value = _text(decision.get("value"), "value", _TEXT)
        if (verdict == VALUE) != (value is not None):
            raise Refused("A value (JSON text) is given with the verdict 'value', and with no other.")
        if value is not None:
            self._check_value(place, value)
        return {
            "run_id": self._plan.run.run_id, "change_id": change_id, "verdict": verdict, "value": value, "by": by, "at": at,
            "note": _text(decision.get("note"), "note", _TEXT) or "", "rule": _text(decision.get("rule"), "rule", _TEXT),
            "bound_to": bound_to,
        }  # fmt: skip

    def _check_value(self, place: int, value: str) -> None:
        about = self._plan.changes.slice(place, 1)
        texts = pa.array([VALUE]), pa.array([value])
        if problem := legal.problems(about, *texts, self._plan.run.schema)[0]:
            raise Refused(problem)

    def _give(self) -> None:
        """Give the plan those decisions of the file that it does not have."""
        seq = self.log.refresh()
        if new := self.log.rows[self._given : seq]:
            self._plan.add_decisions(decision_file.table(new))
        self._given = seq

    @property
    def decided(self) -> int:
        """How many changes are decided, by the decisions in the file and those that the plan had."""
        with self._lock:
            self._give()
            return int(pc.sum(pc.equal(self._plan.states()["state"], "decided")).as_py() or 0)

    # --- what is looked at ------------------------------------------------------------------------------------------

    def labels(self, number: int) -> bytes:
        """The answer to ``GET /api/samples/<number>``. Raises ``Refused``."""
        self._require(number)
        with self._reading:
            with self._lock:
                plan, labels = self._plan, self._labels
            if number not in labels:
                some = [n for n in range(number, min(number + _AT_ONCE, len(self._sample_ids))) if n not in labels]
                found = dict(shapes.by_sample(plan.shapes(pa.array([self._sample_ids[n] for n in some], pa.string()))))
                lines = shapes.edges(plan.run.schema)
                for n in some:
                    rows = found.get(self._sample_ids[n])
                    labels[n] = msgspec.json.encode({"labels": [] if rows is None else shapes.to_objects(rows, lines)})
                while len(labels) > _LABELS:
                    labels.popitem(last=False)  # the oldest, which is none of these
            return labels[number]

    def picture(self, number: int, frame: int | None, width: int) -> Picture:
        """The image of a sample, or a frame of its video, or a placeholder that says why there is none. Raises ``Refused``."""
        self._require(number)
        frame = (frame or 1) if self._samples[number]["media"] == "video" else None
        return self._pictures.get((number, frame, width), lambda: self._make(number, frame, width))

    def _make(self, number: int, frame: int | None, width: int) -> Picture:
        sample = self._samples[number]
        try:
            shown = self._shown(number, frame, width)
        except NotShown as error:
            self._unreadable[number] = f"{sample['name']}: {error}"
            return placeholder(f"{sample['name']}: {error}", sample["width"], sample["height"])
        self._unreadable.pop(number, None)  # it may have been mended
        return shown

    def _shown(self, number: int, frame: int | None, width: int) -> Picture:
        sample_id = self._sample_ids[number]
        if frame is not None:
            return self._frames.picture(self._media, sample_id, frame, width)
        return image_picture(self._media, sample_id, width)

    def _require(self, number: int) -> None:
        if not 0 <= number < len(self._sample_ids):
            raise Refused(f"There is no sample {number}; there are {len(self._sample_ids)}, from 0.", 404)

    # --- loads ------------------------------------------------------------------------------------------------------

    def load(self, undecided: str, force: bool) -> None:
        """Start a load. Raises ``Refused`` where it cannot be."""
        with self._lock:
            self._give()
            plan = self._plan
            if not self.job.start(lambda progress: plan.load(undecided, force, progress), self._after_load):
                raise Refused("A load is going on already.", 409)

    def _after_load(self) -> str | None:
        try:
            self._use(self._plan.replan())
        except AnnobridgeError as error:
            return f"The plan could not be made anew: {error}"
        return None

    def send_back(self, change_ids: Sequence[str], note: str) -> tuple[int, str]:
        """Send refused changes back. Raises ``Refused``, and the errors of the tool."""
        if self._send_back is None:
            raise Refused("This review cannot send changes back to the tool.")
        note = _text(note, "note", _TEXT) or ""
        with self._lock:
            if any(i not in self._known.position for i in change_ids):
                raise Refused(_GONE, 409)
            self._give()
            at = pa.array([self._known.position[i] for i in change_ids], pa.int64())
            states, chosen = self._plan.states().take(at), self._plan.changes.take(at)
            if others := sum(state not in _REFUSED for state in states["verdict"].to_pylist()):
                raise Refused(
                    f"{others:,} of these changes {'is' if others == 1 else 'are'} not refused (any more), so nothing was sent; "
                    "look at them again.", 409
                )  # fmt: skip
        chosen = chosen.append_column("note", states["note"]).append_column("by", states["by"])
        return self._send_back(chosen, note)


def _text(value: Any, name: str, most: int) -> str | None:
    """A text of a request; ``None`` stays. Raises ``Refused``."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most:
        raise Refused(f"{name!r} should be a text of up to {most:,} characters.")
    return decision_file.clean(value)
