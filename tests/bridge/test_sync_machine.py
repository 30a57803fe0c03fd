"""The bridge against a model of plain dictionaries: edit here, edit there, crash, load with any policy, undo.

The model knows three sides of every label and the rules of DESIGN in a dozen lines; the machine checks after every
step that the dataset holds what the model says, and that whatever was not taken is listed in the report. Two runs have
the same labels; each may load into its field or into a field of its own beside it.
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.core.ids import derive
from annobridge.core.schema import FLAGS
from annobridge.store import runs as ledger

CLASSES = ["car", "person", "dog"]
VALUES = {
    "label": st.sampled_from(CLASSES),
    "spatial": st.integers(0, 8).map(lambda n: (n / 10, 0.1, 0.1, 0.1)),
    "attributes.free": st.sampled_from([None, 1, 2, 3]),
    "attributes.fixed": st.sampled_from([None, "x", "y"]),
    "attributes.own": st.sampled_from([None, "mine"]),  # outside the schema
    "tags": st.sampled_from([(), ("checked",)]),
}
WHOLE = tuple(VALUES)  # of a label: deleting one that differs from what was sent, in whatever, is a conflict
COMPONENTS = WHOLE[:-1]  # that are merged
SENT = COMPONENTS[:-1]  # that a tool is asked about
ATTRIBUTES = [name for name in SENT if name.startswith("attributes.")]
FLAG_OF = {"label": "allow_label_edits", "spatial": "allow_spatial_edits"}
OPEN = dict.fromkeys(FLAGS, True)
SAMPLES = ["s0", "s1", "s2"]
RUNS = ["first", "second"]
Label = dict[str, Any]
Labels = dict[str, Label]


def values() -> st.SearchStrategy[Label]:
    return st.fixed_dictionaries(VALUES)


def row_of(label: Label) -> dict[str, Any]:
    attributes = {n.removeprefix("attributes."): label[n] for n in COMPONENTS if n.startswith("attributes.")}
    return ab.Detection(label["label"], label["spatial"], attributes=attributes, tags=list(label["tags"])).row()


def label_of(row: dict[str, Any]) -> Label:
    found = {f"attributes.{a['name']}": json.loads(a["value"]) for a in row["attributes"] or []}
    more = {"label": row["label"], "spatial": tuple(row["bounding_box"]), "tags": tuple(row["tags"] or ())}
    return {n: found.get(n) for n in COMPONENTS} | more


def bare(label: Label) -> Label:
    """A label as the tool has it."""
    return {**label, "attributes.own": None, "tags": ()}


def one_of(data: st.DataObject, things: Iterable[Any]) -> Any:
    """One by its place: ids differ from one try to the next, and the same draw has to find the same label again."""
    found = list(things)
    return found[data.draw(st.integers(0, len(found) - 1))]


class Killed(BaseException):
    """The process ends here."""


STEPS = [
    ("annobridge.store.baseline.Baseline.put_loaded", "before"),
    ("annobridge.store.baseline.Baseline.put_loaded", "after"),
    ("annobridge.store.labels.Labels.commit", "before"),
    ("annobridge.store.labels.Labels.commit", "after"),
    ("annobridge.store.runs.Runs.end", "before"),
]


@dataclass
class Write:
    """What a load did to one label."""

    action: str
    field: str
    name: str
    old: Label | None
    new: Label | None
    components: tuple[str, ...] = WHOLE


@dataclass
class Outcome:
    """What a merge comes to: base and ours anew, what is written, and how much is listed."""

    base: Labels
    ours: Labels
    writes: list[Write] = field(default_factory=list)
    refused: int = 0
    conflicts: int = 0

    def put(self, action: str, where: str, name: str, new: Label | None, components: Any = WHOLE) -> None:
        self.writes.append(Write(action, where, name, self.ours.get(name), new, tuple(components)))
        if new is None:
            del self.ours[name]
        else:
            self.ours[name] = new


@dataclass
class Past:
    """A load that was done, the sides of its run before it, and when it was done and undone."""

    writes: list[Write]
    base: Labels
    copies: Labels
    made: int
    undone: int | None = None


@dataclass
class Run:
    """The sides of one run. ``copies`` is the base of what was carried into the field beside."""

    key: str
    run_id: str
    base: Labels
    theirs: Labels
    copies: Labels = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)  # samples that the tool does not return
    loads: list[Past] = field(default_factory=list)

    @property
    def beside(self) -> str:
        return f"beside_{self.key}"


def merged(
    base: Labels, theirs: Labels, ours: Labels, seen: Callable[[str], bool], where: str, flags: Mapping[str, bool],
    fixed: bool, parts: tuple[str, ...], policy: str,
) -> Outcome:  # fmt: skip
    """The rules. ``parts`` are the components that both sides know of."""
    out = Outcome(dict(base), dict(ours))
    for name in {**base, **theirs}:
        b, t, o = base.get(name), theirs.get(name), ours.get(name)
        if not seen(name):
            continue
        if t is None:
            assert b is not None
            _deleted(out, name, b, o, where, flags, policy)
        elif b is None:
            _added(out, name, t, o, where, flags, fixed, parts, policy)
        else:
            _edited(out, name, b, t, o, where, flags, fixed, parts, policy)
    return out


def _added(
    out: Outcome, name: str, t: Label, o: Label | None, where: str, flags: Mapping[str, bool], fixed: bool,
    parts: tuple[str, ...], policy: str,
) -> None:  # fmt: skip
    if not flags["allow_additions"]:
        out.refused += 1
        return
    taken = dict(t)
    if fixed and taken["attributes.fixed"] is not None:
        out.refused += 1
        taken["attributes.fixed"] = None
    apart = [] if o is None else [c for c in parts if o[c] != taken[c]]
    out.conflicts += bool(apart)
    if apart and policy == "ours":
        return
    out.base[name] = taken
    if o is None:
        out.put("add", where, name, taken)
    elif apart:
        out.put("edit", where, name, {**o, **{c: taken[c] for c in apart}}, apart)


def _deleted(
    out: Outcome, name: str, b: Label, o: Label | None, where: str, flags: Mapping[str, bool], policy: str
) -> None:
    if not flags["allow_deletions"]:
        out.refused += 1
        return
    if o is not None and o != b:
        out.conflicts += 1
        if policy == "ours":
            return
    del out.base[name]
    if o is not None:
        out.put("delete", where, name, None)


def _edited(
    out: Outcome, name: str, b: Label, t: Label, o: Label | None, where: str, flags: Mapping[str, bool], fixed: bool,
    parts: tuple[str, ...], policy: str,
) -> None:  # fmt: skip
    accepted: Label = {}
    for c in parts:
        if t[c] == b[c]:
            continue
        if parts is SENT and c in ATTRIBUTES and t["label"] != b["label"] and "label" not in accepted:
            out.refused += 1  # it came with a class that is not taken over
            continue
        allowed = flags[FLAG_OF[c]] if c in FLAG_OF else not (c == "attributes.fixed" and fixed)
        if not allowed:
            out.refused += 1
            continue
        conflict = o is not None and o[c] != b[c] and o[c] != t[c]
        out.conflicts += conflict
        if not conflict or policy == "theirs":
            accepted[c] = t[c]
    if not accepted:
        return
    if o is None:  # deleted here
        out.conflicts += 1
        if policy == "theirs":
            out.base[name] = {**b, **accepted}
            out.put("add", where, name, out.base[name])
        return
    out.base[name] = {**b, **accepted}
    if written := [c for c in accepted if o[c] != accepted[c]]:
        out.put("edit", where, name, {**o, **accepted}, written)


class Sync(RuleBasedStateMachine):
    @initialize(
        flags=st.fixed_dictionaries({f: st.booleans() for f in FLAGS}),
        fixed=st.booleans(),
        start=st.lists(st.tuples(st.sampled_from(SAMPLES), values()), min_size=1, max_size=6),
    )
    def begin(self, flags: dict[str, bool], fixed: bool, start: list[tuple[str, Label]]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.url = f"memory://{uuid.uuid4()}"
        self.flags, self.fixed = flags, fixed
        self.ds = ab.create_dataset(self.folder / "d")
        self.ds.add_samples([ab.Sample(f"{s}.jpg", sample_id=s) for s in SAMPLES])
        self.ours: dict[str, Labels] = {"f": {}, **{f"beside_{key}": {} for key in RUNS}}
        self.sample: dict[str, str] = {}
        self.time = self.made = 0
        self.runs: dict[str, Run] = {}
        for number, (sample, label) in enumerate(start):
            self.add_here(sample, label, f"l{number}")
        self.send()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
            SERVERS.pop(self.url, None)

    @precondition(lambda self: len(self.runs) < len(RUNS))
    @rule()
    def send(self) -> None:
        key = RUNS[len(self.runs)]
        self.ds.annotate(
            key, backend="memory", url=self.url, task_size=2, progress=False,
            label_schema={"f": {"type": "detections", "classes": CLASSES, **self.flags, "attributes": {
                "free": {"type": "int"}, "fixed": {"type": "text", "read_only": self.fixed}}}},
        )  # fmt: skip
        sent = copy.deepcopy(self.ours["f"])
        there = {name: bare(label) for name, label in sent.items()}
        self.runs[key] = Run(key, self.ds.stores.runs.get(key).run_id, sent, there)

    def _run(self, data: st.DataObject) -> Run:
        return self.runs[one_of(data, self.runs)]

    # What people do here

    def add_here(self, sample: str, label: Label, name: str) -> None:
        self.ds.add_labels("f", [{**row_of(label), "sample_id": sample, "label_id": name}])
        self.ours["f"][name], self.sample[name] = label, sample

    def _here(self) -> list[tuple[str, str]]:
        return [(where, name) for where, labels in self.ours.items() for name in labels]

    def _new(self, letter: str) -> str:
        self.made += 1
        return f"{letter}{self.made}"

    @rule(sample=st.sampled_from(SAMPLES), label=values())
    def create_here(self, sample: str, label: Label) -> None:
        self.add_here(sample, label, self._new("h"))

    @precondition(lambda self: self._here())
    @rule(data=st.data(), component=st.sampled_from(WHOLE))
    def edit_here(self, data: st.DataObject, component: str) -> None:
        where, name = one_of(data, self._here())
        label = {**self.ours[where][name], component: data.draw(VALUES[component])}
        row = row_of(label)
        self.ds.set_labels([{"label_id": name, **{c: row[c] for c in ("label", "bounding_box", "attributes", "tags")}}])
        self.ours[where][name] = label

    @precondition(lambda self: self._here())
    @rule(data=st.data())
    def delete_here(self, data: st.DataObject) -> None:
        where, name = one_of(data, self._here())
        self.ds.delete_labels([name])
        del self.ours[where][name]

    # What people do in the tool

    def _tool(self, run: Run, edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        server = SERVERS[self.url]
        for task, table in server.labels.items():
            if task.startswith(f"{run.key}-"):
                server.labels[task] = pa.Table.from_pylist(edit(table.to_pylist()), table.schema)

    @rule(data=st.data(), component=st.sampled_from(SENT))
    def edit_there(self, data: st.DataObject, component: str) -> None:
        run = self._run(data)
        if not run.theirs:
            return
        name = one_of(data, run.theirs)
        run.theirs[name] = {**run.theirs[name], component: data.draw(VALUES[component])}
        new = row_of(run.theirs[name])
        self._tool(run, lambda rows: [{**r, **new} if self._is(r, name) else r for r in rows])

    def _is(self, row: dict[str, Any], name: str) -> bool:
        return bool(row["label_id"] == name or row["remote_id"] == name)

    @rule(data=st.data())
    def delete_there(self, data: st.DataObject) -> None:
        run = self._run(data)
        if not run.theirs:
            return
        name = one_of(data, run.theirs)
        del run.theirs[name]
        self._tool(run, lambda rows: [r for r in rows if not self._is(r, name)])

    @rule(data=st.data(), sample=st.sampled_from(SAMPLES), label=values())
    def create_there(self, data: st.DataObject, sample: str, label: Label) -> None:
        run, remote = self._run(data), self._new("t")
        name = derive(run.run_id, [f"{remote}\n{sample}"])[0].as_py()
        run.theirs[name], self.sample[name] = bare(label), sample
        server = SERVERS[self.url]
        task = sorted(t for t in server.labels if t.startswith(f"{run.key}-"))[SAMPLES.index(sample) // 2]
        new = {**row_of(bare(label)), "sample_id": sample, "remote_id": remote, "label_id": name}
        table = server.labels[task]
        server.labels[task] = pa.Table.from_pylist([*table.to_pylist(), new], table.schema)

    @rule(data=st.data(), sample=st.sampled_from(SAMPLES))
    def hide_or_show(self, data: st.DataObject, sample: str) -> None:
        """The tool does not answer for a sample: its page failed, or its frame was removed."""
        run, server = self._run(data), SERVERS[self.url]
        run.hidden ^= {sample}
        for number, task in enumerate(sorted(t for t in server.samples if t.startswith(f"{run.key}-"))):
            left = [s for s in SAMPLES[2 * number : 2 * number + 2] if s not in run.hidden]
            server.samples[task] = pa.array(left, pa.string())

    # Loads

    def _expected(self, run: Run, policy: str, beside: bool) -> tuple[Outcome, Outcome]:
        """What a load does to the field itself, and to the field beside it."""

        def seen(name: str) -> bool:
            return self.sample[name] not in run.hidden

        here = merged(run.base, run.theirs, self.ours["f"], seen, "f", self.flags, self.fixed, SENT, policy)
        there = Outcome(run.copies, self.ours[run.beside])
        if beside:
            known = {*run.base, *(w.name for w in here.writes)}
            result = {n: label for n, label in here.ours.items() if n in known and seen(n)}
            copies = {derive(run.run_id, [f"{run.beside}\n{n}"])[0].as_py(): n for n in {**run.base, **run.theirs}}
            self.sample |= {copied: self.sample[n] for copied, n in copies.items()}
            theirs = {copied: result[n] for copied, n in copies.items() if n in result}
            there = merged(run.copies, theirs, self.ours[run.beside], seen, run.beside, OPEN, False, COMPONENTS, policy)
            here = Outcome(run.base, self.ours["f"], [], here.refused, here.conflicts)
        return here, there

    def _options(self, run: Run, policy: str, beside: bool) -> dict[str, Any]:
        dest = {"dest_field": run.beside} if beside else {}
        return {"conflicts": policy, "force": True, "progress": False, **dest}

    @rule(data=st.data(), policy=st.sampled_from(["theirs", "ours", "fail"]), beside=st.booleans())
    def load(self, data: st.DataObject, policy: str, beside: bool) -> None:
        run = self._run(data)
        taken = "theirs" if policy == "fail" else policy
        want = self._expected(run, taken, beside)
        before = self.ds.stores.labels.version()
        conflicts, refused = (sum(getattr(w, n) for w in want) for n in ("conflicts", "refused"))
        changes = sum(len(w.writes) for w in want)
        if policy == "fail" and conflicts:
            try:
                self.ds.load_annotations(run.key, **self._options(run, "fail", beside))
            except ab.Conflict:
                assert self.ds.stores.labels.version() == before
                return
            raise AssertionError("the conflict was not reported")
        report = self.ds.load_annotations(run.key, **self._options(run, policy, beside))
        assert (report.refused.num_rows, report.conflicts.num_rows) == (refused, conflicts)
        assert report.changes == changes
        assert self.ds.stores.labels.version() == before + bool(changes)
        self._loaded(run, want)
        again = self.ds.load_annotations(run.key, **self._options(run, taken, beside))
        assert again.changes == 0
        assert again.version is None

    def _loaded(self, run: Run, want: tuple[Outcome, Outcome]) -> None:
        here, there = want
        writes = [*here.writes, *there.writes]
        if writes or here.base != run.base or there.base != run.copies:
            self.time += 1
            run.loads.append(Past(writes, run.base, run.copies, self.time))
        self.ours["f"], run.base = here.ours, here.base
        self.ours[run.beside], run.copies = there.ours, there.base

    @rule(data=st.data(), policy=st.sampled_from(["theirs", "ours"]), step=st.sampled_from(STEPS), beside=st.booleans())
    def load_killed(self, data: st.DataObject, policy: str, step: tuple[str, str], beside: bool) -> None:
        """A load that ends at some step leaves all or nothing, and the next call to the run finds out which."""
        run = self._run(data)
        want = self._expected(run, policy, beside)
        path, when = step
        module, owner, name = path.rsplit(".", 2)
        holder = getattr(__import__(module, fromlist=[owner]), owner)
        real, give_up = getattr(holder, name), ledger.Runs.give_up

        def killed(*args: Any, **kwargs: Any) -> Any:
            if when == "after":
                real(*args, **kwargs)
            raise Killed

        committed = False
        try:
            setattr(holder, name, killed)
            ledger.Runs.give_up = lambda *_: None  # type: ignore[method-assign]
            try:
                self.ds.load_annotations(run.key, **self._options(run, policy, beside))
            except Killed:
                pass
            else:
                committed = True  # the load had no such step
            setattr(holder, name, real)
            self.ds.get_annotation_info(run.key)
        finally:
            setattr(holder, name, real)
            ledger.Runs.give_up = give_up  # type: ignore[method-assign]
        wrote = committed or ((path.endswith("commit") and when == "after") or path.endswith("end"))
        if wrote and (any(w.writes for w in want) or committed):
            self._loaded(run, want)

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        run = self._run(data)
        done = [past for past in run.loads if past.undone is None]
        if not done:
            return
        self.time += 1
        past = done[-1]
        past.undone = self.time
        self.ds.undo_annotations(run.key)
        for write in past.writes:
            self._take_back(self._since(run, past, write))
        run.base, run.copies = past.base, past.copies

    def _since(self, run: Run, past: Past, write: Write) -> Write:
        """An addition that put back what another run had deleted, and has given back since, is an edit of that."""
        others = [p for other in self.runs.values() if other is not run for p in other.loads]
        for other in sorted(others, key=lambda p: -p.made):
            if write.action == "add" and other.undone and other.made < past.made < other.undone:
                for w in other.writes:
                    if (w.action, w.name) == ("delete", write.name):
                        return Write("edit", write.field, write.name, w.old, write.new)
        return write

    def _take_back(self, write: Write) -> None:
        ours, (name, old, new) = self.ours[write.field], (write.name, write.old, write.new)
        now = ours.get(name)
        if write.action == "add" and now == new:
            del ours[name]
        elif write.action == "delete" and now is None:
            assert old is not None
            ours[name] = old
        elif write.action == "edit" and now is not None:
            assert old is not None
            assert new is not None
            ours[name] = {**now, **{c: old[c] for c in write.components if now[c] == new[c]}}

    @invariant()
    def the_dataset_is_what_the_model_says(self) -> None:
        if hasattr(self, "ds"):
            rows = self.ds.labels().to_pylist()
            assert len(rows) == len({r["label_id"] for r in rows})
            for where, labels in self.ours.items():
                assert {r["label_id"]: label_of(r) for r in rows if r["field"] == where} == labels
            assert all(r["sample_id"] == self.sample[r["label_id"]] for r in rows)


TestSync = Sync.TestCase
TestSync.settings = settings(
    max_examples=20, stateful_step_count=22, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
