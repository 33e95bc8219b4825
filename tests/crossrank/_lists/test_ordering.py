"""Orders and ranks, against sorting in Python by the one tie rule."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossrank._lists.ordering import by_rank, order_rows, ranks


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[list[float]], list[list[bool]]]:
    depth, count = draw(st.integers(0, 6)), draw(st.integers(1, 4))
    scores = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=depth, max_size=depth)
    taken = st.lists(st.booleans(), min_size=depth, max_size=depth)
    return (
        draw(st.lists(scores, min_size=count, max_size=count)),
        draw(st.lists(taken, min_size=count, max_size=count)),
    )


@given(rows())
def test_the_tie_rule_and_its_way_back(given: tuple[list[list[float]], list[list[bool]]]) -> None:
    scores, taken = (np.array(each).reshape(len(given[0]), -1) for each in given)
    ties = np.broadcast_to(np.arange(scores.shape[1])[::-1], scores.shape)
    order = order_rows(taken.astype(bool), scores.astype(float), ties)
    for row, places in enumerate(order.tolist()):
        counted = [place for place in range(scores.shape[1]) if taken[row, place]]
        wanted = sorted(counted, key=lambda place: (-scores[row, place], ties[row, place]))
        assert places[: len(counted)] == wanted
        assert sorted(places) == list(range(scores.shape[1]))
    assert np.array_equal(by_rank(ranks(order)), order)
