"""The plugin contract: what a reranker or an encoder is, what it is given and what it returns.

`Reranker` and `Encoder` stand here; what they say of themselves in `_info`, a run as `prepare` sees
it in `_run`, what `score` is given and returns in `_block`.  `crossrank.testing` checks it all.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from crossrank._items.feature import Feature
from crossrank._items.fingerprint import fingerprint
from crossrank._items.item import Item
from crossrank._lists.evidence import Evidence
from crossrank._progress import Progress
from crossrank.errors import ParameterError, nearest
from crossrank.plugin._block import Block, Scores
from crossrank.plugin._info import EncoderInfo, RerankerInfo
from crossrank.plugin._run import Context, Needs
from crossrank.plugin.pairs import Pairs, Side

State: TypeAlias = Any
"""What `Reranker.prepare` returns: picklable, or rebuilt from the cache folder."""


@dataclass(frozen=True, slots=True)
class NoParameters:
    """For plugins without parameters."""


class _Parametrised:
    """Builds and validates ``self.params`` from keyword arguments."""

    Parameters: ClassVar[type] = NoParameters
    params: Any

    def __init__(self, /, **params: Any) -> None:
        known = {each.name for each in dataclasses.fields(self.Parameters) if each.init}
        name = getattr(getattr(self, "info", None), "name", type(self).__name__)
        for given in params:
            if given not in known:
                raise ParameterError(
                    f"{name} has no parameter {given!r}{nearest(given, known) or '; it takes none'}"
                )
        for each in dataclasses.fields(self.Parameters):
            if each.name not in params and each.init and _is_required(each):
                raise ParameterError(f"{name} needs the parameter {each.name!r}; give it a value")
        try:
            self.params = self.Parameters(**params)
        except TypeError as error:
            raise ParameterError(f"{name}: {error}") from error

    def fingerprint(self) -> str:
        """Return a digest of the plugin's name and parameters."""
        return fingerprint([type(self).__module__, type(self).__qualname__, self.params])


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


class Reranker(_Parametrised, ABC):
    """Scores candidates again.

    A subclass sets `info`, names a frozen dataclass as `Parameters` if it has any (it arrives as
    ``self.params``), and writes `score`.  The engine looks after everything else: lists of any
    length, batching, reading features, fusion, ties, traces.
    """

    info: ClassVar[RerankerInfo]

    def needs(self, context: Context) -> Needs:
        """Return the features it reads; override where they depend on the direction."""
        return Needs(self.info.query_features, self.info.candidate_features)

    def prepare(self, context: Context) -> State:
        """Compute once per run what all blocks share."""
        return None

    @abstractmethod
    def score(self, block: Block, state: State) -> Scores:
        """Return the raw scores of a block's pairs.

        A pair's score depends on this pair alone (and on `state`), to 1e-5, and the input is never
        written to.
        """

    def explain(self, block: Block, state: State) -> Sequence[Evidence]:
        """Return what speaks for each pair of the block, in row-major order of its mask."""
        return ()


class Encoder(_Parametrised, ABC):
    """Turns texts and pictures into features.

    A subclass sets `info` and writes `encode_batch`; batching, progress, resuming and writing are
    the engine's.
    """

    info: ClassVar[EncoderInfo]
    batch_size: int = 32

    @abstractmethod
    def encode_batch(
        self, items: Sequence[Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Feature]:
        """Return the features of some items.

        Parameters
        ----------
        items
            Of one modality; pictures as paths or PIL images (see `crossrank.open_image`).
        modality
            ``"image"`` or ``"text"``.
        features
            Names out of ``info.features[modality]``.

        Returns
        -------
        Mapping
            Each feature with one entry per item, whatever the batch: to 1e-5 it does not matter
            which items share a batch.
        """


__all__ = [
    "Block",
    "Context",
    "Encoder",
    "EncoderInfo",
    "Feature",
    "Needs",
    "NoParameters",
    "Pairs",
    "Progress",
    "Reranker",
    "RerankerInfo",
    "Scores",
    "Side",
    "State",
]
