"""The command line: ``./bench [NAME…]``, or ``python -m benchmarks`` where the project is installed."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import environments, table
from .catalogue import BENCHMARKS, Benchmark
from .measure import ROWS

HERE = Path(__file__).parent
README = HERE / "README.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for, and write the table; 1 if a benchmark failed."""
    given = _parse(arguments)
    chosen = [one for one in BENCHMARKS if not given.names or one.name in given.names]
    pythons, sentences = _peers(given.peers)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="annobridge-bench-") as folder:
        rows_file = Path(folder) / "rows.jsonl"
        rows_file.touch()
        for benchmark in chosen:
            print(f"\n== {benchmark.name}: {benchmark.title}", flush=True)
            command = [*_command(benchmark, given.quick), *_peer_options(benchmark, pythons)]
            try:
                done = subprocess.run(
                    command, check=False, timeout=given.deadline, env={**os.environ, ROWS: str(rows_file)}, cwd=folder
                )
                sentence = f"The benchmark {benchmark.name!r} failed; its output says why." if done.returncode else ""
            except subprocess.TimeoutExpired:
                sentence = f"The benchmark {benchmark.name!r} was ended after {given.deadline} s; see --deadline."
            failed += bool(sentence)
            sentences += [sentence] if sentence else []
        rows = [json.loads(line) for line in rows_file.read_text().splitlines()]
    measured_on = table.environment() | {"quick": given.quick}
    text = table.markdown(measured_on, rows, sentences)
    print(f"\n{text}")
    _write(given, text, json.dumps({"measured_on": measured_on, "rows": rows, "failed": sentences}, indent=1))
    return 1 if failed else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    lines = "\n".join(f"  {one.name:9} {one.title}" for one in BENCHMARKS)
    parser = argparse.ArgumentParser(
        "bench", description=f"Measure CPU seconds, wall time and memory, and write one table.\n\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the list above; all of them")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a few minutes in all")
    parser.add_argument("--peers", nargs="+", default=[], choices=environments.PEERS, help="measure these beside")
    parser.add_argument(
        "--out", type=Path, default=HERE.parent / "build/benchmarks", help="folder of table.md and table.json"
    )
    parser.add_argument(
        "--readme", action="store_true", help="put what was measured into the table of benchmarks/README.md too"
    )
    parser.add_argument("--deadline", type=float, default=3600, metavar="SECONDS", help="for one benchmark (3600)")
    given = parser.parse_args(arguments)
    known = [one.name for one in BENCHMARKS]
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"There is no benchmark {unknown[0]!r}; give {', '.join(known)}.")
    return given


def _peers(names: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """The Python of each peer, and a sentence for each that cannot be measured here."""
    pythons, sentences = {}, []
    for name in names:
        try:
            pythons[name] = environments.python_of(name)
        except environments.Unavailable as error:
            sentences.append(str(error))
            print(error, file=sys.stderr)
    return pythons, sentences


def _command(benchmark: Benchmark, quick: bool) -> list[str]:
    return [sys.executable, str(HERE / benchmark.script), *(benchmark.quick if quick else benchmark.full)]


def _peer_options(benchmark: Benchmark, pythons: dict[str, Path]) -> Iterator[str]:
    for peer, option in benchmark.peers.items():
        if peer in pythons:
            yield from (option, str(pythons[peer]))


def _write(given: argparse.Namespace, text: str, figures: str) -> None:
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "table.md").write_text(text)
    (given.out / "table.json").write_text(figures + "\n")
    if given.readme:
        before, _, rest = README.read_text("utf-8").partition(BEGIN)
        old, _, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}\n{table.updated(old, text)}\n{END}{after}", "utf-8")
    print(f"Written to {given.out}.")


if __name__ == "__main__":
    sys.exit(main())
