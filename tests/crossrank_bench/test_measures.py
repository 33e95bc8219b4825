"""The measures against loops, with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank.errors import InputError
from crossrank_bench import average_precision
from crossrank_bench.measures import choice, pairs, share_interval

SMALL = st.integers(0, 3)


@given(st.lists(st.tuples(SMALL, st.booleans()), min_size=1, max_size=8))
def test_average_precision_is_that_of_the_worst_order_of_ties(
    items: list[tuple[int, bool]],
) -> None:
    if not any(right for _, right in items):
        return
    ranked = sorted(items, key=lambda item: (-item[0], item[1]))
    found, total = 0, 0.0
    for rank, (_, right) in enumerate(ranked, 1):
        if right:
            found += 1
            total += found / rank
    scores, relevant = zip(*items, strict=True)
    assert average_precision(scores, relevant) == pytest.approx(total / found)


def test_average_precision_refuses_what_has_none() -> None:
    with pytest.raises(InputError, match="relevant"):
        average_precision([1.0], [False])
    with pytest.raises(InputError, match="shapes"):
        average_precision([1.0, 2.0], [True])


@given(st.lists(SMALL, min_size=4, max_size=4))
def test_pairs_by_the_definition(values: list[int]) -> None:
    s = np.array(values, float).reshape(2, 2)
    found = pairs(s)
    text = s[0, 0] > s[0, 1] and s[1, 1] > s[1, 0]
    image = s[0, 0] > s[1, 0] and s[1, 1] > s[0, 1]
    assert found.values == {"text": text, "image": image, "group": text and image}
    assert found.tied == _equal(s)


def _equal(s: np.ndarray) -> bool:
    return bool(
        s[0, 0] == s[0, 1] or s[1, 1] == s[1, 0] or s[0, 0] == s[1, 0] or s[1, 1] == s[0, 1]
    )


@given(SMALL, st.lists(SMALL, min_size=1, max_size=4))
def test_a_choice_is_right_above_all_others(right: int, others: list[int]) -> None:
    found = choice(np.array([[right, *others]], float))
    assert found.values["accuracy"] == float(all(right > other for other in others))
    assert found.tied == (right == max(others))


def test_wilson_s_interval_of_published_values() -> None:
    low, high = share_interval(15, 148)  # Newcombe 1998, case (b)
    assert low / 100 == pytest.approx(0.0624, abs=1e-4)
    assert high / 100 == pytest.approx(0.1605, abs=1e-4)
    assert share_interval(0, 20)[0] == 0.0 and share_interval(0, 20)[1] == pytest.approx(
        16.11, abs=0.01
    )
