"""Building blocks for backends: what most tools need to check, encode and decode labels. Nothing in here is obligatory.

============  ==========================================================================================================
module        for
============  ==========================================================================================================
problems      the sentences of ``check_task``: which labels, or which values, the tool cannot hold
scalars       the type of a scalar field, told from its values, where a tool stores texts only
choices       choices as the plain strings that tools show, and back to JSON texts
attributes    the ``attributes`` of a single label, from JSON texts
points        the ``points`` column as one array of coordinates, in pixels or relative, and back
pairing       which of the tool's objects is which of those that were sent, by content
baseline      values that nobody changed, kept exactly as they were sent
============  ==========================================================================================================

Everything can be imported from here.
"""

from .attributes import attribute_row, changed_attributes
from .baseline import keep_sent, sent_of
from .choices import choice_text, choices_text, plain
from .pairing import pair
from .points import FlatPoints
from .problems import rows_problem, value_problem
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
