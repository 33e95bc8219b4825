"""The parameters of the reranker ``vlm``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crossrank.errors import ParameterError
from crossrank.plugin.parameters import (
    Check,
    boolean,
    check,
    checked,
    finite,
    float_type,
    integer,
    none,
    one_of,
    text,
)
from crossrank_vlm.presets import PRESETS, Preset

DEFAULT = "Qwen/Qwen3-VL-Reranker-2B"


def _answers(value: Any) -> bool:
    parts = [value] if isinstance(value, str | int) else value
    return (
        isinstance(parts, list | tuple)
        and len(parts) > 0
        and all(isinstance(part, str | int) and not isinstance(part, bool) for part in parts)
        and all(part != "" for part in parts)
    )


ANSWERS = Check(_answers, "a token, its number, or a list of such")


@dataclass(frozen=True, slots=True)
class VlmParameters:
    """Which model, how it is asked, and what it may use.

    Parameters
    ----------
    model
        A folder that holds a checkpoint of transformers with a vision tower (Qwen2-VL, Qwen2.5-VL,
        Qwen3-VL, LLaVA), or the name of one on the model hub.
    preset
        ``"qwen3-vl"``, ``"lighton"``, ``"mono-qwen2"``, ``"jina-m0"`` or
        ``"sentence-transformers"``, see `crossrank_vlm.presets`.
    revision
        A commit, tag or branch on the hub.
    template
        A Jinja chat template in place of the preset's messages.  It is given ``query`` and
        ``document`` as texts in which pictures stand as the model's placeholder, ``instruction``,
        and ``messages`` with the roles ``query`` and ``document``; both places must be used.  What
        stands first is shared between pairs.
    head
        ``"tokens"``: the difference of the logits of two answers; ``"linear"``, ``"mlp"``: weights
        that the checkpoint holds beside the model, `score`.  The preset's by default.
    true, false
        The answers, for ``head="tokens"``: a token of the vocabulary, its number, or a list, whose
        probabilities are added.
    bias
        Taken from the score before the sigmoid.
    sigmoid
        Whether the score is a probability.
    instruction
        What is asked for; queries that have a feature ``instruction`` bring their own.
    min_pixels, max_pixels
        Of a picture as the model sees it, for families that keep its shape (Qwen).
    max_length
        The most tokens of a prompt; of longer ones the end of the last text is cut.
    dtype, device
        The run's by default.
    batch_tokens
        The most tokens that go through the model at once, padding included; fewer where the
        device's memory runs out.
    reuse
        ``"prefix"``: the vision output of a picture is computed once, and what pairs have in common
        at their beginning once for all of them; ``"vision"``: the first alone; ``"none"``:
        every pair by itself, as others do.  The scores are the same.
    cache_budget
        The most bytes that vision outputs take in the cache folder.
    lora
        A folder with an adapter of peft, merged into the weights.
    local_files_only
        Never ask the hub, even for what the cache lacks.

    Raises
    ------
    ParameterError
        If a value is of the wrong type or not among those above.
    """

    model: str | Path = DEFAULT
    preset: str = "qwen3-vl"
    revision: str | None = None
    template: str | None = None
    head: str | None = None
    true: Any = None
    false: Any = None
    bias: float | None = None
    sigmoid: bool | None = None
    instruction: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    max_length: int | None = None
    dtype: str | None = None
    device: str | None = None
    batch_tokens: int = 8192
    reuse: str = "prefix"
    cache_budget: int = 10_000_000_000
    lora: str | Path | None = None
    local_files_only: bool = False
    asked: Preset = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", str(self.model))
        object.__setattr__(self, "lora", None if self.lora is None else str(self.lora))
        checked("vlm", "preset", self.preset, one_of(*PRESETS))
        check(
            "vlm",
            self,
            model=text,
            revision=text | none,
            template=text | none,
            head=one_of("tokens", "linear", "mlp") | none,
            true=ANSWERS | none,
            false=ANSWERS | none,
            bias=finite | none,
            sigmoid=boolean | none,
            instruction=Check(lambda value: isinstance(value, str), "a str") | none,
            min_pixels=integer(1) | none,
            max_pixels=integer(1) | none,
            max_length=integer(8) | none,
            dtype=float_type | none,
            device=text | none,
            batch_tokens=integer(1),
            reuse=one_of("prefix", "vision", "none"),
            cache_budget=integer(0),
            lora=text | none,
            local_files_only=boolean,
        )
        if None not in (self.min_pixels, self.max_pixels) and self.max_pixels < self.min_pixels:  # type: ignore[operator]
            raise ParameterError(
                f"vlm: max_pixels is {self.max_pixels}, less than min_pixels {self.min_pixels}; "
                "give a larger one"
            )
        object.__setattr__(self, "asked", self._asked())

    def _asked(self) -> Preset:
        """Return the preset with what was given in its place."""
        given = {
            "head": self.head,
            "true": _as_tuple(self.true),
            "false": _as_tuple(self.false),
            "bias": self.bias,
            "sigmoid": self.sigmoid,
            "instruction": self.instruction,
            "max_length": self.max_length,
            "template": self.template,
        }
        changed: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }
        return replace(PRESETS[self.preset], **changed)


def _as_tuple(value: Any) -> tuple[Any, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str | int) else tuple(value)
