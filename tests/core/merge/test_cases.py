"""The case of a label: every combination of what the tool and the dataset can have done."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from annobridge.core.merge.cases import Case, classify

EXPECTED = {  # what the tool did, whether the label is here, and whether it was changed here (or is here with other values)
    ("add", False, False): Case.ADD,
    ("add", True, False): Case.ADDED_ON_BOTH,
    ("add", True, True): Case.ADDED_DIFFERENTLY,
    ("edit", True, False): Case.EDIT,
    ("edit", True, True): Case.EDIT,  # component by component
    ("edit", False, False): Case.EDITED_AND_DELETED,
    ("delete", True, False): Case.DELETE,
    ("delete", True, True): Case.DELETED_AND_EDITED,
    ("delete", False, False): Case.DELETED_ON_BOTH,
    ("nothing that is allowed", True, False): Case.REFUSED,
    ("nothing that is allowed", True, True): Case.REFUSED,
    ("nothing that is allowed", False, False): Case.REFUSED,
}


def case_of(tool: str, here: bool, changed: bool) -> Case:
    facts = {"add": tool == "add", "edit": tool == "edit", "delete": tool == "delete", "here": here}
    facts |= {"changed_here": changed, "different": changed}
    return Case(classify(**{name: np.array([fact]) for name, fact in facts.items()})[0])


@pytest.mark.parametrize(("tool", "here", "changed"), EXPECTED)
def test_each_combination_is_one_case(tool: str, here: bool, changed: bool) -> None:
    assert case_of(tool, here, changed) is EXPECTED[tool, here, changed]


def test_no_combination_is_left_out_and_each_case_occurs() -> None:
    tools = {tool for tool, _, _ in EXPECTED}
    possible = {
        (tool, here, changed)
        for tool, here, changed in product(tools, (True, False), (True, False))
        if here or not changed
    }
    assert set(EXPECTED) == possible
    assert set(EXPECTED.values()) == set(Case)


def test_rows_do_not_depend_on_each_other() -> None:
    rows = list(EXPECTED)
    columns = {
        "add": [tool == "add" for tool, _, _ in rows],
        "edit": [tool == "edit" for tool, _, _ in rows],
        "delete": [tool == "delete" for tool, _, _ in rows],
        "here": [here for _, here, _ in rows],
        "changed_here": [changed for *_, changed in rows],
        "different": [changed for *_, changed in rows],
    }
    found = classify(**{name: np.array(values) for name, values in columns.items()})
    assert found.tolist() == [int(case) for case in EXPECTED.values()]
