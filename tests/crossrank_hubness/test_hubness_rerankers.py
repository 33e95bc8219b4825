"""The rerankers against the functions on whole matrices, and what they refuse or tell."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
import crossrank_hubness as hub
from crossrank.errors import (
    CrossrankError,
    FeatureMismatchError,
    InputError,
    ParameterError,
    StoreError,
)
from toys.hubness import (
    Matrix,
    collection,
    naive_csls,
    naive_dsl,
    naive_invsoftmax,
    naive_nnn,
    naive_qbnorm,
    naive_sinkhorn,
    product,
    raw_scores,
    unit_rows,
    whole_lists,
    world,
)

NAMES = ("nnn", "csls", "invsoftmax", "qbnorm", "dualis", "dn", "dsl", "sinkhorn")
PARAMS: dict[str, dict[str, Any]] = {
    "nnn": {"k": 4, "alpha": 0.5},
    "csls": {"k": 4},
    "invsoftmax": {"beta": 9.0},
    "qbnorm": {"beta": 9.0, "k": 1},
    "dualis": {"beta1": 9.0, "beta2": 3.0},
    "dn": {},
    "dsl": {"beta": 9.0},
}


def expected(name: str, s: Matrix, bank: Matrix, within: Matrix) -> Matrix:
    """The loops, with `PARAMS`; `within` holds the products of the gallery with itself."""
    if name == "nnn":
        return naive_nnn(s, bank, 4, 0.5)
    if name == "csls":
        return naive_csls(s, bank, 4)
    if name == "invsoftmax":
        return naive_invsoftmax(s, bank, 9)
    if name == "qbnorm":
        return naive_qbnorm(s, bank, 9, 1)
    if name == "dualis":
        return naive_invsoftmax(s, bank, 9) * naive_invsoftmax(s, within, 3)
    return naive_dsl(s, 9)


@pytest.mark.parametrize("name", ["nnn", "csls", "invsoftmax", "qbnorm", "dualis"])
@pytest.mark.parametrize("transductive", [False, True])
def test_scores_are_those_of_the_loops(name: str, transductive: bool) -> None:
    queries, gallery, bank = world()
    given = "queries" if transductive else bank
    found = raw_scores(name, queries, gallery, bank=given, **PARAMS[name])
    s = product(queries, gallery)
    wanted = expected(
        name, s, s if transductive else product(bank, gallery), product(gallery, gallery)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_dsl_and_sinkhorn() -> None:
    queries, gallery, bank = world()
    s = product(queries, gallery)
    np.testing.assert_allclose(
        raw_scores("dsl", queries, gallery, beta=9.0), naive_dsl(s, 9), rtol=1e-5, atol=1e-6
    )
    both = np.concatenate([s, product(bank, gallery)])
    np.testing.assert_allclose(
        raw_scores("dsl", queries, gallery, beta=9.0, bank=bank),
        naive_dsl(both, 9)[: len(s)],
        rtol=1e-5,
        atol=1e-6,
    )
    found = raw_scores("sinkhorn", queries, gallery, temperature=0.2)
    np.testing.assert_allclose(found, naive_sinkhorn(s, 0.2, 2000), rtol=2e-5, atol=1e-9)


def test_dn_takes_both_means() -> None:
    queries, gallery, bank = world()
    others = collection("h", "image", unit_rows(np.random.default_rng(5), 17))
    for given, mean in (({}, gallery), ({"gallery_bank": others}, others)):
        wanted = hub.dn(
            queries["embedding"],
            gallery["embedding"],
            bank["embedding"].astype(np.float64).mean(axis=0),
            mean["embedding"].astype(np.float64).mean(axis=0),
        )
        found = raw_scores("dn", queries, gallery, bank=bank, **given)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_dualis_takes_a_gallery_bank() -> None:
    queries, gallery, bank = world()
    others = collection("h", "image", unit_rows(np.random.default_rng(5), 17))
    found = raw_scores("dualis", queries, gallery, bank=bank, gallery_bank=others, beta1=4.0)
    wanted = hub.dualis(
        product(queries, gallery), product(bank, gallery), product(others, gallery), 4, 5
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["invsoftmax", "dualis", "sinkhorn"])
def test_logarithms(name: str) -> None:
    queries, gallery, bank = world()
    params = {} if name == "sinkhorn" else {"bank": bank}
    plain = raw_scores(name, queries, gallery, **params)
    logarithms = raw_scores(name, queries, gallery, log=True, **params)
    np.testing.assert_allclose(logarithms, np.log(plain), rtol=1e-4, atol=1e-4)


def test_logarithms_of_dsl_and_qbnorm() -> None:
    rng = np.random.default_rng(3)
    rows = [np.abs(unit_rows(rng, count)) for count in (5, 20)]
    queries, gallery = collection("q", "text", rows[0]), collection("g", "image", rows[1])
    s = product(queries, gallery)
    assert (s > 0).all()
    found = raw_scores("dsl", queries, gallery, beta=5.0, log=True)
    np.testing.assert_allclose(found, np.log(naive_dsl(s, 5)), rtol=1e-4, atol=1e-5)
    wanted = hub.qbnorm(s, s[:1], 5.0, log=True)
    bank = collection("b", "text", rows[0][:1])
    found = raw_scores("qbnorm", queries, gallery, beta=5.0, log=True, bank=bank)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    best = s.argmax(axis=1)
    assert set(best) - set(best[:1]), "a query keeps s"


@pytest.mark.parametrize("name", ["invsoftmax", "qbnorm", "dsl"])
def test_what_float32_cannot_hold_names_the_way_out(name: str) -> None:
    queries, gallery, bank = world()
    with pytest.raises(ParameterError, match=f"{name}: .* lower beta or ask for log=True"):
        raw_scores(name, queries, gallery, bank=bank, beta=900.0)
    if name != "dsl":
        assert np.isfinite(
            raw_scores(name, queries, gallery, bank=bank, beta=900.0, log=True)
        ).all()


def test_dsl_has_no_logarithm_of_a_negative_similarity() -> None:
    queries = collection("q", "text", np.array([[1.0, 0.0]], np.float32))
    gallery = collection("g", "image", np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32))
    with pytest.raises(InputError, match="candidate 'g1' is -1, which has no logarithm"):
        raw_scores("dsl", queries, gallery, log=True)


@pytest.mark.parametrize("name", NAMES)
def test_short_lists_give_the_scores_of_whole_ones(name: str) -> None:
    queries, gallery, bank = world()
    params = {} if name == "sinkhorn" else {"bank": bank, **PARAMS[name]}
    whole = raw_scores(name, queries, gallery, **params)
    lists = cr.search(queries, gallery, depth=3)
    stage = cr.Stage(name, fusion=cr.Replace(), params=params)
    found = cr.Pipeline(stage).rerank(lists, queries, gallery)
    cut = np.take_along_axis(whole, found.index, axis=1)
    np.testing.assert_allclose(found.scores(name), cut, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["nnn", "csls", "invsoftmax", "qbnorm", "dualis", "dn"])
def test_a_bank_may_be_a_folder(name: str, tmp_path: Path) -> None:
    queries, gallery, bank = world()
    bank.save(tmp_path / "bank")
    given = [bank, tmp_path / "bank", str(tmp_path / "bank")]
    found = [raw_scores(name, queries, gallery, bank=each, **PARAMS[name]) for each in given]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    stages = [cr.Stage(name, params={"bank": each, **PARAMS[name]}) for each in given[1:]]
    assert len({stage.scorer.fingerprint() for stage in stages}) == 1
    other = cr.Stage(name, params={"bank": world(seed=1)[2], **PARAMS[name]})
    assert other.scorer.fingerprint() != stages[0].scorer.fingerprint()


def test_who_looks_at_other_queries_says_so() -> None:
    bank = world()[2]
    for name in NAMES:
        always = name in ("dsl", "sinkhorn")
        params = {} if name == "sinkhorn" else {"bank": bank}
        assert cr.Stage(name, params=params).scorer.info.transductive is always
        if not always:
            assert cr.Stage(name, params={"bank": "queries"}).scorer.info.transductive


def test_a_memory_budget_changes_nothing() -> None:
    queries, gallery, bank = world(gallery=700, bank=300)
    for name in NAMES:
        params = {} if name == "sinkhorn" else {"bank": bank, **PARAMS[name]}
        found = [
            raw_scores(name, queries, gallery, memory_budget=budget, **params)
            for budget in ("1GB", "300KB")
        ]
        np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_queries_in_the_bank_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery, bank = world()
    rows = np.concatenate([bank["embedding"], queries["embedding"][:4]])
    with caplog.at_level(logging.WARNING):
        raw_scores("nnn", queries, gallery, bank=collection("b", "text", rows), k=2)
    assert "nnn: 4 of the run's 9 queries stand in the bank too" in caplog.text


def test_zero_and_repeated_rows_are_told(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery, bank = world()
    rows = bank["embedding"].copy()
    rows[3] = 0
    rows[5] = rows[6]
    with caplog.at_level(logging.WARNING):
        raw_scores("csls", queries, gallery, bank=collection("b", "text", rows), k=2)
    assert "csls: 1 of the 30 items of the bank are zero" in caplog.text
    assert "csls: 1 of the 30 items of the bank repeat another one" in caplog.text


def test_a_bank_of_fewer_than_k_is_told(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery, bank = world()
    with caplog.at_level(logging.WARNING):
        found = raw_scores("nnn", queries, gallery, bank=bank, k=500)
    assert "k is 500, but the bank has only 30" in caplog.text
    s = product(bank, gallery)
    np.testing.assert_allclose(found, product(queries, gallery) - 0.75 * s.mean(axis=0), atol=1e-6)


def test_a_bank_of_the_other_side_is_told(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery, _ = world()
    with caplog.at_level(logging.WARNING):
        raw_scores("nnn", queries, gallery, bank=gallery, k=2)
    assert "the bank holds images where the run has texts" in caplog.text


def bad_banks() -> list[tuple[Any, type[CrossrankError], str]]:
    bank = world()[2]
    rows = bank["embedding"].copy()
    rows[7, 2] = np.nan
    other = collection("b", "text", bank["embedding"], encoder="other")
    return [
        (collection("b", "text", rows), InputError, "the embedding of 'b7' in the bank is not fin"),
        (collection("b", "text", rows[:0]), InputError, "the bank has no item"),
        (collection("b", "text", rows[:, :3]), FeatureMismatchError, "have size \\(3,\\)"),
        (other, FeatureMismatchError, "the bank was encoded with other"),
        ("nowhere", StoreError, "nowhere"),
        (7, ParameterError, "bank is 7; give a Collection"),
        (None, ParameterError, "bank is None; give a Collection"),
    ]


@pytest.mark.parametrize("case", range(len(bad_banks())))
def test_bad_banks(case: int) -> None:
    bank, kind, message = bad_banks()[case]
    queries, gallery, _ = world()
    queries = collection("q", "text", queries["embedding"], encoder="mine")
    with pytest.raises(kind, match=message):
        raw_scores("nnn", queries, gallery, bank=bank, k=2)


BAD_PARAMETERS: list[tuple[str, dict[str, Any], str]] = [
    ("nnn", {}, "nnn needs the parameter 'bank'"),
    ("nnn", {"bank": "queries", "k": 0}, "nnn: k is 0"),
    ("nnn", {"bank": "queries", "alpha": float("inf")}, "nnn: alpha is inf"),
    ("csls", {"bank": "queries", "k": 2.5}, "csls: k is 2.5"),
    ("invsoftmax", {"bank": "queries", "beta": 0}, "beta is 0; give a positive number"),
    ("invsoftmax", {"bank": "queries", "log": 1}, "log is 1; give true or false"),
    ("qbnorm", {"bank": "queries", "k": True}, "qbnorm: k is True"),
    ("dualis", {"bank": "queries", "beta2": -1}, "dualis: beta2 is -1"),
    ("dualis", {"bank": "queries", "gallery_bank": "queries"}, "gallery_bank is 'queries'"),
    ("dn", {"bank": "queries", "gallery_bank": 3}, "gallery_bank is 3"),
    ("dsl", {"beta": float("nan")}, "dsl: beta is nan"),
    ("sinkhorn", {"temperature": 0}, "sinkhorn: temperature is 0"),
    ("sinkhorn", {"bank": "queries"}, "sinkhorn has no parameter 'bank'"),
]


@pytest.mark.parametrize(("name", "params", "message"), BAD_PARAMETERS)
def test_bad_parameters(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cr.Stage(name, params=params)


def test_a_gallery_that_is_not_finite_is_refused() -> None:
    queries, gallery, bank = world()
    rows = gallery["embedding"].copy()
    rows[5, 0] = np.inf
    wrong = collection("g", "image", rows)
    lists = whole_lists(queries, gallery)
    for name in ("nnn", "qbnorm", "sinkhorn"):
        params = {} if name == "sinkhorn" else {"bank": bank}
        stage = cr.Stage(name, fusion=cr.Replace(), params=params)
        with pytest.raises(CrossrankError, match=r"'g5'|finite"):
            cr.Pipeline(stage).rerank(lists, queries, wrong)


def test_nnn_equals_the_package_of_its_authors() -> None:
    nnn = pytest.importorskip("nnn", reason="pip install nnn-retrieval==1.0.1")
    queries, gallery, bank = world(gallery=60, bank=50)
    ranker = nnn.NNNRanker(
        nnn.NNNRetriever(8),
        gallery["embedding"],
        bank["embedding"],
        alternate_ks=16,
        alternate_weight=0.75,
    )
    scores, index = ranker.search(queries["embedding"], top_k=60)
    theirs = np.empty(scores.shape)
    np.put_along_axis(theirs, index, scores, axis=1)
    ours = raw_scores("nnn", queries, gallery, bank=bank, k=16, alpha=0.75)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    np.testing.assert_allclose(
        hub.nnn(product(queries, gallery), product(bank, gallery), 16, 0.75), theirs, atol=2e-6
    )
