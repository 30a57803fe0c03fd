"""Every installed format of label files fulfils the contract."""

from __future__ import annotations

from annobridge.formats import registry
from annobridge.formats.common.file_format import FileFormat
from annobridge.testing import FormatContract

for _format in map(registry.get, registry.names()):
    if isinstance(_format, FileFormat):
        _class = f"Test_{_format.name.replace('-', '_').replace('.', '_')}"
        globals()[_class] = type(_class, (FormatContract,), {"format": _format, "__module__": __name__})
