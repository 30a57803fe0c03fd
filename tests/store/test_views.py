"""Views: every verb, chained in any order; conditions run in LanceDB, and bad ones are a sentence."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.generated import examples

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.store.labels import Labels
from annobridge.store.samples import Samples


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory) -> ab.Dataset:
    ds = ab.create_dataset(tmp_path_factory.mktemp("views") / "ds")
    ds.add_samples(
        ab.Sample(
            f"{n}.jpg",
            sample_id=f"s{n}",
            tags=["all", "even" if n % 2 == 0 else "odd"],
            number=(7 * n) % 10,
            place=None if n == 5 else "ab"[n % 2],
            boxes=[
                ab.Detection("car", [0, 0, 1, 1], label_id=f"b{n}-{k}", confidence=k / 10, nth=k) for k in range(n % 4)
            ],
            weather=ab.Classification("sun" if n < 5 else "rain", label_id=f"w{n}"),
        )
        for n in range(10)
    )
    return ds


def ids(*numbers: int) -> list[str]:
    return [f"s{n}" for n in numbers]


VERBS: dict[str, Any] = {
    "match": (lambda v: v.match("number > 5"), [1, 4, 7, 8]),
    "match, null": (lambda v: v.match("place IS NULL"), [5]),
    "match and match": (lambda v: v.match("number > 5").match("place = 'a' OR number = 7"), [1, 4, 8]),
    "match is closed in itself": (lambda v: v.match("number = 0 OR number = 7").match("true"), [0, 1]),
    "match_tags": (lambda v: v.match_tags("odd"), [1, 3, 5, 7, 9]),
    "match_tags, some": (lambda v: v.match_tags("odd", "even"), list(range(10))),
    "match_tags, quoted": (lambda v: v.match_tags("o'dd"), []),
    "match_labels": (lambda v: v.match_labels("boxes"), [1, 2, 3, 5, 6, 7, 9]),
    "match_labels, where": (lambda v: v.match_labels("boxes", "confidence > 0.1"), [3, 7]),
    "match_labels, other field": (lambda v: v.match_labels("weather", "label = 'rain' OR false"), [5, 6, 7, 8, 9]),
    "match_labels, no such field": (lambda v: v.match_labels("wether"), []),
    "filter_labels": (lambda v: v.filter_labels("boxes", "confidence = 0.1"), [2, 3, 6, 7]),
    "select": (lambda v: v.select(["s7", "s2"]), [2, 7]),
    "select, one": (lambda v: v.select("s7"), [7]),
    "select, ordered": (lambda v: v.select(["s7", "s2"], ordered=True), [7, 2]),
    "select, twice the same": (lambda v: v.select(["s7", "s2", "s7"], ordered=True), [7, 2]),
    "exclude": (lambda v: v.exclude(["s0", "s9"]), [1, 2, 3, 4, 5, 6, 7, 8]),
    "limit": (lambda v: v.limit(3), [0, 1, 2]),
    "limit, more than there are": (lambda v: v.limit(99), list(range(10))),
    "skip": (lambda v: v.skip(7), [7, 8, 9]),
    "skip, all": (lambda v: v.skip(99), []),
    "skip and limit": (lambda v: v.skip(2).limit(2), [2, 3]),
    "limit and match": (lambda v: v.limit(5).match("number > 5"), [1, 4]),
    "match and limit": (lambda v: v.match("number > 5").limit(2), [1, 4]),
    "sort_by": (lambda v: v.sort_by("number"), sorted(range(10), key=lambda n: (7 * n) % 10)),
    "sort_by, reverse": (lambda v: v.sort_by("number", reverse=True).limit(2), [7, 4]),
    "sort_by the id": (lambda v: v.sort_by("sample_id", reverse=True).limit(2), [9, 8]),
    "sort_by, then match": (lambda v: v.sort_by("number", reverse=True).match("number > 7"), [7, 4]),
    "sort_by an expression": (lambda v: v.sort_by("abs(number - 5)").limit(3), [5, 2, 8]),
    "sort_by, equal ones stay": (lambda v: v.sort_by("number / 5", reverse=True).limit(3), [1, 4, 5]),
    "sort_by, null is last": (lambda v: v.sort_by("place", reverse=True).skip(9), [5]),
    "sort_by labels": (lambda v: v.sort_by(ab.LabelCount("boxes"), reverse=True).limit(4), [3, 7, 2, 6]),
    "sort_by some labels": (lambda v: v.sort_by(ab.LabelCount("boxes", "confidence > 0.15"), True).limit(3), [3, 7, 0]),
    "sort_by some labels, of a view": (lambda v: v.skip(4).sort_by(ab.LabelCount("boxes"), True).limit(2), [7, 6]),
    "match_labels, attribute": (lambda v: v.match_labels("boxes", ab.has_attribute("nth", 2)), [3, 7]),
    "match_labels, attribute of another type": (lambda v: v.match_labels("boxes", ab.has_attribute("nth", "2")), []),
    "filter and filter": (
        lambda v: v.filter_labels("boxes", "confidence < 0.15").filter_labels("boxes", "confidence > 0.05"),
        [2, 3, 6, 7],
    ),
    "filter and match, none left": (
        lambda v: v.filter_labels("boxes", "confidence < 0.05").match_labels("boxes", "confidence > 0.05"),
        [],
    ),
    "filter and match, another field": (
        lambda v: v.filter_labels("boxes", "confidence = 0.2").match_labels("weather", "label = 'rain'"),
        [7],
    ),
    "filter and sort_by": (
        lambda v: v.filter_labels("boxes", "confidence < 0.05").sort_by(ab.LabelCount("boxes"), True).limit(3),
        [1, 2, 3],
    ),
    "sort_by nothing": (lambda v: v.limit(0).sort_by("number"), []),
    "match after match_tags": (lambda v: v.match_tags("odd").match("number > 5"), [1, 7]),
}


@pytest.mark.parametrize("name", VERBS)
def test_verbs(ds, name):
    make, expected = VERBS[name]
    view = make(ds)
    assert view.sample_ids() == ids(*expected)
    assert len(view) == len(expected)
    assert [r["sample_id"] for r in view.samples().to_pylist()] == ids(*expected)
    assert {r["sample_id"] for r in view.labels().to_pylist()} <= set(ids(*expected))
    assert "samples" in repr(view)


def test_a_view_is_lazy_and_leaves_its_parent_alone(ds):
    parent = ds.limit(5)
    child = parent.match("nonsense = 1")
    assert parent.sample_ids() == ids(0, 1, 2, 3, 4)
    with pytest.raises(ab.StoreError):
        child.sample_ids()


def test_take_is_random_and_the_same_for_a_seed(ds):
    first = ds.take(4, seed=1).sample_ids()
    assert first == ds.take(4, seed=1).sample_ids()
    assert len(set(first)) == 4
    assert len({tuple(ds.take(4, seed=s).sample_ids()) for s in range(5)}) > 1
    assert sorted(ds.take(99).sample_ids()) == ids(*range(10))


def test_filter_labels_narrows_the_labels_of_its_field_only(ds):
    view = ds.filter_labels("boxes", "confidence > 0.05").filter_labels("boxes", "confidence < 0.15")
    assert {r["label_id"] for r in view.labels("boxes").to_pylist()} == {f"b{n}-1" for n in (2, 3, 6, 7)}
    assert {r["label_id"] for r in view.labels("weather").to_pylist()} == {f"w{n}" for n in (2, 3, 6, 7)}
    assert view.count_labels("boxes") == 4
    assert view.count_labels() == 8
    both = view.labels(["boxes", "weather"], where="label = 'car'").to_pylist()
    assert {r["field"] for r in both} == {"boxes"}


def test_or_in_a_filter_does_not_leak_into_other_fields(ds):
    view = ds.filter_labels("boxes", "confidence = 0.2 OR true")
    assert {r["field"] for r in view.labels("boxes").to_pylist()} == {"boxes"}
    assert {r["field"] for r in ds.labels("boxes", where="false OR true").to_pylist()} == {"boxes"}


@pytest.mark.parametrize(
    "call",
    [
        lambda ds: ds.match("numbr > 1").sample_ids(),
        lambda ds: ds.match("number >").sample_ids(),
        lambda ds: ds.limit(3).match("numbr > 1").sample_ids(),
        lambda ds: ds.match_labels("boxes", "lable = 'x'").sample_ids(),
        lambda ds: ds.filter_labels("boxes", "lable = 'x'").sample_ids(),
        lambda ds: ds.labels(where="lable = 'x'").to_arrow(),
        lambda ds: ds.limit(2).labels(where="lable = 'x'").to_arrow(),
        lambda ds: ds.match("number = 'a").samples().to_arrow(),
        lambda ds: ds.match("").sample_ids(),
        lambda ds: ds.sort_by("numbr").sample_ids(),
        lambda ds: ds.sort_by("tags").sample_ids(),
        lambda ds: ds.sort_by("number +").sample_ids(),
        lambda ds: ds.sort_by(-1),
        lambda ds: ds.sort_by("named_struct('a', number)").sample_ids(),
        lambda ds: ds.sort_by(ab.LabelCount("boxs")),
        lambda ds: ds.sort_by(ab.LabelCount("boxes", "confidense > 1")).sample_ids(),
        lambda ds: ds.limit(-1).sample_ids(),
        lambda ds: ds.skip(-1).sample_ids(),
        lambda ds: ds.take(-1).sample_ids(),
    ],
)
def test_what_cannot_run_is_a_sentence_that_names_it(ds, call):
    with pytest.raises(ab.AnnobridgeError) as caught:
        call(ds)
    text = str(caught.value)
    assert any(word in text for word in ("numbr", "number", "lable", "tags", "-1", "''", "boxs", "confidense")), text
    assert "/rust/" not in text
    assert "\n" not in text


def test_conditions_run_in_lancedb(ds, monkeypatch):
    """No more rows leave the store than meet the condition."""
    seen: list[int] = []
    plain = {cls: cls.scan for cls in (Samples, Labels)}

    def counting(cls: type) -> Any:
        def scan(self: Any, *args: Any, **kwargs: Any) -> Any:
            for batch in plain[cls](self, *args, **kwargs):
                seen.append(batch.num_rows)
                yield batch

        return scan

    for cls in plain:
        monkeypatch.setattr(cls, "scan", counting(cls))
    assert ds.match("number = 7").sample_ids() == ids(1)
    assert sum(seen) == 1
    seen.clear()
    ds.labels("boxes", where="confidence = 0.2").to_arrow()
    assert sum(seen) == 2 + 10  # and the ids of the samples, without which a label is not part of the dataset


def test_views_of_an_empty_dataset(tmp_path: Path):
    ds = ab.create_dataset(tmp_path / "e")
    assert len(ds) == 0
    for view in (
        ds.match("true"),
        ds.sort_by("filepath"),
        ds.take(3),
        ds.limit(3),
        ds.match_labels("f"),
        ds.match_tags("x"),
    ):
        assert view.sample_ids() == []
        assert view.samples().to_arrow().num_rows == 0
        assert view.labels().to_arrow().num_rows == 0
    assert ds.label_fields() == []


def test_a_field_that_is_not_there_is_named_with_the_near_one(ds):
    with pytest.raises(ab.StoreError, match="no label field 'wether'; did you mean 'weather'?"):
        ds.labels("wether")
    with pytest.raises(ab.StoreError, match="no label field 'x'; there is 'boxes', 'weather'"):
        ds.limit(1).labels(["boxes", "x"])
    assert ds.select("s0").labels("boxes").to_pylist() == []  # there is one, and no label of it here


def test_an_empty_field_is_no_mistake_where_a_run_knows_it(tmp_path):
    ds = ab.create_dataset(tmp_path / "ds")
    assert ds.labels("anything").to_pylist() == []  # nothing is there yet
    ds.add_samples([ab.Sample("a.jpg", sample_id="a", f=ab.Classification("x"))])
    ds.annotate("r", label_schema={"g": {"type": "detections", "classes": ["car"]}}, backend="memory", url="memory://g")
    assert ds.labels("g").to_pylist() == []
    with pytest.raises(ab.StoreError, match="no label field 'h'"):
        ds.labels("h")


# Chains of stages, against a model of plain Python: the samples that are left, in order, and the labels that are left of each.

CONDITIONS: dict[str, Any] = {
    "true": lambda row: True,
    "label = 'car'": lambda row: row["label"] == "car",
    "label = 'bus' OR label = 'car'": lambda row: row["label"] in ("bus", "car"),
    "confidence > 0.5": lambda row: row["confidence"] is not None and row["confidence"] > 0.5,
    "NOT confidence > 0.5": lambda row: row["confidence"] is not None and row["confidence"] <= 0.5,
    "confidence IS NULL": lambda row: row["confidence"] is None,
}
FIELDS = ("a", "b")
label_rows = st.fixed_dictionaries(
    {
        "field": st.sampled_from(FIELDS),
        "label": st.sampled_from(("car", "bus", "dog")),
        "confidence": st.sampled_from((None, 0.3, 0.5, 0.9)),
    }
)
conditions, counts = st.sampled_from(sorted(CONDITIONS)), st.integers(0, 5)
of_labels = st.tuples(
    st.sampled_from(("filter_labels", "match_labels", "sort_by")), st.sampled_from(FIELDS), conditions, st.booleans()
)
of_samples = st.tuples(st.sampled_from(("limit", "skip", "match", "exclude")), counts)


def stage(view: ab.View, step: tuple[Any, ...], samples: int) -> ab.View:
    match step:
        case "sort_by", field, where, reverse:
            return view.sort_by(ab.LabelCount(field, where), reverse)
        case verb, field, where, _:
            return getattr(view, verb)(field, where)
        case "match", number:
            return view.match(f"number < {number}")
        case "exclude", number:
            return view.exclude([f"s{number}"]) if number < samples else view
        case verb, count:
            return getattr(view, verb)(count)
    raise AssertionError(step)


def modelled(left: dict[str, list[dict[str, Any]]], step: tuple[Any, ...]) -> dict[str, list[dict[str, Any]]]:
    def met(name: str) -> list[dict[str, Any]]:
        return [row for row in left[name] if row["field"] == step[1] and CONDITIONS[step[2]](row)]

    match step:
        case "sort_by", _, _, reverse:
            return {n: left[n] for n in sorted(left, key=lambda n: -len(met(n)) if reverse else len(met(n)))}
        case "match_labels", *_:
            return {n: rows for n, rows in left.items() if met(n)}
        case "filter_labels", field, *_:
            return {n: [*(r for r in rows if r["field"] != field), *met(n)] for n, rows in left.items() if met(n)}
        case "match", number:
            return {n: rows for n, rows in left.items() if int(n[1:]) < number}
        case "exclude", number:
            return {n: rows for n, rows in left.items() if n != f"s{number}"}
        case "limit", count:
            return dict(list(left.items())[:count])
        case "skip", count:
            return dict(list(left.items())[count:])
    raise AssertionError(step)


@examples(20)
@given(
    st.lists(st.lists(label_rows, max_size=4), min_size=1, max_size=5),
    st.lists(st.lists(of_labels | of_samples, min_size=1, max_size=5), min_size=1, max_size=8),
)
def test_each_stage_works_on_what_the_one_before_left(contents, chains):
    with tempfile.TemporaryDirectory() as folder:
        ds = ab.create_dataset(Path(folder) / "ds")
        numbered = [{"filepath": f"{n}.jpg", "sample_id": f"s{n}", "number": n} for n in range(len(contents))]
        ds.add_samples([*numbered, *({"filepath": f"{f}.jpg", "sample_id": f, "number": 9} for f in FIELDS)])
        # a label of each field on a sample outside of all views, so that both fields exist
        given = {f: [{"sample_id": f, "kind": "classification", "label": "car"}] for f in FIELDS}
        everything: dict[str, list[dict[str, Any]]] = {}
        for n, rows in enumerate(contents):
            everything[f"s{n}"] = [{**row, "label_id": f"{n}-{k}"} for k, row in enumerate(rows)]
            for row in everything[f"s{n}"]:
                plain = {name: value for name, value in row.items() if name != "field"}
                given[row["field"]].append({**plain, "sample_id": f"s{n}", "kind": "classification"})
        for field, labels in given.items():
            ds.add_labels(field, labels)
        for chain in chains:
            view, left = ds.exclude(FIELDS), everything
            for step in chain:
                view, left = stage(view, step, len(contents)), modelled(left, step)
            assert view.sample_ids() == list(left)
            expected = {name: sorted(row["label_id"] for row in rows) for name, rows in left.items()}
            shown: dict[str, list[str]] = {name: [] for name in left}
            for row in view.labels().to_pylist():
                shown[row["sample_id"]].append(row["label_id"])
            assert {name: sorted(found) for name, found in shown.items()} == expected
            for field in FIELDS:
                assert view.count_labels(field) == sum(row["field"] == field for rows in left.values() for row in rows)
            nested = view.nested(FIELDS).to_pylist()
            assert [row["sample_id"] for row in nested] == list(left)
            for row in nested:
                inside = [label["label_id"] for field in FIELDS for label in row[field]]
                assert sorted(inside) == expected[row["sample_id"]]


def test_what_is_filtered_out_is_neither_sent_nor_exported(tmp_path: Path):
    ds = ab.create_dataset(tmp_path / "ds")
    for n, classes in enumerate((["car", "bus"], ["car"], ["bus"])):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{n}.png")
        labels = [ab.Detection(c, [0, 0, 1, 1], label_id=f"{n}{c}", confidence=n / 2) for c in classes]
        ds.add_samples([ab.Sample(tmp_path / f"{n}.png", sample_id=f"s{n}", boxes=labels)])
    view = ds.filter_labels("boxes", "label = 'car'").limit(2).filter_labels("boxes", "confidence > 0.2")
    assert view.sample_ids() == ["s1"]
    report = ab.export_dataset(view, tmp_path / "out", "fiftyone")
    assert (report.samples, report.labels) == (1, 1)
    results = view.annotate("k", label_field="boxes", backend="memory", url="memory://chained-views")
    server = SERVERS["memory://chained-views"]
    (task,) = server.samples
    assert server.samples[task].to_pylist() == ["s1"]
    assert server.labels[task]["label_id"].to_pylist() == ["1car"]
    assert results.status() is not None
    assert ds.load_annotation_view("k").sample_ids() == ["s1"]


def test_a_field_named_twice_is_one_field(ds):
    view = ds.filter_labels("boxes", "confidence = 0.2")
    once = view.nested("weather").to_pylist()
    assert view.nested(["weather", "weather"]).to_pylist() == once
    assert view.labels(["boxes", "boxes"]).to_arrow().num_rows == 2
