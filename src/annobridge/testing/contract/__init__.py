"""The laws that every backend obeys, ours and yours. Inherit, say how a person edits in the tool, and run pytest:

    class TestMine(BackendContract):
        backend = MyBackend

        def tool(self, results):            # a person at your tool: edit, delete, add
            return MyHands(results)

A law that needs something which the backend does not declare in its ``Capabilities`` is skipped by name, so that what a
tool cannot do is seen. A law that is about no label type in particular is tried on the first type that the backend
declares, boxes before all others. A tool may round: coordinates are compared as closely as ``precision`` says.
"""

from .base import Tool
from .merged import MergedLaws
from .returned import ReturnedLaws
from .schema import SchemaLaws
from .sent import SentLaws

__all__ = ["BackendContract", "Tool"]


class BackendContract(ReturnedLaws, SchemaLaws, MergedLaws, SentLaws):
    """Inherit from this; the name of the subclass begins with ``Test``."""
