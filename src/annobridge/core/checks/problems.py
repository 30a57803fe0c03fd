"""The sentences of ``check_task``, in one form: which labels, what is wrong, and the cure."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools

_NAMED = 3  # labels whose ids are in the sentence


def rows_problem(labels: pa.Table, where: Bools, what: str) -> list[str]:
    """A problem that some labels have.

    Args:
        labels: a table with the column ``label_id``.
        where: a boolean per row; true for the labels concerned.
        what: what is wrong, and after a semicolon the cure, in words that fit one label and several.

    Returns:
        One sentence with the number of labels and their first ids, or none where no row is concerned.

    >>> import numpy as np
    >>> labels = pa.table({"label_id": ["a", "b"]})
    >>> rows_problem(labels, np.array([False, True]), "a rotation, and the tool has none; set it to 0.")
    ['1 label (b): a rotation, and the tool has none; set it to 0.']
    """
    count = int(where.sum())
    if not count:
        return []
    ids = labels["label_id"].filter(pa.array(where)).slice(0, _NAMED).to_pylist()
    return [f"{count} label{'s' * (count > 1)} ({', '.join(ids)}{' …' * (count > _NAMED)}): {what}"]


def value_problem(
    field: str, name: str | None, texts: pa.Array | pa.ChunkedArray, misfit: Callable[[str], str | None]
) -> list[str]:
    """The first value of an attribute, or of a scalar, that the tool cannot hold.

    Args:
        field: the label field.
        name: the attribute; ``None`` for the value of a scalar.
        texts: the values, as JSON texts; nulls are skipped.
        misfit: says of a JSON text why it cannot be sent ("is not of the type int"), or ``None``. It is called once for
            each different text.

    Returns:
        One sentence, or none where all values fit.

    >>> value_problem("objects", "age", pa.array(["3", None, '"old"']), lambda text: "is no number" if '"' in text else None)
    ['objects: some labels have age = "old", which is no number; correct them, or the schema.']
    """
    for text in pc.unique(texts.drop_null()).to_pylist():
        if why := misfit(text):
            shown = text if len(text) <= 40 else f"{text[:39]}…"
            what = f"the value {shown}" if name is None else f"{name} = {shown}"
            return [f"{field}: some labels have {what}, which {why}; correct them, or the schema."]
    return []
