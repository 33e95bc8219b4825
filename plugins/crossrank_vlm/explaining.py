"""Where in its pictures a pair's answer comes from: the gradient of the score over image tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import crossrank as cr
from crossrank.plugin.parts import Part, link
from crossrank_vlm.passes import Passes
from crossrank_vlm.prompts import Prompt
from crossrank_vlm.vision import Picture


def links_of(
    passes: Passes,
    pictures: Sequence[Picture],
    prompt: Prompt,
    names: tuple[str, str],
    query_first: bool,
) -> list[cr.Link]:
    """Return a link for each image token of a pair."""
    if not prompt.pictures:
        return []
    family = passes.family
    weights = passes.saliency(prompt)
    total = float(sum(each.sum() for each in weights))
    found = []
    for place, (number, values) in enumerate(zip(prompt.pictures, weights, strict=True)):
        of_query = (place < prompt.first) == query_first
        own, other = (names[0], names[1]) if of_query else (names[1], names[0])
        boxes = family.boxes(pictures[number].size)
        shares = values / total if total > 0 else np.zeros_like(values)
        for box, share in zip(boxes, shares.tolist(), strict=True):
            found.append(link(Part(own, box), Part(other), share, asks=of_query))
    return found
