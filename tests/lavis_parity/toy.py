"""What both sides of the comparison know: sizes of the toy model, its words, where files lie."""

from __future__ import annotations

IMAGE, PATCH = 32, 8
VISION_WIDTH, VISION_LAYERS, VISION_HEADS, VISION_MLP = 24, 3, 3, 60
WIDTH, LAYERS, HEADS, MLP = 32, 4, 4, 48
QUERIES, SHARED = 5, 12
POSITIONS = 64

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("a", "black", "brown", "dog", "cat", "on", "the", "grass", "runs", "in", "water", "two")
BEGIN = "[DEC]"
"""LAVIS adds it to the vocabulary, as the last one; texts for matching do not begin with it."""

VOCABULARY = (*SPECIAL, *WORDS)

TEXTS = (
    "A dog.",
    'Two "black" cats (on the grass)!',
    "the brown dog runs in the water, in the grass, on the grass, in the water on the brown grass",
    "a cat",
)
BOXES: tuple[list[list[float]], ...] = (
    [[0.0, 0.0, 0.5, 0.5]],
    [],
    [[0.1, 0.2, 0.7, 0.4], [0.5, 0.5, 1.0, 0.9]],
    [[0.3, 0.3, 0.35, 0.35]],
)
ALPHA, COMPONENTS = 4.0, 2

STATE, VOCABULARY_FILE, RESULTS = "lavis.safetensors", "vocab.txt", "results.safetensors"
