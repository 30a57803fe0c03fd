"""The code of ``docs/extend/format.md`` runs as it stands: its module is a format, and its tests are run here."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/extend/format.md"
_module, _tests = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
_name = re.findall(r'"(\w+):BoxesFormat"', PAGE.read_text("utf-8"))[0]
sys.modules[_name] = types.ModuleType(_name)
exec(compile(_module, f"{PAGE.name}, the module", "exec"), sys.modules[_name].__dict__)
exec(compile(_tests, f"{PAGE.name}, the tests", "exec"))  # defines TestBoxes
