"""What is trained in each stage: parameters, the loss of a batch, figures on the dev split."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import crossrank as cr
from crossrank_filip.loss import FilipLoss
from crossrank_lite.heads import LiteHeads
from lite_features import CAPTIONS, WordTable
from lite_reranking import make_lists, report

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a stage is trained.

    Parameters
    ----------
    epochs, batch
        Passes over the pictures, and pictures per batch (each with one of its captions).
    rate, decay
        Of AdamW; the rate rises over the first tenth of the steps and falls along a cosine.
    temperature
        Initial, learned on.
    """

    epochs: int
    batch: int
    rate: float
    decay: float
    temperature: float


@dataclass(frozen=True, slots=True)
class Features:
    """Standardised frozen features of a split.

    Parameters
    ----------
    cells
        One ``[N, R, D]`` per view, bfloat16.
    words
        Of the 5 · N captions.
    meanings
        ``[5 · N, 384]`` unit rows: what the language model alone says of each caption.
    """

    cells: list[Tensor]
    words: WordTable
    meanings: Tensor


class EmbeddingStage(nn.Module):
    """InfoNCE in both directions between the pooled embeddings.

    Many captions fit many of the photographs ("a dog runs on the grass"), so part of the target
    goes to the batch's other pairs: ``(1 − α) I + α softmax(m mᵀ / t)`` with the captions' own
    meanings ``m`` under the frozen language model.
    """

    alpha = 0.3
    meaning_temperature = 0.1

    def __init__(self, heads: LiteHeads, temperature: float) -> None:
        super().__init__()
        self.picture, self.text = heads.picture_embedding, heads.text_embedding
        self.scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def loss(self, data: Features, pictures: Tensor, captions: Tensor) -> Tensor:
        """Return the loss of a batch of rows."""
        view = data.cells[int(torch.randint(len(data.cells), ()))]
        seen = self.picture(view[pictures])
        read = self.text(*data.words.padded(captions))
        logits = seen @ read.T * self.scale.exp()
        alike = data.meanings[captions] @ data.meanings[captions].T
        target = self.alpha * (alike / self.meaning_temperature).softmax(dim=1)
        target += (1 - self.alpha) * torch.eye(len(pictures))
        over_texts = (target * logits.log_softmax(dim=1)).sum(dim=1).mean()
        over_pictures = (target.T * logits.log_softmax(dim=0)).sum(dim=0).mean()
        loss: Tensor = -(over_texts + over_pictures) / 2
        return loss

    @torch.inference_mode()
    def embeddings(self, data: Features) -> tuple[Tensor, Tensor]:
        """Return those of all pictures and of all captions."""
        seen = [self.picture(part.float()) for part in torch.split(data.cells[0], 100)]
        rows = torch.split(torch.arange(len(data.words)), 500)
        read = [self.text(words.float(), mask) for words, mask in map(data.words.padded, rows)]
        return torch.cat(seen), torch.cat(read)

    def figures(self, data: Features) -> Figures:
        """Return R@K of a split, both directions."""
        pictures, texts = self.embeddings(data)
        both = cr.evaluate_matrix((pictures @ texts.T).numpy(), captions_per_image=CAPTIONS)
        return {
            f"{way} base {measure}": round(each["similarity"][measure], 2)
            for way, each in (("t2i", both.t2i), ("i2t", both.i2t))
            for measure in ("R@1", "R@5", "R@10")
        }


class TokenStage(nn.Module):
    """The FILIP loss between cells and words.

    A step sees a random part of the cells and of the words, which saves time and keeps the heads
    from leaning on single tokens.
    """

    cells = 40
    words = 12

    def __init__(self, heads: LiteHeads, temperature: float, base: EmbeddingStage) -> None:
        super().__init__()
        self.picture, self.text = heads.picture_tokens, heads.text_tokens
        self.filip = FilipLoss(temperature)
        self.dropout = nn.Dropout1d(0.1)
        self._base = [base]  # in a list: its parameters are not this stage's

    def loss(self, data: Features, pictures: Tensor, captions: Tensor) -> Tensor:
        """Return the loss of a batch of rows."""
        view = data.cells[int(torch.randint(len(data.cells), ()))]
        chosen = torch.randperm(view.shape[1])[: self.cells]
        words, mask = some_words(*data.words.padded(captions), self.words)
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.picture(self._drop(view[pictures[:, None], chosen]))
            read = self.text(self._drop(words))
            loss: Tensor = self.filip(seen, read, mask)
        return loss

    def _drop(self, tokens: Tensor) -> Tensor:
        """Drop the same features from all tokens of an item."""
        dropped: Tensor = self.dropout(tokens.transpose(1, 2)).transpose(1, 2)
        return dropped

    @torch.inference_mode()
    def figures(self, data: Features) -> Figures:
        """Return R@K of a split: the base's first hundred, fused in equal z-scored parts."""
        seen = torch.cat([self.picture(part.float()) for part in torch.split(data.cells[0], 100)])
        rows = torch.split(torch.arange(len(data.words)), 500)
        read = [self.text(words.float())[mask] for words, mask in map(data.words.padded, rows)]
        pictures, texts = self._base[0].embeddings(data)
        return report(
            make_lists(
                cr.Collection(
                    range(len(seen)),
                    "image",
                    embedding=pictures.numpy(),
                    tokens=cr.Ragged(seen.flatten(0, 1).numpy(), [seen.shape[1]] * len(seen)),
                ),
                cr.Collection(
                    range(len(texts)),
                    "text",
                    embedding=texts.numpy(),
                    tokens=cr.Ragged(torch.cat(read).numpy(), data.words.lengths.numpy()),
                ),
            ),
            weight=1.0,
            normalise="zscore",
        )


def some_words(words: Tensor, mask: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return at most so many words of each text ``[N, L, D]``, drawn at random, and their mask."""
    order = torch.rand(mask.shape).masked_fill(~mask, 2.0).argsort(dim=1)[:, :most]
    return words.gather(1, order[:, :, None].expand(-1, -1, words.shape[2])), mask.gather(1, order)
