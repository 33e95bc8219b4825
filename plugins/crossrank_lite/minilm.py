"""MiniLM over texts laid end to end, so that nothing is computed for padding."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from crossrank_lite.packed import packed, product

ATTENTION_HEADS = 12
EPSILON = 1e-12
FEWEST_PIECES, MOST_PIECES = 128, 512
"""In one pass, about: so many repay reading all weights, and a layer's widest vectors of so many
still fit the caches."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """The weights of a layer, each beside its bias; query, key and value as one."""

    attend: tuple[Tensor, Tensor]
    gather: tuple[Tensor, Tensor]
    gather_norm: tuple[Tensor, Tensor]
    widen: tuple[Tensor, Tensor]
    narrow: tuple[Tensor, Tensor]
    narrow_norm: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, weights: dict[str, Tensor], prefix: str) -> _Layer:
        def pair(name: str) -> tuple[Tensor, Tensor]:
            return weights[f"{prefix}.{name}.weight"], weights[f"{prefix}.{name}.bias"]

        parts = [pair(f"attention.self.{name}") for name in ("query", "key", "value")]
        return cls(
            (torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])),
            pair("attention.output.dense"),
            pair("attention.output.LayerNorm"),
            pair("intermediate.dense"),
            pair("output.dense"),
            pair("output.LayerNorm"),
        )

    def ready(self, dtype: torch.dtype) -> _Layer:
        """Return it with the weights of its products in a type and packed, biases as they are."""
        names = ("attend", "gather", "widen", "narrow")
        pairs = {name: getattr(self, name) for name in names}
        return replace(
            self, **{name: (packed(pair[0].to(dtype)), pair[1]) for name, pair in pairs.items()}
        )


class MiniLM:
    """The frozen language model, a BERT of six layers.

    Parameters
    ----------
    path
        The weights, ``model.safetensors``.
    dtype
        In which its products are computed, ``"float32"`` or ``"bfloat16"``; sums of rows, norms and
        attention stay in float32.

    References
    ----------
    Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
    Pre-Trained Transformers", NeurIPS 2020; Devlin et al., "BERT", NAACL 2019.
    """

    def __init__(self, path: Path, dtype: str = "float32") -> None:
        weights = load_file(path)
        self._pieces = weights["embeddings.word_embeddings.weight"]
        # all texts are of the first of BERT's two kinds
        self._places = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = (
            weights["embeddings.LayerNorm.weight"],
            weights["embeddings.LayerNorm.bias"],
        )
        count = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})
        self._layers = [
            _Layer.of(weights, f"encoder.layer.{n}").ready(getattr(torch, dtype))
            for n in range(count)
        ]

    def passes(self, texts: Sequence[Sequence[int]]) -> list[tuple[list[int], Tensor, Tensor]]:
        """Run texts, given as ids of word pieces: as many passes at once as torch may have threads.

        Threads of torch within a pass would wait for each other at every step of it.

        Returns
        -------
        list of tuple
            For each pass: which texts it is of, in the order in which it has them, and
            ``[pieces, 384]`` float32, of all their pieces, text after text, the vectors below the
            first and above the last layer.
        """

        def run(rows: list[int]) -> tuple[list[int], Tensor, Tensor]:
            return rows, *self._pass([texts[row] for row in rows])

        threads = torch.get_num_threads()
        parts = _parts([len(text) for text in texts], threads)
        if threads == 1 or len(parts) < 2:
            return list(map(run, parts))
        alone = partial(torch.set_num_threads, 1)
        try:
            with ThreadPoolExecutor(threads, initializer=alone) as pool:
                return list(pool.map(run, parts))
        finally:
            torch.set_num_threads(threads)  # those were told for threads to come as well

    @torch.inference_mode()
    def _pass(self, texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Run texts that stand by rising length."""
        lengths = [len(text) for text in texts]
        ids = torch.tensor([piece for text in texts for piece in text])
        places = torch.cat([torch.arange(length) for length in lengths])
        plain = _normed(self._pieces[ids] + self._places[places], self._norm)
        # texts of one length lie side by side: they attend as one batch, and read no padding
        runs = [(length, len(list(same))) for length, same in groupby(lengths)]
        states = plain
        for layer in self._layers:
            attended = _attended(product(states, *layer.attend), runs)
            mixed = product(attended, *layer.gather).add_(states)
            states = _normed(mixed, layer.gather_norm)
            wide = functional.gelu(product(states, *layer.widen))
            states = _normed(product(wide, *layer.narrow).add_(states), layer.narrow_norm)
        return plain, states


def _parts(lengths: Sequence[int], threads: int) -> list[list[int]]:
    """Return which texts go together, by rising length: parts of about equally many pieces."""
    pieces, order = sum(lengths), np.argsort(lengths, kind="stable")
    rounds = -(-pieces // (MOST_PIECES * threads))
    count = max(1, min(rounds * threads, pieces // FEWEST_PIECES))
    ends = np.cumsum(np.array(lengths, np.int64)[order])
    cuts = np.searchsorted(ends, pieces * np.arange(1, count) / count, side="right")
    return [part.tolist() for part in np.split(order, cuts) if len(part)]


def _normed(vectors: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    return functional.layer_norm(vectors, vectors.shape[-1:], *norm, eps=EPSILON)


def _attended(vectors: Tensor, runs: Sequence[tuple[int, int]]) -> Tensor:
    """Let the pieces of each text see each other.

    Parameters
    ----------
    vectors
        ``[pieces, 3 · D]``: query, key and value side by side.
    runs
        Per run of texts of one length, that length and how many they are.

    Returns
    -------
    Tensor
        ``[pieces, D]``.
    """
    width = vectors.shape[1] // 3
    found = vectors.new_empty(len(vectors), width)
    start = 0
    for length, count in runs:
        part = slice(start, start + length * count)
        heads = vectors[part].view(count, length, 3, ATTENTION_HEADS, width // ATTENTION_HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        found[part] = mixed.transpose(1, 2).reshape(-1, width)
        start = part.stop
    return found
