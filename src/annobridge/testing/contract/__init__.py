"""The contract of backends, as a class of pytest tests. Inherit from it, and write how labels are edited in your tool:

    class TestMine(BackendContract):
        backend = MyBackend

        def options(self):
            return {"url": "http://127.0.0.1:8000"}

        def tool(self, results):
            return MyTool(results)          # has edit, delete and add: annobridge.testing.Tool

Each test is a law. A law that needs something which the backend does not declare in its ``Capabilities`` is skipped with the
reason. A law that is about no label type in particular is tried with the first type that the backend declares, boxes before
all others. A tool may round coordinates: they are compared within ``precision``.
"""

from .adopted import AdoptedLaws
from .answered import AnsweredLaws
from .base import Tool
from .life import LifeLaws
from .merged import MergedLaws
from .pushed import PushedLaws
from .returned import ReturnedLaws
from .schema import SchemaLaws
from .sent import SentLaws
from .sent_back import SentBackLaws

__all__ = ["BackendContract", "Tool"]


class BackendContract(
    ReturnedLaws, SchemaLaws, MergedLaws, SentLaws, SentBackLaws, PushedLaws, AdoptedLaws, AnsweredLaws, LifeLaws
):
    """The laws for one backend. Inherit from this class, under a name that begins with ``Test``; ``Laws`` says what to set."""
