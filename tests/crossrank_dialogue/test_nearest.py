from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank_dialogue.nearest import Nearest


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 12),
    st.sampled_from(["float16", "float32", "float64"]),
    st.sampled_from([1e-8, 1.0, 1e4]),
)
def test_it_finds_what_the_search_finds_to_the_bit(
    seed: int, count: int, depth: int, kind: str, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    # few distinct numbers make ties, and near ties a hair apart
    rows = rng.integers(-2, 3, (count, 5)) + 1e-7 * rng.integers(0, 2, (count, 5))
    vector = np.array(rng.integers(-2, 3, 5) * scale, np.float64)
    gallery = cr.Collection(range(count), "image", embedding=rows.astype(kind))
    expected = cr.search(cr.Collection(["q"], "text", embedding=vector[None]), gallery, depth)
    found = Nearest(gallery)("q", vector, depth)
    assert found == expected and found.scores is not None and expected.scores is not None
    assert (found.index == expected.index).all() and (found.scores == expected.scores).all()


def test_steps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    gallery = cr.Collection(range(50), "image", embedding=rows)
    whole = Nearest(gallery)("q", rows[3].astype(float), 10)
    monkeypatch.setattr("crossrank_dialogue.nearest.STEP", 7)
    assert Nearest(gallery)("q", rows[3].astype(float), 10) == whole


def test_what_cannot_be_searched() -> None:
    rows = np.ones((3, 4))
    with pytest.raises(FeatureMismatchError, match="give the encoder that made the gallery"):
        Nearest(cr.Collection("abc", "image", embedding=rows))("q", np.ones(5), 2)
    rows[1, 2] = np.nan
    with pytest.raises(InputError, match="'b'"):
        Nearest(cr.Collection("abc", "image", embedding=rows))
    with pytest.raises(InputError, match="no matrix"):
        Nearest(cr.Collection("abc", "image", embedding=np.ones(3)))
