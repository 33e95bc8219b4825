"""HOSA by torch on a device, against the definition and against the processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import InputError, ParameterError
from crossrank.plugin import torch_device as devices
from crossrank.plugin.torch_pairs import scores_on_device
from crossrank.testing import check_reranker, make_collection
from crossrank_hosa.bases import factorise
from crossrank_hosa.device_kernel import factorise_on, local_scores, score_pairs_on
from crossrank_hosa.folding import to_fourier
from crossrank_hosa.reranker import HosaReranker
from toys.device import DEVICES, HERE, on_device
from toys.hosa_oracle import cosines, unit

SIZES = {"tokens": 48, "embedding": 48}


def ragged(rng: np.random.Generator, count: int, most: int, size: int) -> cr.Ragged:
    lengths = rng.integers(1, most + 1, count)
    return cr.Ragged(unit(rng.normal(size=(int(lengths.sum()), size))), lengths)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 9999),
    fold=st.integers(1, 5),
    ridge=st.sampled_from([0.0, 0.05, 3.0]),
    chunk=st.sampled_from([1, 1 << 14, 1 << 28]),
)
def test_pairs_are_rebuilt_as_the_definition_does(
    device: str, seed: int, fold: int, ridge: float, chunk: int
) -> None:
    rng = np.random.default_rng(seed)
    size = 7 * fold
    asked, listed = ragged(rng, 4, 5, size), ragged(rng, 6, 5, size)
    coordinates = cr.Ragged(to_fourier(listed.flat, fold), listed.lengths)
    queries = cr.Ragged(to_fourier(asked.flat, fold).astype(np.float32), asked.lengths)
    of_queries, of_gallery = rng.integers(0, 4, 15), rng.integers(0, 6, 15)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "CHUNK_BYTES", chunk)
        filters, singular = factorise_on(device, coordinates, fold, ridge)
        tables = cr.Ragged(
            np.stack([coordinates.flat, filters], axis=1).astype(np.float32), listed.lengths
        )
        found = score_pairs_on(device, queries, tables, of_queries, of_gallery, fold)
    assert not singular.any()
    for pair, (query, item) in enumerate(zip(of_queries, of_gallery, strict=True)):
        best = (asked[query] @ listed[item].T).max(axis=1).mean()
        assert found.alignment[pair] == pytest.approx(best, abs=2e-6)
        rebuilt = np.mean(cosines(asked[query], listed[item], fold, ridge))
        assert found.rebuilt[pair] == pytest.approx(rebuilt, abs=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_tokens_that_depend_on_each_other_and_tokens_of_zeros(device: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(9, 12))
    rows[1] = rows[0]
    rows[6:] = 0
    vectors = cr.Ragged(to_fourier(rows, 2), [3, 3, 3])
    assert factorise_on(device, vectors, 2, 0.0)[1].tolist() == [True, False, True]
    filters, singular = factorise_on(device, vectors, 2, 0.3)
    assert not singular.any()
    for item in range(3):
        own = filters[3 * item : 3 * item + 3]
        here = factorise(vectors[item], 2, 0.3)
        np.testing.assert_allclose(own[:, :6].T @ own[:, :6], here[:, :6].T @ here[:, :6])
        np.testing.assert_allclose(own[:, 6:].T @ own[:, 6:], here[:, 6:].T @ here[:, 6:])
    assert (filters[6:] == 0).all()


@pytest.mark.parametrize("rebuilds", [False, True])
def test_no_pair_is_read_back_alone(rebuilds: bool) -> None:
    """On the device ``meta`` there are no values, so reading one would be an error."""
    rng = np.random.default_rng(1)
    asked, listed = ragged(rng, 3, 4, 15), ragged(rng, 5, 6, 15)
    tables = cr.Ragged(np.stack([listed.flat] * (2 if rebuilds else 1), axis=1), listed.lengths)
    pairs = rng.integers(0, 3, 8), rng.integers(0, 5, 8)

    def work(queries: Any, candidates: Any) -> Any:
        return local_scores(queries, candidates, 3, rebuilds)

    assert scores_on_device("hosa", "meta", asked, tables, *pairs, work, 2, 16).shape == (2, 8)


SIDES = [make_collection(modality, 8, dimensions=SIZES) for modality in ("text", "image")]


@pytest.mark.parametrize(
    "check",
    [
        check
        for queries, gallery in (SIDES, SIDES[::-1])
        for check in check_reranker(on_device(HosaReranker), queries=queries, gallery=gallery)
    ],
)
def test_the_promises(check: Callable[[], None]) -> None:
    check()


def rerank(device: str, direction: str = "t2i", **options: Any) -> np.ndarray[Any, Any]:
    cache = options.pop("cache_folder", None)
    queries, gallery = SIDES if direction == "t2i" else SIDES[::-1]
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    pipeline = cr.Pipeline(cr.Stage("hosa", fusion=cr.Replace(), params=options))
    found = pipeline.rerank(lists, queries, gallery, device=device, cache_folder=cache)
    return found.to_similarity()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize(
    "params", [{}, {"fold": 3, "ridge": 0.1}, {"beta": 0}, {"interaction": "mean"}]
)
def test_a_run_on_a_device_scores_as_one_without(
    device: str, direction: str, params: dict[str, Any]
) -> None:
    here = rerank("cpu", direction, **params)
    np.testing.assert_allclose(rerank(device, direction, **params), here, atol=3e-6)


def test_the_device_both_factorises_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rerank(HERE, cache_folder=tmp_path)
    rerank("cpu", cache_folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # each keeps what it computed itself
    for name in ("gallery.factorise", "reranker.score_pairs"):
        monkeypatch.setattr(f"crossrank_hosa.{name}", None)
    rerank(HERE)


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(ParameterError, match="hosa: torch cannot use the device 'nonsense'"):
        rerank("nonsense")
    images = make_collection("image", 3, dimensions=SIZES)
    tokens = images["tokens"]
    item = int(np.argmax(tokens.lengths))
    rows, first = np.array(tokens.flat), int(tokens.offsets[item])
    rows[first + 1] = rows[first]
    images = images.with_features(tokens=cr.Ragged(rows, tokens.lengths))
    texts = make_collection("text", 2, dimensions=SIZES)
    lists = cr.Candidates.from_lists(
        {id: list(images.ids) for id in texts.ids}, candidate_ids=images.ids
    )
    params = {"ridge": 0.0, "fold": 2}
    pipeline = cr.Pipeline(cr.Stage("hosa", fusion=cr.Replace(), params=params))
    said = rf"hosa: candidate '{images.ids[item]}': .* depend on each other"
    with pytest.raises(InputError, match=said):
        pipeline.rerank(lists, texts, images, device=HERE)
