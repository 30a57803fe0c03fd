"""Samples of a dataset that a caller names, as a view or by their ids."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from ..exceptions import InvalidOption
from ..store.stores import Stores
from ..store.views import Stage, resolve


def stages_of(stores: Stores, given: Any, argument: str) -> tuple[Stage, ...]:
    """The stages of a view of a dataset, or one that selects samples by their ids, in their order.

    Raises ``InvalidOption``, with the name of the argument, for a view of another dataset, for what is neither a view nor ids, and
    for an id that is given twice; ``SampleNotFound`` for an id that the dataset does not have.
    """
    if (stages := getattr(given, "stages", None)) is not None:
        if (other := given.stores.database.uri) != stores.database.uri:
            raise InvalidOption(
                f"The view is one of the dataset {other!r}, and this is {stores.database.uri!r}; give a view of this dataset."
            )
        return tuple(stages)
    ids = _ids(given, argument)
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise InvalidOption(f"The sample {twice[0]!r} is given twice; give each sample once.")
    stores.samples.require(pa.array(ids, pa.string()), "correct the id, or leave it out")
    return ({"verb": "select", "ids": ids, "ordered": True},)


def _ids(given: Any, argument: str) -> list[str]:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise InvalidOption(f"{argument}= is {reprlib.repr(given)}; give a view, or the ids of samples.")
    ids = list(given)
    if wrong := [one for one in ids if not isinstance(one, str)]:
        raise InvalidOption(f"{argument}= has {reprlib.repr(wrong[0])}; the ids of samples are texts.")
    return ids


def where_argument(stores: Stores, where: Any) -> pa.Array | None:
    """The ids of the samples of an argument ``where``; ``None`` if it is not given. Raises ``InvalidOption``."""
    if where is None:
        return None
    selected = resolve(stores, stages_of(stores, where, "where"))
    if selected.label_filters:
        raise InvalidOption("where= selects samples, and the view filters labels too; leave filter_labels out.")
    if not len(selected.sample_ids):
        raise InvalidOption(
            "where= selects no sample: the view, or the list of ids, is empty; give samples that were sent, or leave where= out."
        )
    return selected.sample_ids
