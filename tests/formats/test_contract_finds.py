"""The contract of formats finds mistakes: ``MUTANTS`` are changes of the format in ``docs/extend/format.md``, each with its law."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from annobridge.formats.common.export import ExportData
from annobridge.formats.common.fidelity import KEPT, Fidelity
from annobridge.formats.common.file_format import FileFormat
from annobridge.testing import FormatContract

PAGE = Path(__file__).resolve().parents[2] / "docs/extend/format.md"
_names: dict[str, Any] = {}
exec(compile(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0], PAGE.name, "exec"), _names)
Boxes: type[FileFormat] = _names["BoxesFormat"]
BOX = Fidelity(kinds={"box": KEPT}, splits=True)
SURVIVES = "test_what_is_declared_survives_and_nothing_is_lost"
_times = itertools.count()
IS_TOLD = "test_what_is_lost_is_told_with_its_count"


def _without_first(self: Any, *arguments: Any) -> Iterator[pa.Table]:
    for table in Boxes.read(self, *arguments):
        yield table.slice(1)


def _of_another_class(self: Any, *arguments: Any) -> Iterator[pa.Table]:
    for table in Boxes.read(self, *arguments):
        yield table.set_column(table.column_names.index("label"), "label", pa.array(["car"] * len(table), pa.string()))


def _rounded(self: Any, *arguments: Any) -> Iterator[pa.Table]:
    for table in Boxes.read(self, *arguments):
        boxes = [[round(n, 2) for n in box] for box in table["bounding_box"].to_pylist()]
        column = pa.array(boxes, table.schema.field("bounding_box").type)
        yield table.set_column(table.column_names.index("bounding_box"), "bounding_box", column)


def _bare(self: Any, archive: Any, *arguments: Any) -> Iterator[pa.Table]:
    for name in archive.by_suffix.get(".boxes", ()):
        archive.read(name).decode()
    return Boxes.read(self, archive, *arguments)


def _timed(self: Any, data: ExportData, options: Any) -> None:
    Boxes.write_files(self, data, options)
    (data.folder / "log").write_text(str(next(_times)))


def _telling_nothing(self: Any, *_: Any) -> list[Any]:
    return []


MUTANTS: dict[str, tuple[dict[str, Any], str]] = {
    "claims confidences": ({"fidelity": replace(BOX, confidence=True)}, SURVIVES),
    "claims rotations": ({"fidelity": replace(BOX, rotation=True)}, SURVIVES),
    "claims an attribute": ({"fidelity": replace(BOX, attributes=frozenset({"colour"}))}, SURVIVES),
    "claims polygons": ({"fidelity": replace(BOX, kinds={"box": KEPT, "polygon": KEPT})}, SURVIVES),
    "does not declare splits": ({"fidelity": replace(BOX, splits=False)}, SURVIVES),
    "forgets a label": ({"read": _without_first}, SURVIVES),
    "confuses classes": ({"read": _of_another_class}, SURVIVES),
    "rounds positions": ({"read": _rounded}, SURVIVES),
    "tells no loss": ({"_losses": _telling_nothing}, IS_TOLD),
    "takes classes that do not fit": (
        {"prepare": FileFormat.prepare}, "test_classes_of_all_names_survive_or_are_refused",
    ),
    "writes what differs": ({"write_files": _timed}, "test_two_writes_are_equal_however_the_samples_are_read"),
    "does not know its own files": ({"detect": lambda *_: None}, "test_an_export_is_recognised_and_no_other_format_takes_it"),
    "takes every folder": ({"detect": lambda *_: "why not"}, "test_a_folder_of_images_alone_is_not_recognised"),
    "raises errors of Python": ({"read": _bare}, "test_damaged_label_files_end_well[replaced]"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_found(tmp_path: Path, name: str) -> None:
    changes, law = MUTANTS[name]
    mutant = type("Mutant", (Boxes,), {**changes, "name": "boxes"})
    contract = type("Contract", (FormatContract,), {"format": mutant()})()
    contract.use(tmp_path)
    method, _, argument = law.rstrip("]").partition("[")
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(contract, method, *([argument] if argument else []))


def run(contract: FormatContract, method: str, *arguments: str) -> None:
    """Run a law; one of Hypothesis until it fails first, as nobody reads its smallest example here."""
    law = getattr(FormatContract, method)
    if not hasattr(law, "hypothesis"):
        law(contract, *arguments)
        return

    @settings(
        max_examples=20,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(st.data())
    def generated(data: st.DataObject) -> None:
        law.hypothesis.inner_test(contract, data)

    generated()
