from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crossrank.errors import InputError
from crossrank.evaluation import winoground

SCORES = arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.just(2), st.just(2)),
    elements=st.integers(-2, 2).map(float),
)


@given(SCORES)
def test_equals_loops(scores: np.ndarray) -> None:
    text = image = group = ties = 0
    for s in scores.tolist():
        by_text = s[0][0] > s[0][1] and s[1][1] > s[1][0]
        by_image = s[0][0] > s[1][0] and s[1][1] > s[0][1]
        text, image, group = text + by_text, image + by_image, group + (by_text and by_image)
        ties += any(own == other for own in (s[0][0], s[1][1]) for other in (s[0][1], s[1][0]))
    found = winoground(scores)
    counts = (text, image, group)
    expected = [100 * count / len(scores) for count in counts]
    assert [found.text, found.image, found.group] == pytest.approx(expected)
    assert (found.ties, found.items) == (ties, len(scores))


def test_a_tie_is_a_miss_and_is_counted() -> None:
    found = winoground([[[1.0, 1.0], [0.0, 2.0]]])
    assert (found.text, found.image, found.group, found.ties) == (0, 100, 0, 1)


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (np.zeros((3, 2, 3)), r"shape \(3, 2, 3\); give \[n, 2, 2\]"),
        (np.zeros((0, 2, 2)), "no item"),
        (np.full((2, 2, 2), np.nan), "item 0 has the score NaN"),
    ],
)
def test_bad_scores(scores: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        winoground(scores)  # type: ignore[arg-type]
