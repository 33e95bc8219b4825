"""The reranker ``filip``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, ParameterError
from crossrank.plugin.parts import evidence
from crossrank.plugin.torch_device import device_of
from crossrank.plugin.unit_rows import check_unit_rows
from crossrank_filip.explaining import Tokens, best_links
from crossrank_filip.interaction import MeanOver, late_interaction
from crossrank_filip.kernel import Floats
from crossrank_filip.parameters import FilipParameters


class FilipReranker(cr.Reranker):
    """Compares every word with every patch and averages each one's best match.

    With unit tokens V ``[n1, D]`` of an image and T ``[n2, D]`` of a text, ``M = V Tᵀ``:
    ``s^T`` is the mean over words of the best patch, ``s^I`` the mean over patches of the best
    word (FILIP, ICLR 2022).  A text query is scored by s^T and an image query by s^I.
    With ``aggregate="sum"`` the same maxima are summed: MaxSim (ColBERT, SIGIR 2020).
    """

    info = cr.RerankerInfo(
        name="filip",
        summary="each word's best patch, averaged; or each patch's best word",
        paper="Yao et al., FILIP, ICLR 2022",
        query_features=("tokens",),
        candidate_features=("tokens",),
        explain_features=("token_text", "token_boxes", "token_roles"),
        single_threaded=True,
        extra="filip",
    )
    Parameters = FilipParameters

    def prepare(self, context: cr.Context) -> str | None:
        """Refuse tokens that cannot be compared, before any work.

        Returns
        -------
        str or None
            The device of torch that scores, None for the kernels of this processor.
        """
        device = device_of("filip", context.device, "filip")
        if device is not None and self.params.backend == "numpy":
            raise ParameterError(
                f"filip: backend='numpy' computes on the processor, but the run's device is "
                f"{device!r}; leave out one of them"
            )
        asked, listed = context.asked, context.listed
        for name, side in (("query", asked), ("candidate", listed)):
            tokens = side.collection["tokens"]
            if not isinstance(tokens, cr.Ragged):
                raise InputError(
                    f"filip: the {name} tokens are no crossrank.Ragged; give "
                    "Ragged(flat [rows, D], lengths), for an array [N, L, D] "
                    "Ragged(array.reshape(N * L, D), [L] * N)"
                )
            empty = side.rows[tokens.lengths[side.rows] == 0]
            if len(empty):
                raise InputError(
                    f"filip: {name} {side.collection.ids[empty[0]]!r} has no token, so there is "
                    "nothing to compare; leave it out, or encode it again"
                )
        sizes = [side.collection["tokens"].trailing for side in (asked, listed)]
        if sizes[0] != sizes[1] and len(listed):
            raise FeatureMismatchError(
                f"filip: the queries' tokens have size {sizes[0]}, the gallery's {sizes[1]}; "
                "encode both with the same encoder"
            )
        for side in (asked, listed):
            if len(side):
                check_unit_rows("filip", side.collection, "tokens", side.rows)
        return device

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the mean or sum over one side's tokens of their best product with the other's."""
        sides = self._mean_over(block.direction)
        if state is not None:
            scored = [_on_device(state, block, side) for side in sides]
        else:
            scored = [self._interaction(block, side) for side in sides]
        if self.params.aggregate == "sum":
            scored = [
                mean * _lengths(block, side) for mean, side in zip(scored, sides, strict=True)
            ]
        scores = np.mean(scored, axis=0)
        return cr.Scores(scores.astype(np.float32, copy=False))

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return for each pair a link per word to its best patch, whichever asks for which."""
        pairs = block.pairs()
        asked, _, listed = block.direction.partition("2")
        words_ask = not (listed == "t" and asked != "t")

        def links(pair: int) -> Iterator[cr.Link]:
            query = Tokens.of(block.queries, int(pairs.queries[pair]))
            candidate = Tokens.of(block.candidates, int(pairs.candidates[pair]))
            return best_links(query, candidate, words_ask)

        return evidence(block, self.score(block, state), links)

    def _interaction(self, block: cr.Block, mean_over: MeanOver) -> Floats:
        tokens = block.queries["tokens"], block.candidates["tokens"]
        lists, backend = (block.index, block.mask), self.params.backend
        return late_interaction(*tokens, *lists, mean_over=mean_over, backend=backend)

    def _mean_over(self, direction: str) -> tuple[MeanOver, ...]:
        """Return the sides to average over; the scores of several are averaged."""
        mode: str = self.params.mode
        if mode == "both":
            return ("queries", "candidates")
        asked, _, listed = direction.partition("2")
        side = mode[0]
        listed_alone = side in listed and side not in asked
        if mode != "auto" and (listed_alone or (listed == side and asked != side)):
            return ("candidates",)
        return ("queries",)


def _lengths(block: cr.Block, side: MeanOver) -> Floats:
    """Return how many tokens a sum is over: ``[Q, 1]`` of the queries, ``[Q, K]`` of candidates."""
    if side == "queries":
        return np.asarray(block.queries["tokens"].lengths[:, None], np.float32)
    return np.asarray(block.candidates["tokens"].lengths[block.index], np.float32)


def _on_device(device: str, block: cr.Block, mean_over: MeanOver) -> Floats:
    from crossrank_filip.device_kernel import late_interaction_on

    tokens = block.queries["tokens"], block.candidates["tokens"]
    return late_interaction_on(device, *tokens, block.index, block.mask, mean_over=mean_over)
