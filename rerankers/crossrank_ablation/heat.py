"""Heat maps of a pair: where in the picture each token of the text is seen."""

from __future__ import annotations

from crossrank._items.collection import Collection
from crossrank._stage import Stage
from crossrank.plugin.parts import own_tokens
from crossrank.report import Box, nested, word_maps
from crossrank_ablation.task import Task


def heat_maps(
    stage: Stage, task: Task, query: str, candidate: str
) -> tuple[list[tuple[tuple[float, ...], ...]], Box]:
    """Return a heat map per token of the text, where the stage compares tokens with patches."""
    whole: Box = (0.0, 0.0, 1.0, 1.0)
    info = stage.scorer.info
    if "tokens" not in info.query_features or "tokens" not in info.candidate_features:
        return [], whole
    sides: list[tuple[Collection, int]] = [
        (task.queries, task.queries.row(query)),
        (task.gallery, task.gallery.row(candidate)),
    ]
    if task.queries.modality == "image":
        sides.reverse()
    (texts, text), (pictures, picture) = sides
    if "token_boxes" not in pictures or "tokens" not in texts or "tokens" not in pictures:
        return [], whole
    words, patches = texts["tokens"][text], pictures["tokens"][picture]
    boxes = pictures["token_boxes"][picture]
    if len(boxes) != len(patches) or words.shape[1] != patches.shape[1]:
        return [], whole
    own_words, own_patches = own_tokens(texts, text), own_tokens(pictures, picture)
    maps = word_maps(words[own_words], patches[own_patches], boxes[own_patches])
    return [nested(values) for values in maps.values], maps.extent
