"""Word–prototype knowledge: build it, refine it, store it, look it up.

Importing this package loads neither torch nor spaCy nor networkx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_knowledge.annotations import AnnotatedImage, Coco, FolderPerClass, VisualGenome
    from crossrank_knowledge.bank import KnowledgeBank, build, merge
    from crossrank_knowledge.building import Source
    from crossrank_knowledge.captions import CaptionWords
    from crossrank_knowledge.clusters import with_clusters
    from crossrank_knowledge.concepts import Parser, Phrase, SpacyParser, with_concepts
    from crossrank_knowledge.cycle import cycle_loss
    from crossrank_knowledge.refining import refine
    from crossrank_knowledge.regions import RegionSource
    from crossrank_knowledge.sharpen import SharpRegions, sharpened
    from crossrank_knowledge.tokens import label_tokens
    from crossrank_knowledge.whiten import whitened

__getattr__ = lazy_names(__name__)

__all__ = [
    "AnnotatedImage",
    "CaptionWords",
    "Coco",
    "FolderPerClass",
    "KnowledgeBank",
    "Parser",
    "Phrase",
    "RegionSource",
    "SharpRegions",
    "Source",
    "SpacyParser",
    "VisualGenome",
    "build",
    "cycle_loss",
    "label_tokens",
    "merge",
    "refine",
    "sharpened",
    "whitened",
    "with_clusters",
    "with_concepts",
]
