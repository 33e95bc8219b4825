"""The parameters of the reranker ``blip2``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossrank.plugin.parameters import boolean, check, float_type, integer, none, one_of, text
from crossrank_blip2.sizes import parse_bytes

SCORES = ("itc", "itm", "itm+itc")


@dataclass(frozen=True, slots=True)
class Blip2Parameters:
    """Which model, which of its scores, and what it may use.

    Parameters
    ----------
    model
        A ``Blip2ForImageTextRetrieval`` of transformers, a LAVIS model object, a `Backend`, a
        folder that holds a checkpoint, or the name of one on the model hub.
    score
        ``"itc"``, the best cosine of the learned queries with the text; ``"itm"``, the matching
        logit, which looks at image and text together; or their sum ``"itm+itc"``, as in the paper.
    tokenizer
        A tokenizer, or its folder or name.  By default the one that came with the model, and for a
        model without one ``bert-base-uncased``, which every BLIP-2 was trained with.
    revision
        A commit, tag or branch on the hub.  Without one, the default branch as it lies in the
        cache; give a commit to be sure of the weights.
    local_files_only
        Never ask the hub, even for what the cache lacks.
    device, dtype
        Where torch computes, and ``"float32"``, ``"bfloat16"`` or ``"float16"``; the pipeline's by
        default.  Half precision is that of the vision tower, nine tenths of the weights; what looks
        at its features computes in float32.  A model that is given as an object stays where and as
        it is.
    batch_size
        The most images, texts or pairs that go through the model at once; fewer where the run's
        memory budget is small, or the device's memory turns out to be.
    cache_budget
        The most that the features of images may take in the cache folder, in bytes or as a str such
        as ``"10GB"``; those not used for longest make room.  Without a cache folder they lie in a
        temporary one.
    cache_dtype
        The float type of the features on disk; ``"auto"`` is the one they were computed in, which
        loses nothing.  ``"float16"`` halves the space of float32 ones, and rounds them.
    on_picture
        What becomes of a picture that cannot be read: ``"raise"``, or ``"abstain"``, which looks at
        all of them first, says which cannot, and leaves their pairs to the other stages.

    Raises
    ------
    ParameterError
        If a value is of the wrong type or not among those above.
    """

    model: Any = "Salesforce/blip2-itm-vit-g-coco"
    score: str = "itm+itc"
    tokenizer: Any = None
    revision: str | None = None
    local_files_only: bool = False
    device: str | None = None
    dtype: str | None = None
    batch_size: int = 256
    cache_budget: int | str = "10GB"
    cache_dtype: str = "auto"
    on_picture: str = "raise"

    def __post_init__(self) -> None:
        check(
            "blip2",
            self,
            score=one_of(*SCORES),
            revision=text | none,
            device=text | none,
            dtype=float_type | none,
            cache_dtype=one_of("auto", "float32", "bfloat16", "float16"),
            on_picture=one_of("raise", "abstain"),
            local_files_only=boolean,
            batch_size=integer(1),
        )
        parse_bytes(self.cache_budget)
