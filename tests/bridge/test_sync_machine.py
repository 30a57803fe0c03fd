"""The bridge against a model of plain dictionaries: edit here, edit there, crash, load with any policy, undo.

The model knows three sides of every label and the rules of DESIGN in a dozen lines; the machine checks after every
step that the dataset holds what the model says, and that whatever was not taken is listed in the report.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import annobridge as ab
from annobridge import load as loading
from annobridge.backend.memory import SERVERS
from annobridge.core.schema import FLAGS
from annobridge.store import runs as ledger

CLASSES = ["car", "person", "dog"]
VALUES = {
    "label": st.sampled_from(CLASSES),
    "spatial": st.integers(0, 8).map(lambda n: (n / 10, 0.1, 0.1, 0.1)),
    "attributes.free": st.sampled_from([None, 1, 2, 3]),
    "attributes.fixed": st.sampled_from([None, "x", "y"]),
}
COMPONENTS = tuple(VALUES)
FLAG_OF = {"label": "allow_label_edits", "spatial": "allow_spatial_edits"}
SAMPLES = ["s0", "s1", "s2"]
Label = dict[str, Any]


def values() -> st.SearchStrategy[Label]:
    return st.fixed_dictionaries(VALUES)


def row_of(label: Label) -> dict[str, Any]:
    free = {"free": label["attributes.free"], "fixed": label["attributes.fixed"]}
    return ab.Detection(label["label"], label["spatial"], attributes=free).row()


def label_of(row: dict[str, Any]) -> Label:
    import json

    found = {a["name"]: json.loads(a["value"]) for a in row["attributes"] or []}
    return {
        "label": row["label"],
        "spatial": tuple(row["bounding_box"]),
        "attributes.free": found.get("free"),
        "attributes.fixed": found.get("fixed"),
    }


class Killed(BaseException):
    """The process ends here."""


STEPS = [
    ("annobridge.store.baseline.Baseline.put_loaded", "before"),
    ("annobridge.store.baseline.Baseline.put_loaded", "after"),
    ("annobridge.store.labels.Labels.commit", "before"),
    ("annobridge.store.labels.Labels.commit", "after"),
    ("annobridge.store.runs.Runs.end", "before"),
]


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
        self.ours: dict[str, Label] = {}
        self.sample: dict[str, str] = {}
        for number, (sample, label) in enumerate(start):
            self.add_here(sample, label, f"l{number}")
        self.ds.annotate(
            "run", backend="memory", url=self.url, task_size=2, progress=False,
            label_schema={"f": {"type": "detections", "classes": CLASSES, **flags, "attributes": {
                "free": {"type": "int"}, "fixed": {"type": "text", "read_only": fixed}}}},
        )  # fmt: skip
        self.base = copy.deepcopy(self.ours)
        self.theirs = copy.deepcopy(self.ours)
        self.hidden: set[str] = set()  # samples that the tool does not return
        self.undoable: list[tuple[dict[str, Label], list[tuple[str, str, Label | None, Label | None, list[str]]]]] = []
        self.names: dict[str, str] = {}  # id that the model made -> id that the bridge derived

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
            SERVERS.pop(self.url, None)

    # What people do here

    def add_here(self, sample: str, label: Label, name: str) -> None:
        self.ds.add_labels("f", [{**row_of(label), "sample_id": sample, "label_id": name}])
        self.ours[name], self.sample[name] = label, sample

    @rule(data=st.data(), sample=st.sampled_from(SAMPLES), label=values())
    def create_here(self, data: st.DataObject, sample: str, label: Label) -> None:
        self.add_here(sample, label, f"h{uuid.uuid4()}")

    @precondition(lambda self: self.ours)
    @rule(data=st.data(), component=st.sampled_from(COMPONENTS))
    def edit_here(self, data: st.DataObject, component: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.ours)))
        label = {**self.ours[name], component: data.draw(VALUES[component])}
        row = row_of(label)
        self.ds.set_labels([{"label_id": name, **{c: row[c] for c in ("label", "bounding_box", "attributes")}}])
        self.ours[name] = label

    @precondition(lambda self: self.ours)
    @rule(data=st.data())
    def delete_here(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.ours)))
        self.ds.delete_labels([name])
        del self.ours[name]

    # What people do in the tool

    def _tool(self, edit: Any) -> None:
        server = SERVERS[self.url]
        for task, table in server.labels.items():
            rows = edit(task, table.to_pylist())
            server.labels[task] = pa.Table.from_pylist(rows, table.schema)

    def _remote(self, name: str) -> str:
        return self.names.get(name, name)

    @precondition(lambda self: self.theirs)
    @rule(data=st.data(), component=st.sampled_from(COMPONENTS))
    def edit_there(self, data: st.DataObject, component: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.theirs)))
        self.theirs[name] = {**self.theirs[name], component: data.draw(VALUES[component])}
        new = row_of(self.theirs[name])

        def edit(_: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{**r, **new} if self._is(r, name) else r for r in rows]

        self._tool(edit)

    def _is(self, row: dict[str, Any], name: str) -> bool:
        return bool(row["label_id"] == name or row["remote_id"] == name)

    @precondition(lambda self: self.theirs)
    @rule(data=st.data())
    def delete_there(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.theirs)))
        del self.theirs[name]
        self._tool(lambda _, rows: [r for r in rows if not self._is(r, name)])

    @rule(sample=st.sampled_from(SAMPLES), label=values())
    def create_there(self, sample: str, label: Label) -> None:
        name = f"t{uuid.uuid4()}"
        self.theirs[name], self.sample[name] = label, sample
        server = SERVERS[self.url]
        task = next(t for t, samples in server.samples.items() if sample in [*samples.to_pylist(), *self._hidden_of(t)])
        new = {**row_of(label), "sample_id": sample, "remote_id": name}
        table = server.labels[task]
        server.labels[task] = pa.Table.from_pylist([*table.to_pylist(), new], table.schema)

    def _hidden_of(self, task: str) -> list[str]:
        number = int(task.rsplit("-", 1)[1])
        return [s for s in SAMPLES[2 * number : 2 * number + 2] if s in self.hidden]

    @rule(sample=st.sampled_from(SAMPLES))
    def hide_or_show(self, sample: str) -> None:
        """The tool does not answer for a sample: its page failed, or its frame was removed."""
        self.hidden ^= {sample}
        server = SERVERS[self.url]
        for number, task in enumerate(sorted(server.samples)):
            left = [s for s in SAMPLES[2 * number : 2 * number + 2] if s not in self.hidden]
            server.samples[task] = pa.array(left, pa.string())

    # Loads

    def _expected(self, policy: str) -> dict[str, Any]:
        """What a load comes to: new ours, new base, writes for undo, and how much is listed."""
        ours, base = copy.deepcopy(self.ours), copy.deepcopy(self.base)
        writes: list[tuple[str, str, Label | None, Label | None, list[str]]] = []
        refused = conflicts = 0
        for name in {**self.base, **self.theirs}:
            b, t, o = self.base.get(name), self.theirs.get(name), self.ours.get(name)
            if self.sample[name] in self.hidden:
                continue
            if b is None and t is not None:  # new there
                if not self.flags["allow_additions"]:
                    refused += 1
                    continue
                taken = dict(t)
                if self.fixed and taken["attributes.fixed"] is not None:
                    refused += 1
                    taken["attributes.fixed"] = None
                if o is None:
                    ours[name] = base[name] = taken
                    writes.append(("add", name, None, taken, []))
                elif o == taken:
                    base[name] = taken
                else:
                    conflicts += 1
                    if policy == "theirs":
                        ours[name] = base[name] = taken
                        writes.append(("edit", name, o, taken, list(COMPONENTS)))
            elif b is not None and t is None:  # deleted there
                if not self.flags["allow_deletions"]:
                    refused += 1
                    continue
                if o is not None and o != b:
                    conflicts += 1
                    if policy == "ours":
                        continue
                base.pop(name)
                if o is not None:
                    del ours[name]
                    writes.append(("delete", name, o, None, []))
            elif b is not None and t is not None:
                accepted = {}
                for c in COMPONENTS:
                    if t[c] == b[c]:
                        continue
                    allowed = self.flags[FLAG_OF[c]] if c in FLAG_OF else not (c == "attributes.fixed" and self.fixed)
                    if not allowed:
                        refused += 1
                    elif o is not None and o[c] != b[c] and o[c] != t[c]:
                        conflicts += 1
                        if policy == "theirs":
                            accepted[c] = t[c]
                    else:
                        accepted[c] = t[c]
                if not accepted:
                    continue
                if o is None:  # deleted here
                    conflicts += 1
                    if policy == "theirs":
                        ours[name] = base[name] = {**b, **accepted}
                        writes.append(("add", name, None, ours[name], []))
                    continue
                base[name] = {**b, **accepted}
                written = [c for c in accepted if o[c] != accepted[c]]
                if written:
                    ours[name] = {**o, **accepted}
                    writes.append(("edit", name, o, ours[name], written))
        return {"ours": ours, "base": base, "writes": writes, "refused": refused, "conflicts": conflicts}

    @rule(policy=st.sampled_from(["theirs", "ours", "fail"]))
    def load(self, policy: str) -> None:
        self._learn_names()
        want = self._expected("theirs" if policy == "fail" else policy)
        before = self.ds._stores.labels.version()
        if policy == "fail" and want["conflicts"]:
            try:
                self.ds.load_annotations("run", conflicts="fail", force=True, progress=False)
            except ab.Conflict:
                assert self.ds._stores.labels.version() == before
                return
            raise AssertionError("the conflict was not reported")
        report = self.ds.load_annotations("run", conflicts=policy, force=True, progress=False)
        assert (report.refused.num_rows, report.conflicts.num_rows) == (want["refused"], want["conflicts"])
        assert report.changes == len(want["writes"])
        assert self.ds._stores.labels.version() == before + bool(want["writes"])
        self._loaded(want)
        again = self.ds.load_annotations(
            "run", conflicts="theirs" if policy == "fail" else policy, force=True, progress=False
        )
        assert again.changes == 0
        assert again.version is None

    def _loaded(self, want: dict[str, Any]) -> None:
        if want["base"] != self.base or want["writes"]:
            self.undoable.append((self.base, want["writes"]))
        self.ours, self.base = want["ours"], want["base"]

    @rule(policy=st.sampled_from(["theirs", "ours"]), step=st.sampled_from(STEPS))
    def load_killed(self, policy: str, step: tuple[str, str]) -> None:
        """A load that ends at some step leaves all or nothing, and the next call to the run finds out which."""
        self._learn_names()
        want = self._expected(policy)
        path, when = step
        module, owner, name = path.rsplit(".", 2)
        holder = getattr(__import__(module, fromlist=[owner]), owner)
        real, give_up, alive = getattr(holder, name), loading._give_up, ledger._alive

        def killed(*args: Any, **kwargs: Any) -> Any:
            if when == "after":
                real(*args, **kwargs)
            raise Killed

        committed = False
        try:
            setattr(holder, name, killed)
            loading._give_up = lambda *_: None
            ledger._alive = lambda _: False
            try:
                self.ds.load_annotations("run", conflicts=policy, force=True, progress=False)
            except Killed:
                pass
            else:
                committed = True  # the load had no such step
            setattr(holder, name, real)
            self.ds.get_annotation_info("run")
        finally:
            setattr(holder, name, real)
            loading._give_up, ledger._alive = give_up, alive
        wrote = committed or ((path.endswith("commit") and when == "after") or path.endswith("end"))
        if wrote and (want["writes"] or committed):
            self._loaded(want)

    @precondition(lambda self: self.undoable)
    @rule()
    def undo(self) -> None:
        self._learn_names()
        base, writes = self.undoable.pop()
        self.ds.undo_annotations("run")
        for action, name, old, new, written in writes:
            now = self.ours.get(name)
            if action == "add" and now == new:
                del self.ours[name]
            elif action == "delete" and now is None:
                self.ours[name] = old
            elif action == "edit" and now is not None:
                kept = {c: old[c] for c in written if now[c] == new[c]}  # type: ignore[index]
                self.ours[name] = {**now, **kept}
        self.base = base

    def _learn_names(self) -> None:
        """A label made in the tool has its remote name until the bridge derives an id from it."""
        from annobridge.core.ids import derive

        run = self.ds._stores.runs.get("run")
        made = [n for n in self.theirs if n.startswith("t")]
        for old, new in zip(made, derive(run.run_id, made).to_pylist(), strict=True):
            for side in (self.theirs, self.sample):
                side[new] = side.pop(old)
            self._tool(lambda _, rows, o=old, n=new: [{**r, "label_id": n} if r["remote_id"] == o else r for r in rows])

    @invariant()
    def the_dataset_is_what_the_model_says(self) -> None:
        if hasattr(self, "ds"):
            rows = self.ds.labels("f").to_pylist()
            assert len(rows) == len({r["label_id"] for r in rows})
            assert {r["label_id"]: label_of(r) for r in rows} == self.ours
            assert all(r["sample_id"] == self.sample[r["label_id"]] for r in rows)


TestSync = Sync.TestCase
TestSync.settings = settings(
    max_examples=25, stateful_step_count=18, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
