"""Rerankers that keep every promise, in ways that checks might take for broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import crossrank as cr
import toys.broken_rerankers as broken
import toys.forgetful_rerankers as forgetful
from crossrank.errors import InputError
from toys.basic import DotReranker


class Transductive(broken.SecretlyTransductive):
    """Says that it looks at other queries."""

    info = replace(DotReranker.info, transductive=True)


class OneThread(broken.SharesAnAttribute):
    """Says that it keeps things on itself."""

    info = replace(DotReranker.info, thread_safe=False)


class Choosy(DotReranker):
    """Abstains where the inner product is small."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        values[values < 0] = np.nan
        return cr.Scores(values, abstained=np.isnan(values), reason="too far apart")


class Screening(DotReranker):
    """Rounds what need not be exact."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        if block.keep is not None:
            ordered = np.sort(np.where(block.mask, values, -np.inf), axis=1)
            worst = ordered[:, -min(block.keep, ordered.shape[1])][:, None]
            values = np.where(values >= worst, values, np.floor(values) - 1)
        return cr.Scores(values)


class NeedsBaseScores(DotReranker):
    """Says so where there are none."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if block.base_scores is None:
            raise InputError("this reranker needs base scores")
        return cr.Scores((super().score(block, state).values + block.base_scores).astype("f4"))


class CachesProperly(broken.CachesBlindly):
    """Names what it caches by its contents."""

    def prepare(self, context: cr.Context) -> Any:
        if context.cache_folder is None:
            return context.gallery["embedding"]
        path = context.cache_folder / f"{context.gallery.fingerprint()}.npy"
        if not path.exists():
            np.save(path, context.gallery["embedding"])
        return np.load(path)


class OpensPictures(cr.Reranker):
    """Prefers pictures that are bright, or texts that are long."""

    info = cr.RerankerInfo(name="bright", summary="brightness", candidate_features=("path",))

    def needs(self, context: cr.Context) -> cr.Needs:
        return cr.Needs((), ("path",) if context.direction == "t2i" else ("text",))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if block.direction == "t2i":
            from pathlib import Path

            each = [
                float(np.asarray(cr.open_image(Path(path))).mean())
                for path in block.candidates["path"]
            ]
        else:
            each = [float(len(text)) for text in block.candidates["text"]]
        return cr.Scores(np.asarray(each, np.float32)[block.index])


class OneWay(DotReranker):
    """Is made for composed queries."""

    info = replace(DotReranker.info, directions=("it2i",))


@dataclass(frozen=True, slots=True)
class Weighted:
    weight: float = 0.5
    sign: bool = False


class WithParameters(DotReranker):
    Parameters = Weighted

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        weight = np.float32(-self.params.weight if self.params.sign else self.params.weight)
        return cr.Scores(super().score(block, state).values * weight)


class EitherOr(cr.Reranker):
    """Takes the text where there are no words."""

    info = cr.RerankerInfo(name="either", summary="length", query_features=("concepts", "text"))

    def needs(self, context: cr.Context) -> cr.Needs:
        known = next((n for n in ("concepts", "text") if n in context.queries), "concepts")
        return cr.Needs((known,), ())

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        (name,) = block.queries.features
        counts = np.array([len(own) for own in block.queries[name]], np.float32)
        return cr.Scores(np.repeat(counts[:, None], block.mask.shape[1], axis=1))


GOOD: list[tuple[type[cr.Reranker], Mapping[str, Any]]] = [
    (DotReranker, {}),
    (broken.Explains, {}),
    (Transductive, {}),
    (OneThread, {}),
    (Choosy, {}),
    (Screening, {}),
    (NeedsBaseScores, {}),
    (CachesProperly, {}),
    (OpensPictures, {}),
    (OneWay, {}),
    (EitherOr, {}),
    (WithParameters, {"weight": 2.0}),
    *((unusual, {}) for unusual in forgetful.UNUSUAL),
]
