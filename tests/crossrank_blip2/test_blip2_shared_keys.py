"""Keys and values of an image: computed once, and what they give is what the model gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import crossrank as cr
from crossrank_blip2 import Blip2Reranker, backend_of
from crossrank_blip2.grouping import grouped
from crossrank_qperturb import QPerturbReranker
from toys import tiny_blip2
from toys.blip2 import CountingBackend, LavisShaped, run


class Unshared(CountingBackend):
    """Leaves the cross-attention to the model."""

    @property
    def cross_attentions(self) -> tuple[Any, ...]:
        return ()


@pytest.mark.parametrize("reranker", [Blip2Reranker, QPerturbReranker])
@pytest.mark.parametrize("batch_size", [3, 7, 64])
def test_scores_are_those_of_the_model_left_to_itself(
    reranker: Any,
    batch_size: int,
    exact_model: Any,
    tokenizer: Any,
    texts: cr.Collection,
    images: cr.Collection,
) -> None:
    found = [
        run(reranker(model=each, batch_size=batch_size), texts, images).to_similarity()
        for each in (CountingBackend(exact_model, tokenizer), Unshared(exact_model, tokenizer))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.parametrize("shaped", [False, True], ids=["transformers", "LAVIS"])
def test_keys_are_computed_once_per_image(
    shaped: bool, tokenizer: Any, texts: cr.Collection, images: cr.Collection
) -> None:
    model = tiny_blip2.make_model()
    backend = backend_of(LavisShaped(model, tokenizer)) if shaped else backend_of(model, tokenizer)
    rows = dict.fromkeys(backend.cross_attentions, 0)
    assert len(rows) >= 1

    def count(attention: Any) -> Any:
        def hook(module: Any, given: Any, found: Any) -> None:
            rows[attention] += len(given[0]) if given[0].shape[1] > 1 else 0

        return hook

    for attention in rows:
        attention.key.register_forward_hook(count(attention))
    run(Blip2Reranker(model=backend, score="itm", batch_size=5), texts, images)
    assert set(rows.values()) == {len(images)}


def test_an_attention_of_another_kind_is_left_to_itself(tokenizer: Any) -> None:
    model = tiny_blip2.make_model()
    attentions = backend_of(model, tokenizer).cross_attentions
    attentions[-1].position_embedding_type = "relative_key"
    assert backend_of(model, tokenizer).cross_attentions == ()


def test_nothing_stays_behind(tokenizer: Any, texts: cr.Collection, images: cr.Collection) -> None:
    model = tiny_blip2.make_model()
    run(Blip2Reranker(model=model, tokenizer=tokenizer), texts, images)
    assert not any(_hooks(module) for module in model.modules())


def _hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_a_group_has_one_image_and_each_pair_a_place_of_its_own(images: list[int]) -> None:
    groups = grouped(np.array(images))
    np.testing.assert_array_equal(groups.images[groups.group], images)
    assert groups.place.min() >= 0
    assert groups.place.max() < groups.size
    assert len({*zip(groups.group, groups.place, strict=True)}) == len(images)
    assert len(groups.images) < 2 * len(set(images)) or len(groups.images) == 1
    assert len(groups.images) * groups.size < 4 * len(images) or len(images) == 1
