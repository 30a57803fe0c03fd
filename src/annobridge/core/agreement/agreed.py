"""What becomes of each label of a consensus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_array, as_mask, choose, list_array, set_columns, take_rows
from ..labels import COMPONENTS
from ..merge.disputed import DISPUTED
from ..review.values import EXISTENCE
from .attribute_votes import AttributeVotes, voted_attributes
from .classes import Classes, with_classes
from .given import Answered
from .groups import Groups, Quorum
from .known import Known, track_numbers
from .similar import OF_IMAGES
from .votes import ROUNDING, Votes


@dataclass
class Agreed:
    """The consensus on some samples.

    Attributes:
        labels: ``REMOTE``. ``confidence`` is the share of those who saw the image that have the object, with this class, and
            ``annotator`` has the names of all who have it.
        samples: the samples that somebody answered.
        disputed: ``DISPUTED``.
        counts: how many there were of each kind, for ``sentences``.
    """

    labels: pa.Table
    samples: pa.Array
    disputed: pa.Table
    counts: Counter[str]


def sentences(counts: Counter[str]) -> list[str]:
    """What a consensus did, a sentence each."""
    texts = {
        "alone": "{:,} samples were answered by one person only; their labels were taken as they are.",
        "places": "{:,} labels are in different places in different answers; that of most was taken, if there is one.",
        "attributes": "{:,} attributes have another value, or none, in as many answers; the first value by the alphabet was taken.",
        "frames": "{:,} frames of tracks are in fewer answers than the quorum, and were left out of their tracks.",
    }
    return [text.format(counts[name]) for name, text in texts.items() if counts[name]]


class Outcome:
    """What becomes of each label of a consensus. One that an earlier load has brought stays until nobody has it.
    One that all who have it have drawn twice is treated as one that fewer have.

    those who have it   in the baseline   its class, or place   what becomes of it
    ------------------  ----------------  --------------------  ----------------------------------------------
    the quorum          any               one wins              it is in the result
    the quorum          no                none wins             it is in the result, its existence is disputed
    the quorum          yes               none wins             it is in the result, its class or shape is disputed; with
                                                                ``copied``, also its existence
    fewer               yes               any                   it is not in the result, which is disputed; with ``copied``, as a
                                                                new one
    fewer               no                any                   it is in the result, which is disputed;
                                                                of a track that has the quorum, it is left out
    fewer               by a load         any                   it stays as that load has brought it
    """

    def __init__(
        self, labels: pa.Table, groups: Groups, merged: pa.Table, base: pa.Table, known: Known, codes: Classes,
        votes: Votes, answered: Answered, quorum: Quorum, copied: Collection[str], is_double: Bools,
    ) -> None:  # fmt: skip
        self._labels, self._groups, self._merged, self._base = labels, groups, merged, base
        self._known, self._codes, self._votes, self._answered, self._quorum = known, codes, votes, answered, quorum
        members, of_group = groups.members, groups.clusters
        self._have = np.bincount(members.groups, minlength=len(of_group))
        is_known = known.rows >= 0
        is_copied = is_known & as_mask(
            pc.is_in(take_rows(base, known.rows)["field"], value_set=pa.array(list(copied), pa.string()))
        )
        few = ~quorum.has & ~known.is_accepted
        self._as_brought = ~quorum.has & known.is_accepted
        self._double = is_double[of_group] & quorum.has & ~known.is_accepted
        self._left_out = few & ~is_known & (votes.total[of_group] >= quorum.needed)
        self._few = few & ~self._left_out
        few |= self._double
        self._stays = ~(few & is_known & ~is_copied) & ~self._left_out
        tie = votes.is_tie[of_group] & quorum.has & ~few
        self._tie_of_existence, self._tie_of_class = tie & (~is_known | is_copied), tie & is_known
        alike = np.bincount(members.groups, members.weights * groups.is_alike, len(of_group))
        has_shape = ~as_mask(pc.is_in(merged["kind"], pa.array(OF_IMAGES)))
        self._elsewhere = has_shape & quorum.has & ~few & (alike < quorum.weight - ROUNDING)
        loses = self._elsewhere & ((alike < quorum.needed) | (2 * alike <= quorum.weight + ROUNDING))
        self._place_of_existence, self._place = loses & (~is_known | is_copied) & ~tie, loses & is_known

    def agreed(self) -> Agreed:
        """The consensus."""
        value = self._votes.value[self._groups.clusters]
        attributes = self._attributes(value)
        counts = Counter(
            alone=int((self._answered.people == 1).sum()),
            places=int(self._elsewhere.sum()),
            attributes=int(attributes.ties[self._stays & ~self._as_brought].sum()),
            frames=int(self._left_out.sum()),
        )
        rows = take_rows(self._rows(value, attributes.column), np.flatnonzero(self._stays))
        return Agreed(rows, self._answered.samples, self._disputed(), counts)

    def _attributes(self, value: Ints) -> AttributeVotes:
        """The attributes of all labels, by the vote of those who gave the class that each label gets; of all who have it, where
        there is no such class, or, in a frame of a track, nobody gave it.
        """
        members = self._groups.members
        voters = self._codes.of_label[members.rows] == value[members.groups]
        have_voters = np.bincount(members.groups, voters, len(value)) > 0
        voters |= (~have_voters | self._votes.is_tie[self._groups.clusters])[members.groups]
        sent = as_array(take_rows(self._base, self._known.rows)["attributes"])
        return voted_attributes(self._labels, members, voters, sent, self._known.rows >= 0)

    def _rows(self, value: Ints, attributes: pa.Array) -> pa.Table:
        """All labels, with the class, attributes and identity that they get."""
        merged, members = with_classes(self._merged, self._codes, value), self._groups.members
        kept = take_rows(self._base, self._known.rows)
        if self._as_brought.any():
            names = [*COMPONENTS["spatial"], *COMPONENTS["label"]]
            merged = set_columns(merged, **{n: choose(self._as_brought, kept[n], merged[n]) for n in names})
            attributes = choose(self._as_brought, kept["attributes"], attributes)
        names_of_all = list_array(self._have, as_array(self._labels["annotator"]).take(pa.array(members.rows)))
        return set_columns(
            merged,
            label_id=kept["label_id"],
            field=pc.coalesce(as_array(kept["field"]), as_array(merged["field"])),
            remote_id=self._known.remote_ids,
            index=track_numbers(merged, self._groups.clusters, self._base, self._known.rows),
            attributes=attributes,
            confidence=pa.array(np.minimum(1.0, self._votes.weight[self._groups.clusters] / self._quorum.seen)),
            annotator=pc.binary_join(names_of_all, ", "),
        )

    def _disputed(self) -> pa.Table:
        counts = [f"{have} of {people} annotators have it" for have, people in self._counts(self._few)]
        twice = [
            f"its {have} annotators, of {n}, have another one in its place" for have, n in self._counts(self._double)
        ]
        found = [self._of(EXISTENCE, self._few, counts), self._of(EXISTENCE, self._double, twice)]
        for component, where in ((EXISTENCE, self._tie_of_existence), ("label", self._tie_of_class)):
            found.append(self._of(component, where, [self._classes_given(n) for n in np.flatnonzero(where).tolist()]))
        for component, where in ((EXISTENCE, self._place_of_existence), ("spatial", self._place)):
            found.append(self._of(component, where, ["annotators have it in different places"] * int(where.sum())))
        return pa.concat_tables(found)

    def _counts(self, where: Bools) -> list[tuple[int, int]]:
        """How many have each label, and how many saw its image."""
        return list(zip(self._have[where].tolist(), self._quorum.people[where].tolist(), strict=True))

    def _classes_given(self, number: int) -> str:
        """Who gave which class, of one label. Row by row, as ties are few."""
        members = self._groups.members
        rows = members.rows[slice(*np.searchsorted(members.groups, [number, number + 1]))]
        names = self._labels["annotator"].take(pa.array(rows)).to_pylist()
        classes = self._codes.texts.take(pa.array(self._codes.of_label[rows])).to_pylist()
        return (
            f"annotators differ about the class: {', '.join(f'{c} ({n})' for c, n in zip(classes, names, strict=True))}"
        )

    def _of(self, component: str, where: Bools, reasons: list[str]) -> pa.Table:
        at = pa.array(np.flatnonzero(where))
        columns = {
            "sample_id": self._merged["sample_id"].take(at),
            "remote_id": self._known.remote_ids.take(at),
            "component": pa.repeat(component, len(at)),
            "reason": pa.array(reasons, pa.string()),
        }
        return pa.table(columns, DISPUTED)
