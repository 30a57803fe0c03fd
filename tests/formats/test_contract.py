"""Every installed format of label files fulfils the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.formats.contract_examples import EXAMPLES

from annobridge.formats import registry
from annobridge.formats.common.file_format import FileFormat
from annobridge.testing import FormatContract
from annobridge.testing.format_contract.archives import ArchiveLaws
from annobridge.testing.format_contract.damage import DamageLaws


class _ReadingLaws(ArchiveLaws, DamageLaws):
    """The laws of reading, for formats whose labels are not those of the other laws: their examples are made by hand."""

    def example(self, folder: Path) -> Path:
        return EXAMPLES[self.format.name](folder)


for _format in map(registry.get, registry.names()):
    if isinstance(_format, FileFormat):
        _class = f"Test_{_format.name.replace('-', '_').replace('.', '_')}"
        _laws: type[Any] = _ReadingLaws if _format.name in EXAMPLES else FormatContract
        globals()[_class] = type(_class, (_laws,), {"format": _format, "__module__": __name__})
