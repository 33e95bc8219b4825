"""The functions against the published vectors, against loops, and under hostile numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import crossrank_hubness as hub
from crossrank.errors import InputError, ParameterError
from toys.hubness import (
    S_BANK,
    Matrix,
    S,
    naive_csls,
    naive_dsl,
    naive_invsoftmax,
    naive_nnn,
    naive_qbnorm,
    naive_sinkhorn,
)

EXACT = 1e-12

VECTORS: dict[str, tuple[Callable[[], Matrix], list[list[float]]]] = {
    "csls": (
        lambda: hub.csls(S, S_BANK, 2),
        [[0.25, -0.1, -1.15], [-0.025, -0.075, -0.825], [-0.675, -0.225, 0.025]],
    ),
    "nnn": (
        lambda: hub.nnn(S, S_BANK, 2, 0.75),
        [[0.375, 0.1625, -0.275], [0.175, 0.1125, -0.175], [-0.225, -0.0375, 0.175]],
    ),
    "invsoftmax": (
        lambda: hub.invsoftmax(S, S_BANK, 10),
        [
            [2.387125635, 0.241782517, 0.005653303],
            [0.323062324, 0.14664851, 0.01536727],
            [0.005917093, 0.032721705, 0.508894088],
        ],
    ),
    "qbnorm": (
        lambda: hub.qbnorm(S, S_BANK, 10),
        [
            [0.9, 0.8, 0.1],
            [0.323062324, 0.14664851, 0.01536727],
            [0.005917093, 0.032721705, 0.508894088],
        ],
    ),
    "dsl": (
        lambda: hub.dsl(S, 10),
        [
            [0.790990418, 0.459277594, 0.001066833],
            [0.083260265, 0.261155571, 0.005799904],
            [0.000653556, 0.046617347, 0.528182685],
        ],
    ),
    "dn": (
        lambda: hub.dn([[1.0, 0.0], [0.6, 0.8]], [[0.8, 0.6], [0.0, 1.0]], [0.7, 0.1], [0.2, 0.4]),
        [[0.435, -0.105], [0.475, 0.575]],
    ),
    "sinkhorn": (
        lambda: hub.sinkhorn(S, 0.1),
        [
            [0.228517704, 0.10259669, 0.00221894],
            [0.103934125, 0.209128578, 0.02027063],
            [0.000881504, 0.021608065, 0.310843764],
        ],
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name: str) -> None:
    compute, expected = VECTORS[name]
    found = compute()
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=6e-10)


sizes = st.integers(1, 6)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Matrix, Matrix, Matrix]:
    """Similarities of queries, of a bank and of a gallery bank to the same candidates."""
    entries = st.floats(-1, 1, width=32)
    columns = draw(sizes)
    made = [draw(arrays(np.float64, (draw(sizes), columns), elements=entries)) for _ in range(3)]
    return made[0], made[1], made[2]


@settings(deadline=None, max_examples=50)
@given(cases(), st.integers(1, 8), st.floats(-2, 2), st.floats(0.01, 60))
def test_functions_equal_loops(
    case: tuple[Matrix, Matrix, Matrix], k: int, alpha: float, beta: float
) -> None:
    s, bank, gallery_bank = case
    near: dict[str, Any] = {"rtol": 1e-10, "atol": EXACT}
    np.testing.assert_allclose(hub.nnn(s, bank, k, alpha), naive_nnn(s, bank, k, alpha), **near)
    np.testing.assert_allclose(hub.csls(s, bank, k), naive_csls(s, bank, k), **near)
    shared = naive_invsoftmax(s, bank, beta)
    np.testing.assert_allclose(hub.invsoftmax(s, bank, beta), shared, **near)
    np.testing.assert_allclose(hub.invsoftmax(s, bank, beta, log=True), np.log(shared), **near)
    np.testing.assert_allclose(hub.qbnorm(s, bank, beta, k), naive_qbnorm(s, bank, beta, k), **near)
    np.testing.assert_allclose(hub.dsl(s, beta), naive_dsl(s, beta), **near)
    both = shared * naive_invsoftmax(s, gallery_bank, beta / 2)
    np.testing.assert_allclose(hub.dualis(s, bank, gallery_bank, beta, beta / 2), both, **near)


@settings(deadline=None, max_examples=50)
@given(cases(), st.sampled_from([0.5, 2.0]))
def test_sinkhorn_balances(case: tuple[Matrix, Matrix, Matrix], temperature: float) -> None:
    s = case[0]
    plan = hub.sinkhorn(s, temperature)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / len(s), rtol=1e-8)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / s.shape[1], rtol=1e-8)
    expected = naive_sinkhorn(s, temperature, 500)
    settled = np.abs(expected.sum(axis=1) * len(s) - 1).max() < 1e-9
    if settled:
        np.testing.assert_allclose(plan, expected, rtol=1e-6, atol=EXACT)


@settings(deadline=None, max_examples=50)
@given(cases(), st.floats(-0.5, 0.5))
def test_a_candidate_that_is_nearer_to_all_gains_nothing(
    case: tuple[Matrix, Matrix, Matrix], more: float
) -> None:
    s, bank, _ = case
    lift = np.zeros(s.shape[1])
    lift[0] = more
    for found, expected in (
        (hub.nnn(s + lift, bank + lift, 3, 1.0), hub.nnn(s, bank, 3, 1.0)),
        (hub.invsoftmax(s + lift, bank + lift, 9.0), hub.invsoftmax(s, bank, 9.0)),
        (hub.sinkhorn(s + lift, 0.3), hub.sinkhorn(s, 0.3)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_nothing_is_changed_in_place() -> None:
    s, bank = S.copy(), S_BANK.copy()
    hub.qbnorm(s, bank, 10)
    hub.csls(s, bank, 2)
    hub.dualis(s, bank, bank, 10, 10)
    hub.sinkhorn(s, 0.1)
    np.testing.assert_array_equal(s, S)
    np.testing.assert_array_equal(bank, S_BANK)


def test_logit_scaled_input_neither_overflows_nor_loses_its_order() -> None:
    found = hub.qbnorm(100 * S, 100 * S_BANK, 20, log=True)
    assert np.isfinite(found).all()
    order = np.argsort(hub.invsoftmax(100 * S, 100 * S_BANK, 20, log=True), axis=1)
    small = 2000 * S - np.max(2000 * S_BANK, axis=0)
    np.testing.assert_array_equal(order, np.argsort(small, axis=1))
    with pytest.raises(ParameterError, match="overflow; lower beta, or ask for log=True"):
        hub.invsoftmax(100 * S, 100 * S_BANK, 100)
    with pytest.raises(ParameterError, match="all scores of row 0 vanish; lower beta"):
        hub.invsoftmax(100 * S - 200, 100 * S_BANK, 20)


def test_sinkhorn_that_does_not_settle_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        plan = hub.sinkhorn([[1.0, -1.0], [-1.0, -1.0]], 0.1)
    assert "a higher temperature than 0.1 settles sooner" in caplog.text
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 2, rtol=1e-9)


def test_sinkhorn_of_a_low_temperature() -> None:
    near = hub.sinkhorn(S, 0.02)
    np.testing.assert_allclose(np.diag(near), 1 / 3, atol=1e-2)
    np.testing.assert_allclose(near.sum(axis=0), 1 / 3, rtol=1e-3)
    found = hub.sinkhorn(S, 1e-3, log=True)
    assert np.isfinite(found).all()


def test_a_bank_of_fewer_than_k_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = hub.nnn(S, S_BANK, 128, 0.75)
    np.testing.assert_allclose(found, S - 0.75 * S_BANK.mean(axis=0), atol=EXACT)
    assert "k is 128, but the bank has only 4; all of them are used" in caplog.text


@pytest.mark.parametrize("name", ["csls", "nnn", "invsoftmax", "qbnorm"])
def test_no_query_and_no_candidate(name: str) -> None:
    function = getattr(hub, name)
    assert function(np.zeros((0, 3)), S_BANK, 2).shape == (0, 3)
    assert function(np.zeros((2, 0)), np.zeros((4, 0)), 2).shape == (2, 0)


def test_no_query_and_no_candidate_of_the_others() -> None:
    for shape in ((0, 3), (2, 0), (0, 0)):
        assert hub.dsl(np.zeros(shape), 1.0).shape == shape
        assert hub.sinkhorn(np.zeros(shape), 1.0).shape == shape


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: hub.nnn(S[0], S_BANK, 2), InputError, "s has shape \\(3,\\)"),
    (lambda: hub.nnn(S, S_BANK[:, :2], 2), InputError, "s has 3 candidates and s_bank has 2"),
    (lambda: hub.nnn(S, S_BANK[:0], 2), InputError, "s_bank has no row"),
    (lambda: hub.csls(S, S_BANK, 0), ParameterError, "k is 0"),
    (lambda: hub.csls(S, S_BANK, 1.5), ParameterError, "k is 1.5"),  # type: ignore[arg-type]
    (lambda: hub.nnn(S, S_BANK, 2, float("nan")), ParameterError, "alpha is nan"),
    (lambda: hub.invsoftmax(S, S_BANK, 0), ParameterError, "beta is 0"),
    (lambda: hub.invsoftmax(S, S_BANK, float("inf")), ParameterError, "beta is inf"),
    (lambda: hub.sinkhorn(S, -1), ParameterError, "temperature is -1"),
    (lambda: hub.dualis(S, S_BANK, S_BANK[:, :1], 1, 1), InputError, "s_gallery_bank has 1"),
    (lambda: hub.dsl(np.where(S > 0.85, np.nan, S), 1), InputError, "s\\[0, 0\\] is nan"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_bad_input(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
