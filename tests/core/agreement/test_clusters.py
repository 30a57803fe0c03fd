"""Clusters: at most one object of each annotator, and the same for any order of the pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.agreement.clusters import clusters
from annobridge.core.agreement.similar import Pairs


@st.composite
def graphs(draw: st.DrawFn) -> tuple[np.ndarray, Pairs]:
    """Objects of some annotators, and pairs of objects of different ones."""
    annotators = np.array(draw(st.lists(st.integers(0, 3), min_size=1, max_size=12)))
    possible = [
        (i, j) for i in range(len(annotators)) for j in range(i + 1, len(annotators)) if annotators[i] != annotators[j]
    ]
    chosen = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    scores = draw(st.lists(st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]), min_size=len(chosen), max_size=len(chosen)))
    left, right = (np.array([pair[n] for pair in chosen], np.int64) for n in (0, 1))
    return annotators, Pairs(left, right, np.array(scores, float))


@given(graphs(), st.randoms(use_true_random=False))
def test_a_cluster_has_one_object_of_each_annotator_and_a_centre(graph: tuple[np.ndarray, Pairs], random) -> None:  # type: ignore[no-untyped-def]
    annotators, pairs = graph
    found = clusters(annotators, pairs, pairs.similarity)
    linked = set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    for number in np.unique(found):
        members = np.flatnonzero(found == number).tolist()
        assert len(set(annotators[members].tolist())) == len(members)
        centres = [c for c in members if all(c == m or (min(c, m), max(c, m)) in linked for m in members)]
        assert centres
    order = list(range(len(pairs.left)))
    random.shuffle(order)
    shuffled = pairs.take(np.array(order, np.int64))
    assert clusters(annotators, shuffled, shuffled.similarity).tolist() == found.tolist()


def test_an_object_that_was_drawn_twice_stays_alone() -> None:
    # 0 of alice; 1 and 2 of bob, the second is the better one; 3 of carol
    pairs = Pairs(np.array([0, 0, 0, 1, 2]), np.array([1, 2, 3, 3, 3]), np.array([0.7, 0.9, 0.9, 0.7, 0.9]))
    assert clusters(np.array([0, 1, 1, 2]), pairs, pairs.similarity).tolist() == [0, 1, 0, 0]


def test_a_chain_is_not_one_object() -> None:
    pairs = Pairs(np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([0.9, 0.9, 0.6]))
    assert clusters(np.array([0, 1, 2, 3]), pairs, pairs.similarity).tolist() == [0, 0, 0, 1]


def test_without_pairs_each_object_is_its_own() -> None:
    nothing = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert clusters(np.array([0, 0, 1]), nothing, nothing.similarity).tolist() == [0, 1, 2]
