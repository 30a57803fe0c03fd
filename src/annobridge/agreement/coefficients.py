"""Coefficients of agreement beyond chance: Cohen's kappa of two annotators, Krippendorff's alpha of all."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.agreement.compare import BETWEEN, CLASS
from ..exceptions import ConfigError

COEFFICIENTS = pa.schema(
    [
        pa.field("component", pa.string()),  # class, or the name of an attribute
        pa.field("coefficient", pa.string()),  # kappa | alpha
        pa.field("left", pa.string()),  # of kappa: the annotators
        pa.field("right", pa.string()),
        pa.field("units", pa.int64()),  # what both, or several of all, said something about
        pa.field("value", pa.float64()),  # 1: all agree; 0: as by chance; null where all say the same thing everywhere
    ]
)


def coefficients(matches: pa.Table, values: pa.Table, units: pa.Table) -> pa.Table:
    """``COEFFICIENTS`` of the counts of ``core.agreement.compare``.

    Kappa is about objects that both annotators have: their classes, and their attributes. Alpha is about all objects: one that
    somebody saw and does not have counts as a class of its own.

    Raises:
        ConfigError: the packages of ``annobridge[agreement]`` are not installed.
    """
    rows: list[dict[str, Any]] = []
    classes = [row for row in matches.to_pylist() if row["left_class"] is not None and row["right_class"] is not None]
    rows += _kappas(CLASS, classes, "left_class", "right_class")
    for name in sorted(set(values["attribute"].to_pylist())):
        of_attribute = [row for row in values.to_pylist() if row["attribute"] == name]
        rows += _kappas(name, of_attribute, "left_value", "right_value")
    for name in dict.fromkeys(units["component"].to_pylist()):
        rows.append(_alpha(name, [row for row in units.to_pylist() if row["component"] == name]))
    return pa.Table.from_pylist(rows, COEFFICIENTS)


def _kappas(component: str, rows: list[dict[str, Any]], left: str, right: str) -> list[dict[str, Any]]:
    try:
        from sklearn.metrics import cohen_kappa_score
    except ImportError as error:
        raise _missing() from error
    found = []
    for pair in dict.fromkeys((row["left"], row["right"]) for row in rows):
        mine = [row for row in rows if (row["left"], row["right"]) == pair]
        sides = [[str(row[side]) for row in mine] for side in (left, right)]
        counts = [row["count"] for row in mine]
        varied = len({*sides[0], *sides[1]}) > 1
        value = float(cohen_kappa_score(*sides, sample_weight=counts)) if varied else None
        found.append(
            {"component": component, "coefficient": "kappa", "left": pair[0], "right": pair[1], "units": sum(counts),
             "value": value}
        )  # fmt: skip
    return found


def _alpha(component: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        import krippendorff
    except ImportError as error:
        raise _missing() from error
    given = [(Counter(row["answers"].split(BETWEEN)), row["count"]) for row in rows]
    units = [(texts, count) for texts, count in given if texts.total() > 1]  # what several said something about
    known = sorted({text for texts, _ in units for text in texts})
    counts = np.array([count for _, count in units], np.int64)
    value = None
    if len(known) > 1:
        said = np.array([[texts[text] for text in known] for texts, _ in units])
        data = np.repeat(said, counts, axis=0)
        value = float(krippendorff.alpha(value_counts=data, level_of_measurement="nominal"))
    return {"component": component, "coefficient": "alpha", "units": int(counts.sum()), "value": value}


def _missing() -> ConfigError:
    return ConfigError(
        "The coefficients of agreement need scikit-learn and krippendorff; install them with: pip install 'annobridge[agreement]'."
    )
