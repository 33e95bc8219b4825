"""A stage: one reranker, how deep it looks, and how its scores are fused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from crossrank._items.fingerprint import fingerprint
from crossrank._lists.auto_depth import AutoDepth
from crossrank._lists.base_lists import check_positive
from crossrank._lists.fusion import Fusion, WeightedSum
from crossrank.errors import ParameterError
from crossrank.plugin.contract import Reranker
from crossrank.plugin.registry import load_reranker


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a `Pipeline`.

    Parameters
    ----------
    reranker
        The name of an installed reranker, a `Reranker` class, or a ready object.
    depth
        How many of each list, best first, the stage sees; all by default.  ``"auto"`` or an
        `AutoDepth`: few where the scores so far tell the candidates apart, more where they do not.
    fusion
        `Replace`, `WeightedSum` (the default: weight 1, z-scores) or `RRF`.
    params
        The reranker's parameters.
    name
        What traces call the stage; the reranker's name by default.

    Raises
    ------
    UnknownPluginError, PluginError
        If the name cannot be resolved.
    ParameterError
        On parameters the reranker refuses.
    """

    reranker: str | type[Reranker] | Reranker
    depth: int | str | AutoDepth | None = None
    fusion: Fusion = field(default_factory=WeightedSum)
    params: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    scorer: Reranker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.depth == "auto":
            object.__setattr__(self, "depth", AutoDepth())
        if isinstance(self.depth, str):
            raise ParameterError(
                f"Stage: depth is {self.depth!r}; give a whole number, 'auto' or an AutoDepth"
            )
        if self.depth is not None and not isinstance(self.depth, AutoDepth):
            check_positive("Stage", "depth", self.depth)
        if not isinstance(self.fusion, Fusion):
            raise ParameterError(
                f"Stage: fusion is {self.fusion!r}; give Replace(), WeightedSum(...) or RRF(...)"
            )
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        object.__setattr__(self, "scorer", self._build())
        if not self.name:
            object.__setattr__(self, "name", self.scorer.info.name)
        object.__setattr__(self, "fusion", self.fusion.of_stage(self.name))

    def __reduce__(self) -> tuple[Any, ...]:
        """Take the built scorer along to another process; it has its parameters."""
        return type(self), (self.scorer, self.depth, self.fusion, {}, self.name)

    @property
    def deepest(self) -> int | None:
        """How many of a list it sees at most; None for all."""
        if isinstance(self.depth, AutoDepth):
            return self.depth.deepest
        return None if self.depth is None else int(self.depth)

    def fingerprint(self) -> str:
        """Return a digest of the reranker with its parameters, the depth and the fusion."""
        kind = type(self.scorer)
        return fingerprint(
            [
                f"{kind.__module__}:{kind.__qualname__}",
                self.scorer.fingerprint(),
                repr(self.depth),
                repr(self.fusion),
                self.name,
            ]
        )

    def _build(self) -> Reranker:
        if isinstance(self.reranker, Reranker):
            if self.params:
                raise ParameterError(
                    "Stage: parameters go to a reranker's name or class; this one is built already"
                )
            return self.reranker
        if isinstance(self.reranker, str):
            return load_reranker(self.reranker)(**self.params)
        if isinstance(self.reranker, type) and issubclass(self.reranker, Reranker):
            return self.reranker(**self.params)
        raise ParameterError(
            f"Stage: {self.reranker!r} is neither a reranker's name nor a Reranker class or object"
        )
