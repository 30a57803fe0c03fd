"""Samples of a dataset that a caller names, as a view or by their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ..exceptions import InvalidOption
from ..store.stores import Stores
from ..store.views import Stage, resolve


def stages_of(stores: Stores, given: Any) -> tuple[Stage, ...]:
    """The stages of a view of a dataset, or one that selects samples by their ids, in their order.

    Raises ``InvalidOption`` for a view of another dataset, and for an id that is given twice; ``SampleNotFound`` for an id that the
    dataset does not have.
    """
    if (stages := getattr(given, "stages", None)) is not None:
        if (other := given.stores.database.uri) != stores.database.uri:
            raise InvalidOption(
                f"The view is one of the dataset {other!r}, and this is {stores.database.uri!r}; give a view of this dataset."
            )
        return tuple(stages)
    ids: Sequence[str] = [given] if isinstance(given, str) else list(given)
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise InvalidOption(f"The sample {twice[0]!r} is given twice; give each sample once.")
    stores.samples.require(pa.array(ids, pa.string()), "correct the id, or leave it out")
    return ({"verb": "select", "ids": ids, "ordered": True},)


def where_argument(stores: Stores, where: Any) -> pa.Array | None:
    """The ids of the samples of an argument ``where``; ``None`` if it is not given. Raises ``InvalidOption``."""
    if where is None:
        return None
    selected = resolve(stores, stages_of(stores, where))
    if selected.label_filters:
        raise InvalidOption("where= selects samples, and the view filters labels too; leave filter_labels out.")
    return selected.sample_ids
