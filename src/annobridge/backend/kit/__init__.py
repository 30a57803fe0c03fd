"""Building blocks for backends: what most tools need to check, encode and decode labels. Nothing in here is obligatory.

===============================  =======================================================================================
names                            for
===============================  =======================================================================================
rows_problem, value_problem      the sentences of ``check_task``: which labels, or which values, the tool cannot hold
value_types, attribute_type      the type of a scalar field, told from its values, where a tool stores texts only
choice_text, choices_text        choices as the plain strings that tools show (``plain``), and back to JSON texts
attribute_row,                   the ``attributes`` of a single label, from JSON texts
changed_attributes
FlatPoints                       the ``points`` column as one array of coordinates, in pixels or relative, and back
pair                             which of the tool's objects is which of those that were sent, by content
sent_of, keep_sent               values that nobody changed, kept exactly as they were sent
===============================  =======================================================================================

Those that formats need as well are in ``annobridge.core``. Import them all from here.
"""

from ...core.checks.problems import rows_problem, value_problem
from ...core.choice_text import choice_text, choices_text, plain
from ...core.flat_points import FlatPoints
from ...core.pairing import pair
from ...core.unchanged import keep_sent, sent_of
from .attributes import attribute_row, changed_attributes
from .scalars import attribute_type, value_types

__all__ = [
    "FlatPoints",
    "attribute_row",
    "attribute_type",
    "changed_attributes",
    "choice_text",
    "choices_text",
    "keep_sent",
    "pair",
    "plain",
    "rows_problem",
    "sent_of",
    "value_problem",
    "value_types",
]
