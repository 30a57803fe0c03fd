"""The benchmarks run from the clone alone, and write one table whatever happens to one of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as command
from benchmarks import catalogue, environments, measure, table
from benchmarks.catalogue import BENCHMARKS, Benchmark

HERE = Path(command.__file__).parent
REPORTING = """
import sys
sys.path.insert(0, {here!r})
import measure
figures = {{}}
with measure.phase("p", figures):
    sum(range(10000))
measure.report("sum", figures["p"], 20000, tool_s=0.0, note=" ".join(sys.argv[1:]))
sys.exit({code})
"""
QUALITY = r"F1 0\.[0-9]{4}, mean IoU 0\.[0-9]{4}"


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a script in place of all benchmarks; it reports a row and ends with a code."""

    def plant(*codes: int) -> None:
        found = []
        for number, code in enumerate(codes):
            script = tmp_path / f"b{number}.py"
            script.write_text(REPORTING.format(here=str(HERE), code=code))
            found.append(
                Benchmark(f"b{number}", "planted", str(script), ("quick",), ("full",), {"fiftyone": "--fiftyone"})
            )
        monkeypatch.setattr(command, "BENCHMARKS", tuple(found))

    return plant


def run(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    code = command.main([*arguments, "--out", str(tmp_path / "out")])
    return code, json.loads((tmp_path / "out/table.json").read_text()), (tmp_path / "out/table.md").read_text()


@pytest.mark.parametrize(("arguments", "note"), [(["--quick"], "quick"), ([], "full")])
def test_rows_of_all_make_one_table(tmp_path: Path, planted: Any, arguments: list[str], note: str) -> None:
    planted(0, 0)
    code, figures, text = run(tmp_path, *arguments)
    assert code == 0
    assert [(row["stage"], row["labels"], row["note"]) for row in figures["rows"]] == [("sum", 20000, note)] * 2
    assert text.count("| annobridge | sum | 20,000 |") == 2
    assert f"Python {sys.version.split()[0]}" in text
    assert {"annobridge", "lancedb", "pyarrow", "cores", "date"} <= set(figures["measured_on"])


def test_one_that_fails_is_told_and_the_others_run(tmp_path: Path, planted: Any) -> None:
    planted(3, 0)
    code, figures, text = run(tmp_path)
    assert (code, len(figures["rows"])) == (1, 2)
    assert figures["failed"] == ["The benchmark 'b0' failed; its output says why."]
    assert "The benchmark 'b0' failed" in text


def test_only_those_that_are_named_run(tmp_path: Path, planted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    planted(0, 0)
    assert len(run(tmp_path, "b1")[1]["rows"]) == 1
    with pytest.raises(SystemExit):
        command.main(["b2"])
    assert "There is no benchmark 'b2'; give b0, b1." in capsys.readouterr().err


def test_a_peer_that_cannot_be_had_is_told_and_left_out(
    tmp_path: Path, planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(0)
    monkeypatch.setattr(environments, "_FOLDER", tmp_path / "cache")
    monkeypatch.setattr(environments, "PEERS", {"fiftyone": (str(tmp_path / "no-such-package"),)})
    code, figures, _ = run(tmp_path, "--quick", "--peers", "fiftyone")
    assert (code, figures["rows"][0]["note"]) == (0, "quick")
    (sentence,) = figures["failed"]
    assert sentence.startswith("An environment could not be made: ")
    assert not (tmp_path / "cache/fiftyone/.complete").exists()


def test_a_peer_is_given_to_the_benchmarks_that_know_it(
    tmp_path: Path, planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(0)
    monkeypatch.setattr(environments, "python_of", lambda name: Path(f"/{name}/python"))
    _, figures, _ = run(tmp_path, "--quick", "--peers", "fiftyone", "datumaro")
    assert figures["rows"][0]["note"] == "quick --fiftyone /fiftyone/python"


def test_the_rows_are_put_into_the_readme(tmp_path: Path, planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of others stay as they are, with the date on which they were measured."""
    planted(0)
    old = "| peer | sum | 20,000 | 9 | then |\n"
    readme = tmp_path / "README.md"
    readme.write_text(
        f"before\n{command.BEGIN}\nOld.\n\n| what |\n|---|\n| annobridge | sum | 20,000 | then |\n{old}{command.END}after\n"
    )
    monkeypatch.setattr(command, "README", readme)
    _, _, text = run(tmp_path, "--readme")
    assert readme.read_text() == f"before\n{command.BEGIN}\n{text}{old}\n{command.END}after\n"


def test_the_readme_has_a_place_for_the_table() -> None:
    text = (HERE / "README.md").read_text("utf-8")
    assert text.count(command.BEGIN) == text.count(command.END) == 1


def test_figures_without_a_tool_or_many_labels_have_a_dash() -> None:
    row = {
        "product": "p", "stage": "s", "labels": 6, "cpu_s": 0.1, "tool_s": 0.0, "own_s_per_million": None, "wall_s": 1,
        "peak_mib": 2, "note": "",
    }  # fmt: skip
    text = table.markdown(table.environment() | {"date": "2026-01-02"}, [row], [])
    assert "| p | s | 6 | 0.10 | – | – | 1.00 | 2 |  | 2026-01-02 |" in text


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda one: one.name)
def test_the_arguments_of_the_catalogue_are_those_of_the_scripts(benchmark: catalogue.Benchmark) -> None:
    """Each script takes the options that it is given; ``--help`` at the end keeps it from running."""
    given = [
        *benchmark.quick,
        *benchmark.full,
        *(part for option in benchmark.peers.values() for part in (option, "python")),
    ]
    done = subprocess.run(
        [sys.executable, HERE / benchmark.script, *given, "--help"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = {part for part in given if part.startswith("--")}
    assert wanted <= set(done.stdout.replace("[", " ").split()), (wanted, done.stdout)


def test_the_consensus_of_a_few_images(tmp_path: Path) -> None:
    """Each case runs, its quality is told, and a peer that fails is told without ending the others."""
    rows = tmp_path / "rows.jsonl"
    options = ["--images", "20", "--large", "20", "--settings", "many missed", "--people", "3"]
    done = subprocess.run(
        [sys.executable, HERE / "consensus.py", *options, "--datumaro", sys.executable],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), measure.ROWS: str(rows)},
    )  # fmt: skip
    found = {row["stage"]: row for row in map(json.loads, rows.read_text().splitlines())}
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{stage} failed: ModuleNotFoundError: No module named 'datumaro'"
        for stage in ("consensus of 3, many missed: 20 images", "200 boxes × 3: consensus, in memory")
    ]
    assert [*found] == [
        "consensus of 3, many missed: 20 images", "200 boxes × 3: consensus, in memory", "200 boxes × 3: three fields added",
        "200 boxes × 3: merge_annotations", "200 boxes × 3: compare_annotations",
    ]  # fmt: skip
    of_setting, in_memory, _, merged, compared = (row["note"] for row in found.values())
    assert re.fullmatch(
        QUALITY + "; [0-9]+ boxes left for a decision; best annotator 0\\.[0-9]{4} and 0\\.[0-9]{4}", of_setting
    )
    assert in_memory.split(";")[0] == merged.split(";")[0], "the dataset changes nothing about the consensus"
    assert re.fullmatch(QUALITY + "; [0-9]+ boxes added", merged)
    assert re.fullmatch("F1 of the pairs 0\\.[0-9]{3} to 0\\.[0-9]{3}", compared)
