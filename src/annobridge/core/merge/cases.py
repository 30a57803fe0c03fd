"""Cases: what happened on both sides to each label that the tool changed. Every label has exactly one case."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import Bools


class Case(IntEnum):
    """What happened to one label, and so what the merge does.

    The tool's change is relative to the baseline, and so is ours. "theirs" and "ours" are the policy; the cases that
    depend on it are conflicts, and listed as such under every policy.

        in the tool   in the dataset    case                with "theirs"       with "ours"
        ------------  ----------------  ------------------  ------------------  -----------------
        added         absent            ADD                 add it              add it
        added         there, equal      ADDED_ON_BOTH       –                   –
        added         there, different  ADDED_DIFFERENTLY   take its values     keep ours
        edited        there             EDIT                component by component: see ``merge_components``
        edited        deleted           EDITED_AND_DELETED  put it back         leave it deleted
        deleted       unchanged         DELETE              delete it           delete it
        deleted       changed           DELETED_AND_EDITED  delete it           keep ours
        deleted       deleted           DELETED_ON_BOTH     –                   –
        any           any               REFUSED             nothing is done: not allowed, or a second label of its sample

    A label gets a new baseline row if the tool and the dataset agree after the merge. There is none after REFUSED, and where ours
    was kept, so that the next plan shows the difference again. ``decide`` applies the policy, or what people decided.
    """

    REFUSED = 0
    ADD = 1
    ADDED_ON_BOTH = 2
    ADDED_DIFFERENTLY = 3
    EDIT = 4
    EDITED_AND_DELETED = 5
    DELETE = 6
    DELETED_AND_EDITED = 7
    DELETED_ON_BOTH = 8


def classify(
    *, add: Bools, edit: Bools, delete: Bools, here: Bools, changed_here: Bools, different: Bools
) -> npt.NDArray[np.int64]:
    """The ``Case`` of each row.

    ``add``, ``edit`` and ``delete`` are what the tool did and may do, at most one of them at a row. ``here``: the dataset has
    the label. ``changed_here``: in it, somebody changed the label since the baseline. ``different``: it has a new label of
    the tool with other values.

    >>> yes, no = np.array([True]), np.array([False])
    >>> Case(classify(add=no, edit=no, delete=yes, here=yes, changed_here=yes, different=no)[0])
    <Case.DELETED_AND_EDITED: 7>
    """
    table = [
        (add & ~here, Case.ADD),
        (add & here & ~different, Case.ADDED_ON_BOTH),
        (add & here & different, Case.ADDED_DIFFERENTLY),
        (edit & here, Case.EDIT),
        (edit & ~here, Case.EDITED_AND_DELETED),
        (delete & here & ~changed_here, Case.DELETE),
        (delete & here & changed_here, Case.DELETED_AND_EDITED),
        (delete & ~here, Case.DELETED_ON_BOTH),
    ]
    return np.select([where for where, _ in table], [int(case) for _, case in table], int(Case.REFUSED))


class Decisions(NamedTuple):
    """What the merge does, by row."""

    add: Bools  # write the tool's new label
    restore: Bools  # write a label again that was deleted here
    overwrite: Bools  # write the tool's values into a label of ours that has its id
    delete: Bools
    agreed: Bools  # new labels that both sides have afterwards, with the same values
    settled: Bools  # labels that neither side has afterwards


def decide(case: npt.NDArray[np.int64], theirs_wins: Bools) -> Decisions:
    """What happens to each row: the columns of the table in ``Case``, by who wins there. Edits are decided by component."""
    overwrite = (case == Case.ADDED_DIFFERENTLY) & theirs_wins
    delete = (case == Case.DELETE) | ((case == Case.DELETED_AND_EDITED) & theirs_wins)
    return Decisions(
        add=case == Case.ADD,
        restore=(case == Case.EDITED_AND_DELETED) & theirs_wins,
        overwrite=overwrite,
        delete=delete,
        agreed=(case == Case.ADD) | (case == Case.ADDED_ON_BOTH) | overwrite,
        settled=delete | (case == Case.DELETED_ON_BOTH),
    )
