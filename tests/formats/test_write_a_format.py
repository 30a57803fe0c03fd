"""The code of ``docs/extend/format.md`` runs as it stands: its module is a format, and its tests are run here."""

from __future__ import annotations

from tests.docs.pages import ROOT, make_module

PAGE = ROOT / "docs/extend/format.md"
_, _tests = make_module(PAGE, "BoxesFormat")
exec(compile(_tests, f"{PAGE.name}, the tests", "exec"))  # defines TestBoxes
