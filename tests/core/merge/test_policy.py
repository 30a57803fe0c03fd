"""Who wins a conflict, by component."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.merge.policy import POLICIES, Policy
from annobridge.exceptions import InvalidOption

names = st.sampled_from(["*", "existence", "label", "spatial", "index", "attributes", "attributes.a", "attributes.b"])
rules = st.dictionaries(names, st.sampled_from(POLICIES))
components = st.sampled_from(["existence", "label", "spatial", "index", "attributes.a", "attributes.b", "attributes.c"])


@given(rules, components)
def test_the_most_specific_rule_counts(given_rules: dict[str, str], component: str) -> None:
    group = "attributes" if component.startswith("attributes.") else component
    wanted = given_rules.get(component) or given_rules.get(group) or given_rules.get("*") or "theirs"
    assert Policy.parse(given_rules).of(component) == wanted


@given(rules, st.lists(components))
def test_many_components_are_decided_as_one_is(given_rules: dict[str, str], found: list[str]) -> None:
    policy, array = Policy.parse(given_rules), pa.array(found, pa.string())
    assert policy.winners(array).to_pylist() == ["theirs" if policy.theirs_wins(c) else "ours" for c in found]
    assert policy.fails(array).tolist() == [policy.of(c) == "fail" for c in found]


@given(rules, components)
def test_exchanging_the_sides_twice_changes_nothing(given_rules: dict[str, str], component: str) -> None:
    policy = Policy.parse(given_rules)
    other = policy.exchanged()
    assert other.exchanged() == policy
    if policy.of(component) != "fail":
        assert other.theirs_wins(component) is not policy.theirs_wins(component)


@given(st.sampled_from(POLICIES), components)
def test_one_word_is_for_all_components(word: str, component: str) -> None:
    assert Policy.parse(word).of(component) == word


@pytest.mark.parametrize(
    ("given_rules", "message"),
    [
        ("mine", "conflicts='mine' is not known; give one of 'theirs', 'ours', 'fail'"),
        (None, "conflicts=None is not known"),
        ({"labl": "ours"}, "names 'labl', which is no component; did you mean 'label'"),
        ({1: "ours"}, "names 1, which is no component"),
        ({"label": ["ours"]}, r"conflicts=\['ours'\] is not known"),
    ],
)
def test_anything_else_is_refused(given_rules: object, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Policy.parse(given_rules)
