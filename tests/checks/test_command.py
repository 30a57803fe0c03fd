"""``annobridge plan --check``: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.bridge.conftest import Bridge
from typer.testing import CliRunner

from annobridge.cli import app


def run(bridge: Bridge, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", "r", "-d", str(bridge.path), "-o", f"url={bridge.url}", *arguments])


def test_nothing_to_change_is_0_changes_are_2_and_errors_are_3(sent: Bridge) -> None:
    nothing = run(sent, "--check")
    assert (nothing.exit_code, "Checks: nothing found by 7 checks" in nothing.stdout) == (0, True)
    sent.hands.delete("car0")
    pending = run(sent, "--check")
    assert (pending.exit_code, "Checks: nothing found by 7 checks" in pending.stdout) == (2, True)
    failed = run(sent, "--check", "share_of_deletions.at_least=1")
    assert failed.exit_code == 3
    assert "Checks: 1 error by 7 checks" in failed.stdout
    assert "error   share_of_deletions   1 label 'car' of 'objects' would be deleted, 25 % of 4;" in failed.stdout


def test_warnings_do_not_change_the_exit_code(sent: Bridge) -> None:
    sent.hands.set("man0", bounding_box=[0.8, 0.1, 0.1, 0.1])
    warned = run(sent, "--check", "iou_floor")
    assert (warned.exit_code, "Checks: 1 warning by 1 check" in warned.stdout) == (2, True)
    assert run(sent, "--check", "iou_floor", "--check", "iou_floor.level=error").exit_code == 3
    assert run(sent, "--check", "iou_floor.level=off").exit_code == 2


def test_the_checks_are_in_the_json(sent: Bridge) -> None:
    sent.hands.delete("car0")
    failed = run(sent, "--check=share_of_deletions.at_least=1", "--check", "share_of_deletions", "--json")
    assert failed.exit_code == 3
    found = json.loads(failed.stdout)["checks"]
    assert {name: found[name] for name in ("ok", "summary", "checks", "counts")} == {
        "ok": False, "summary": "1 error by 1 check", "checks": ["share_of_deletions"],
        "counts": {"error": 1, "warning": 0},
    }  # fmt: skip
    (row,) = found["findings"]
    assert (row["check"], row["level"], row["count"], len(row["change_ids"])) == ("share_of_deletions", "error", 1, 1)
    assert "checks" not in json.loads(run(sent, "--json").stdout)


def test_decisions_count(sent: Bridge, tmp_path: Path) -> None:
    sent.hands.delete("car0")
    plan = sent.plan()
    plan.decide(verdict="refuse")
    file = tmp_path / "decisions.jsonl"
    rows = [{**row, "at": row["at"].isoformat()} for row in plan.decisions.to_pylist()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(sent, "--check", "share_of_deletions.at_least=1", "--decisions", str(file)).exit_code == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("duplicate", "There is no check 'duplicate'; did you mean 'duplicates'?"),
        ("duplicates.limt=1", "The check 'duplicates' has no parameter 'limt'; did you mean 'limit'?"),
        ("duplicates.limit=much", "duplicates.limit should be a number, as 0.9, and not 'much'."),
        *(
            (
                text,
                f"--check '{text}' should be NAME or NAME.PARAMETER=VALUE, as --check share_of_deletions.limit=0.05.",
            )
            for text in ("duplicates=1", "duplicates.limit", ".limit=1", "duplicates.=1", "=")
        ),
    ],
)
def test_a_wrong_choice_is_a_sentence(sent: Bridge, given: str, sentence: str) -> None:
    result = run(sent, "--check", given)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip() == f"Error: {sentence}"


def test_check_without_a_value_may_be_anywhere(sent: Bridge) -> None:
    for arguments in (("--check", "--json"), ("--json", "--check"), ("--check", "--check", "iou_floor", "--json")):
        assert json.loads(run(sent, *arguments).stdout)["checks"]["ok"]
