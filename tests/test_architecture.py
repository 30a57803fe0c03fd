"""The rooms keep their doors: who may import whom, read off the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
BACKENDS = ROOT / "backends"
PURE = {"pyarrow", "numpy", "pydantic", "scipy", "annobridge"}
BASE = {"entry_points", "exceptions", "processes"}
ROOMS = {  # package: the packages that it may import, besides itself and BASE
    "core": set(),
    "spill": set(),
    "display": set(),
    "checks": {"core"},
    "executors": set(),
    "store": {"core", "spill"},
    "backend": {"core"},
    "formats": {"core", "spill", "store"},
    "settings": {"backend", "checks", "core", "display", "executors"},
    "jobs": {"core", "executors", "settings"},
    "ingest": {"core", "display", "formats", "spill", "store"},
    "bridge": {"backend", "checks", "core", "display", "formats", "jobs", "settings", "spill", "store"},
    "review": {"bridge", "core", "display", "store"},
    "doctor": {"core", "spill", "store"},
    "media": {"core", "display", "spill", "store"},
    "history": {"bridge", "core", "display", "spill", "store"},  # a difference has the tables of the bridge's plans
    "agreement": {"backend", "bridge", "core", "display", "store"},
    "dataset": {
        "agreement", "backend", "bridge", "core", "display", "doctor", "formats", "history", "ingest", "jobs", "media",
        "store",
    },
    "io": {"core", "dataset", "display", "formats", "ingest", "jobs", "store"},
    "demo": {"backend", "bridge", "core", "dataset"},
}  # fmt: skip
PLUGIN_MAY = {"backend", "core", "exceptions", "formats", "spill"}


def imports(path: Path, root: Path) -> Iterator[str]:
    """The absolute names of the modules that a file imports."""
    package = path.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from ([name] if node.module else (f"{name}.{a.name}" for a in node.names))


def ours(path: Path, root: Path) -> set[str]:
    """The rooms of annobridge that a file looks into."""
    return {name.split(".")[1] for name in imports(path, root) if name.startswith("annobridge.")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_its_neighbours_only(room: str) -> None:
    for path in (SRC / "annobridge" / room).rglob("*.py"):
        assert ours(path, SRC) <= ROOMS[room] | BASE | {room}, path


def test_core_is_pure() -> None:
    import sys

    for path in (SRC / "annobridge" / "core").rglob("*.py"):
        outside = {name.split(".")[0] for name in imports(path, SRC)} - PURE - set(sys.stdlib_module_names)
        assert not outside, path


def test_only_the_store_knows_lancedb() -> None:
    for path in SRC.rglob("*.py"):
        if "store" not in path.parts:
            assert not {"lance", "lancedb"} & {name.split(".")[0] for name in imports(path, SRC)}, path


def test_plugins_use_the_protocol_only() -> None:
    for path in BACKENDS.rglob("*.py"):
        assert ours(path, BACKENDS) <= PLUGIN_MAY, path
        assert "annobridge" not in set(imports(path, BACKENDS)), path


def test_no_backend_is_known_by_name() -> None:
    names = {p.name.removeprefix("annobridge_") for p in BACKENDS.iterdir() if p.is_dir()}
    for room in ("core", "store", "backend"):
        for path in (SRC / "annobridge" / room).rglob("*.py"):
            strings = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
            assert not names & strings, path


def test_no_module_and_no_function_is_crowded() -> None:
    for path in [*SRC.rglob("*.py"), *BACKENDS.rglob("*.py")]:
        text = path.read_text()
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                docstring = ast.get_docstring(node, clean=False) or ""
                lines = (node.end_lineno or 0) - node.lineno - docstring.count("\n")
                assert lines <= 50, f"{path}: {node.name}"


def modules() -> dict[str, Path]:
    """Every module of the wheel by its absolute name."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for root in (SRC, BACKENDS)
        for path in root.rglob("*.py")
    }


def imported(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that a file imports, wherever in it, with those of names that are modules themselves."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = {f"{module}.{alias.name}" for alias in node.names}
            found.update(names & known.keys() or {module})
    return (found & known.keys()) - {name}


def test_no_import_goes_in_a_circle() -> None:
    known = modules()
    lazy = {"annobridge"}  # loads its names when they are asked for
    graph = {name: imported(name, path, known) - lazy for name, path in known.items() if name not in lazy}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_nothing_reaches_into_the_private_parts_of_another_module() -> None:
    for path in modules().values():
        tree = ast.parse(path.read_text())
        own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        own |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
        own |= {s.value for n in ast.walk(tree) for s in ast.walk(n) if isinstance(s, ast.Constant)}  # __slots__
        own |= {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr) and not of_itself(node.value):
                assert node.attr in own | THIRD_PARTY, f"{path}:{node.lineno}: {node.attr}"
            if isinstance(node, ast.ImportFrom):
                assert not [a.name for a in node.names if is_private(a.name) and a.asname is None], path


def of_itself(value: ast.expr) -> bool:
    """Whether it is ``self``, ``cls`` or ``super()``."""
    name = value.func if isinstance(value, ast.Call) else value
    return isinstance(name, ast.Name) and name.id in ("self", "cls", "super")


THIRD_PARTY = {"_asdict", "_fields", "_replace", "_Element"}  # of named tuples; the type of lxml's elements


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
