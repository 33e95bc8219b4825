"""The settings of the one call as fields of a pydantic model, for hosts whose components are."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from crossrank_hosts._call import SETTINGS, SecondLook


class LookFields(BaseModel):
    """What LangChain's and LlamaIndex's adapters have in common.

    Parameters
    ----------
    reranker, encoder, fusion, weight, score_threshold, device, threads, on_error, cache, params
        See `crossrank.rerank`.
    on_item
        See `crossrank.rerank`; here a candidate that cannot be scored stays below the others.
    gallery
        A stored gallery, or its folder: what has its id or picture there is scored without opening
        the picture.
    top_n
        How many to return; None for all.
    show
        What of a candidate with a picture and a text is looked at: ``"image"``, ``"text"``, or
        ``"both"`` for an encoder that knows both at once.
    image_key
        The metadata that name the picture; by default those of `_contents.PICTURE_KEYS` that do.
    """

    reranker: Any = "filip"
    encoder: Any = None
    gallery: Any = None
    top_n: int | None = Field(default=None, ge=1)
    score_threshold: float | None = None
    fusion: Any = None
    weight: float | None = None
    device: str = "cpu"
    threads: int | None = Field(default=None, ge=1)
    on_error: str = Field(default="raise", pattern="^(raise|base_order)$")
    cache: bool | str = True
    on_item: str = Field(default="keep", pattern="^(raise|keep|drop)$")
    show: str = Field(default="image", pattern="^(image|text|both)$")
    image_key: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    def _look(self) -> SecondLook:
        return SecondLook(**{each: getattr(self, each) for each in SETTINGS})
