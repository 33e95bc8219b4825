"""The reranker ``vlm_listwise``: a model puts a few candidates at a time in order."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank.plugin.contents import Content
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import checked, integer
from crossrank_vlm.parameters import VlmParameters
from crossrank_vlm.reranker import VlmReranker

logger = logging.getLogger(__name__)

NUMBER = re.compile(r"\d+")
TOKENS_A_NUMBER = 6
"""Of ``[12] > ``, at most."""


@dataclass(frozen=True, slots=True)
class ListwiseParameters(VlmParameters):
    """Those of ``vlm``, and how many candidates are put in order at a time.

    Parameters
    ----------
    window
        How many candidates a prompt shows.
    stride
        How far the window moves up the list each time.

    Raises
    ------
    ParameterError
        If a value cannot be.
    """

    window: int = 4
    stride: int = 2

    def __post_init__(self) -> None:
        VlmParameters.__post_init__(self)
        checked("vlm_listwise", "window", self.window, integer(2))
        checked("vlm_listwise", "stride", self.stride, integer(1))
        if self.stride >= self.window:
            raise ParameterError(
                f"vlm_listwise: stride is {self.stride}, and windows of {self.window} would not "
                "overlap; give a smaller one"
            )


class VlmListwiseReranker(VlmReranker):
    """Lets a vision–language model write down the order of a few candidates at a time.

    A window of 4 moves from the bottom of the base order to its top in strides of 2, so that the
    best of the list can rise all the way.  The model answers ``[2] > [1] > [4] > [3]``; an answer
    that is no permutation leaves its window as it was.  The score is minus the final place, so a
    pair's depends on its list: fuse by `Replace` or `RRF`.

    Attributes
    ----------
    windows, malformed : int
        How many windows were shown so far, and how many answers were no permutation.

    References
    ----------
    Sun et al., "Is ChatGPT Good at Search?", EMNLP 2023.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="vlm_listwise",
        summary="a vision–language model writes down the order of a few candidates at a time",
        paper="Sun et al., RankGPT, EMNLP 2023",
        trained=True,
        thread_safe=False,
        extra="vlm",
    )
    Parameters: ClassVar[type] = ListwiseParameters
    params: Any

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.windows = 0
        self.malformed = 0

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return minus the place of each candidate in the order that the model wrote down."""
        values = np.zeros(block.mask.shape, np.float32)
        before = self.windows, self.malformed
        for row in range(len(block.mask)):
            columns = np.flatnonzero(block.mask[row])
            if block.base_scores is not None:
                falling = np.argsort(-block.base_scores[row, columns], kind="stable")
                columns = columns[falling]
            query = int(block.query_rows[row])
            listed = [int(each) for each in block.candidate_rows[block.index[row, columns]]]

            def ask(
                window: Sequence[int], query: int = query, listed: Sequence[int] = listed
            ) -> str:
                return self._answer(state, query, [listed[place] for place in window])

            order = self._ordered(len(listed), ask)
            values[row, columns[order]] = -np.arange(len(order), dtype=np.float32)
        windows, malformed = self.windows - before[0], self.malformed - before[1]
        if malformed:
            logger.warning(
                "vlm_listwise: %d of %d answers are no permutation; their windows keep their order",
                malformed,
                windows,
            )
        return cr.Scores(values)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return nothing: an order has no place in a picture."""
        return ()

    def _ordered(self, count: int, ask: Callable[[Sequence[int]], str]) -> list[int]:
        """Return the places of a list in their new order."""
        order = list(range(count))
        for start in starts(count, self.params.window, self.params.stride):
            window = order[start : start + self.params.window]
            found = permutation(ask(window), len(window))
            self.windows += 1
            if found is None:
                self.malformed += 1
                continue
            order[start : start + len(window)] = [window[place] for place in found]
        return order

    def _answer(self, state: Any, query: int, candidates: Sequence[int]) -> str:
        """Return what the model says to one window."""
        import torch

        from crossrank_vlm.vision import Vision

        loaded = self.loaded(state.device, state.dtype)
        asked = state.queries.contents[query]
        contents = [state.candidates.contents[row] for row in candidates]
        numbers = [
            *([state.queries.pictures[query]] if query in state.queries.pictures else []),
            *(state.candidates.pictures[r] for r in candidates if r in state.candidates.pictures),
        ]
        counts = [loaded.family.count(state.pictures[number].size) for number in numbers]
        ids = loaded.prompter.spoken(message(asked, contents), counts)
        given = torch.as_tensor(ids[None], device=loaded.model.device)
        options: dict[str, Any] = {}
        if numbers:
            vision = Vision(loaded, state.pictures, state.kept, lambda images: None)
            options = vision.pixels(numbers)
            if "image_grid_thw" in options:
                options["mm_token_type_ids"] = (given == loaded.family.image_token).int()
        with torch.inference_mode():
            written = loaded.model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=TOKENS_A_NUMBER * len(candidates),
                do_sample=False,
                pad_token_id=loaded.tokenizer.pad_token_id,
                **options,
            )
        return str(loaded.tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True))


def message(query: Content, candidates: Sequence[Content]) -> list[Any]:
    """Return the words and items of a window's prompt."""
    parts: list[Any] = [_text("Query: "), query]
    for number, candidate in enumerate(candidates, 1):
        parts += [_text(f"\n[{number}] "), candidate]
    return [
        *parts,
        _text(
            "\nPut these in order by how well they answer the query, the best first, as in "
            "[2] > [1]. Answer with the order alone."
        ),
    ]


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def permutation(answer: str, count: int) -> list[int] | None:
    """Return the places, from 0, that an answer puts first to last; None if it is no permutation.

    Parameters
    ----------
    answer
        Such as ``[2] > [1]``; only its numbers are read.
    count
        How many there are to order.
    """
    found = [int(number) - 1 for number in NUMBER.findall(answer)]
    return found if sorted(found) == list(range(count)) else None


def starts(count: int, window: int, stride: int) -> Iterator[int]:
    """Yield where the windows over a list begin, from its bottom to its top."""
    if count < 2:
        return
    start = max(0, count - window)
    while start > 0:
        yield start
        start = max(0, start - stride)
    yield 0


crossrank_reranker = gives("crossrank_vlm.listwise:VlmListwiseReranker")
