"""Which checks are found, what their parameters may be, and what a bad one does to the others."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from annobridge import checks
from annobridge import entry_points as installed
from annobridge.checks import Evidence, registry
from annobridge.checks.base import FINDINGS
from annobridge.exceptions import ConfigError, InvalidOption

SHIPPED = [
    "attribute_jump", "duplicates", "iou_floor", "over_border", "share_of_deletions", "small_boxes", "vanishing_class",
]  # fmt: skip
MODULE = '''
from annobridge.checks import Finding

def many(evidence, *, limit: int = 2, share: float = 0.5, loud: bool = False, word: str = "x", classes=("car",)):
    """More than some changes."""
    if evidence.changes.num_rows > limit:
        yield Finding(f"{limit} {share} {loud} {word} {classes}", evidence.changes["change_id"])

def warns(evidence):
    return [Finding("a warning", level="warning")]

def fails(evidence):
    return 1 / 0

def strange(evidence):
    return ["a text"]

def shouts(evidence):
    return [Finding("a", level="fatal")]

def needs(evidence, limit):
    return []

number = 7
'''


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_checks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_checks", raising=False)


def install(monkeypatch: pytest.MonkeyPatch, *names: str, **values: str) -> None:
    pairs = {name: f"my_checks:{name}" for name in names} | values
    found = [EntryPoint(name, value, registry.GROUP) for name, value in pairs.items()]
    monkeypatch.setattr(installed, "entry_points", lambda group: found)


def evidence(changes: int = 3) -> Evidence:
    return Evidence.of(changes=[{"change_id": f"c{n}"} for n in range(changes)])


def test_the_shipped_checks_are_found_and_can_be_used_and_have_nothing_to_say_about_nothing() -> None:
    assert set(SHIPPED) <= set(checks.names())
    assert not set(SHIPPED) & set(checks.broken())
    assert checks.run(Evidence.of(), SHIPPED).equals(FINDINGS.empty_table())
    assert checks.get("share_of_deletions").parameters == {"limit": 0.02, "at_least": 5}
    assert all(checks.get(name).function.__doc__ for name in SHIPPED)


def test_names_come_without_imports(monkeypatch) -> None:
    install(monkeypatch, "many", "lost")
    assert registry.names() == ["lost", "many"]
    assert "my_checks" not in sys.modules


def test_findings_are_rows_with_errors_first(monkeypatch) -> None:
    install(monkeypatch, "warns", "many")
    table = checks.run(evidence(), ["warns", "many"])
    assert table.schema == FINDINGS
    assert table.to_pylist() == [
        {"check": "many", "level": "error", "sentence": "2 0.5 False x ('car',)", "count": 3,
         "change_ids": ["c0", "c1", "c2"]},
        {"check": "warns", "level": "warning", "sentence": "a warning", "count": 0, "change_ids": []},
    ]  # fmt: skip
    assert checks.run(evidence(), ["warns"])["check"].to_pylist() == ["warns"]
    assert checks.run(evidence(2))["check"].to_pylist() == ["warns"]


def test_limits_may_be_texts_as_on_a_command_line(monkeypatch) -> None:
    install(monkeypatch, "many")
    texts = {"limit": "1", "share": "1e-1", "loud": "true", "word": "y", "classes": "a, b"}
    values: dict[str, Any] = {"limit": 1, "share": 0.1, "loud": True, "word": "y", "classes": ["a", "b"]}
    for limits in (texts, values):
        (row,) = checks.run(evidence(), limits={"many": limits}).to_pylist()
        assert row["sentence"] == "1 0.1 True y ('a', 'b')"


def test_a_level_can_be_set_for_every_check(monkeypatch) -> None:
    install(monkeypatch, "many", "warns")
    limits = {"many": {"level": "warning"}, "warns": {"level": "error"}}
    assert checks.run(evidence(), limits=limits)["level"].to_pylist() == ["error", "warning"]
    assert checks.run(evidence(), limits={"many": {"level": "off"}})["check"].to_pylist() == ["warns"]


@pytest.mark.parametrize(
    ("chosen", "limits", "sentence"),
    [
        (["mony"], {}, r"There is no check 'mony'; did you mean 'many'\?"),
        (["xyz"], {}, r"There is no check 'xyz'; there is 'many', 'warns'\."),
        ("many", {}, r"The checks to run are a list of names; give \['many'\]\."),
        (None, {"mony": {"limit": 1}}, r"There is no check 'mony'; did you mean 'many'\?"),
        (None, {"many": {"limits": 1}}, r"The check 'many' has no parameter 'limits'; did you mean 'limit'\?"),
        (None, {"warns": {"limit": 1}}, r"The check 'warns' has no parameter 'limit'; there is 'level'\."),
        (None, {"many": 3}, r"The limits of the check 'many' are a dictionary of parameters, and not 3\."),
        (None, {"many": {"limit": "few"}}, r"many\.limit should be a whole number, as 2, and not 'few'\."),
        (None, {"many": {"limit": 2.5}}, r"many\.limit should be a whole number, as 2, and not 2\.5\."),
        (None, {"many": {"limit": True}}, r"many\.limit should be a whole number, as 2, and not True\."),
        (None, {"many": {"share": "nan"}}, r"many\.share should be a number, as 0\.5, and not 'nan'\."),
        (None, {"many": {"share": None}}, r"many\.share should be a number, as 0\.5, and not None\."),
        (None, {"many": {"loud": "maybe"}}, r"many\.loud should be true or false, as False, and not 'maybe'\."),
        (None, {"many": {"word": 3}}, r"many\.word should be a text, as 'x', and not 3\."),
        (None, {"many": {"classes": [1]}}, r"many\.classes should be a list of texts, as \('car',\), and not \[1\]\."),
        (None, {"many": {"level": "loud"}}, r"many\.level should be 'error', 'warning' or 'off', and not 'loud'\."),
    ],
)
def test_a_wrong_choice_is_a_sentence(monkeypatch, chosen: Any, limits: Any, sentence: str) -> None:
    install(monkeypatch, "many", "warns")
    with pytest.raises(InvalidOption, match=f"^{sentence}$"):
        checks.run(evidence(), chosen, limits)


def test_a_broken_check_is_an_error_among_the_findings_of_the_others(monkeypatch) -> None:
    install(
        monkeypatch,
        "many",
        "fails",
        "strange",
        "shouts",
        "needs",
        "number",
        typo="my_checks:mony",
        lost="no_module:lost",
    )
    rows = {row["check"]: row for row in checks.run(evidence(), limits={"lost": {"limit": 3}}).to_pylist()}
    assert {row["level"] for row in rows.values()} == {"error"}
    assert rows["many"]["count"] == 3
    assert rows["lost"]["sentence"] == (
        "The check 'lost' of an unknown package (no_module:lost) cannot be loaded: ModuleNotFoundError: "
        "No module named 'no_module'. Install what it needs, or uninstall it."
    )
    assert "cannot be loaded: AttributeError" in rows["typo"]["sentence"]
    assert rows["fails"]["sentence"] == (
        "The check 'fails' of an unknown package (my_checks:fails) failed with ZeroDivisionError: division by zero; "
        "report it there, or leave the check out with fails.level=off."
    )
    assert "returned 'a text', which is no Finding of level 'error' or 'warning'; report" in rows["strange"]["sentence"]
    assert "which is no Finding of level" in rows["shouts"]["sentence"]
    assert "has the parameter 'limit' without a default that is true or false, a whole" in rows["needs"]["sentence"]
    assert rows["number"]["sentence"].endswith(
        "is no function; name a function of the evidence and of limits with defaults."
    )
    assert sorted(registry.broken()) == ["lost", "needs", "number", "typo"]


def test_two_packages_with_one_name_are_told(monkeypatch) -> None:
    entries = [EntryPoint("many", f"my_checks:{name}", registry.GROUP) for name in ("many", "warns")]
    monkeypatch.setattr(installed, "entry_points", lambda group: entries)
    with pytest.raises(ConfigError, match=r"'many' is in several packages, .* and .*; uninstall all but one\."):
        registry.get("many")
    monkeypatch.setattr(installed, "entry_points", lambda group: [entries[0], entries[0]])
    assert registry.get("many").name == "many"  # one package, seen twice on the path
