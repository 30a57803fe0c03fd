"""The contract of formats of label files, as a class of pytest tests. Inherit from it, and say which format:

    class TestMine(FormatContract):
        format = MyFormat()

Each test is a law. What a format keeps is compared with its ``fidelity``: what it says survives must survive exactly, and what
does not must be counted by ``losses`` and told by an export. All that is in an archive or a label file may be damaged or made to
harm: reading ends with a report or one ``AnnobridgeError``. ``options`` are options of writing for all laws, ``reading`` those of
reading. A format that is read only overrides ``example``, and the laws about writing are skipped.
"""

from .archives import ArchiveLaws
from .damage import DamageLaws
from .exports import ExportLaws
from .written import WrittenLaws

__all__ = ["FormatContract"]


class FormatContract(WrittenLaws, ExportLaws, ArchiveLaws, DamageLaws):
    """The laws for one format. Inherit from this class, under a name that begins with ``Test``; ``Laws`` says what to set."""
