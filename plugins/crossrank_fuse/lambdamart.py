"""LambdaMART by LightGBM: trees that learn the order of a list."""

from __future__ import annotations

import numpy as np

from crossrank.plugin.optional import needs
from crossrank_fuse.features import Booleans, Floats

ROUNDS, LEAVES, RATE, LEAST = 100, 15, 0.05, 50

installed = needs("LambdaMART", "fuse", "lightgbm")


def fit_lambdamart(features: Floats, mask: Booleans, relevant: Booleans) -> str:
    """Return a model as LightGBM's text; the same for the same input.

    Notes
    -----
    Burges, From RankNet to LambdaRank to LambdaMART, MSR-TR-2010-82.
    """
    with installed():
        import lightgbm
    useful: Booleans = np.asarray(relevant.any(axis=1) & (mask & ~relevant).any(axis=1), np.bool_)
    rows = mask & useful[:, None]
    data = lightgbm.Dataset(
        features[rows], relevant[rows].astype(int), group=rows.sum(axis=1)[useful]
    )
    settings = {
        "objective": "lambdarank",
        "num_leaves": LEAVES,
        "learning_rate": RATE,
        "min_data_in_leaf": min(LEAST, max(1, int(rows.sum()) // 10)),
        "lambdarank_truncation_level": 10,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 0,
        "verbosity": -1,
    }
    return str(lightgbm.train(settings, data, num_boost_round=ROUNDS).model_to_string())


def lambdamart_scores(model: str, features: Floats, mask: Booleans) -> Floats:
    """Return ``[Q, K]`` what a model says of the taken places."""
    with installed():
        import lightgbm
    scores = np.zeros(mask.shape)
    if mask.any():
        booster = lightgbm.Booster(model_str=model)
        scores[mask] = booster.predict(features[mask], num_threads=1)
    return scores
