"""What `prepare` returns and what it keeps in the cache folder."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import replace
from pathlib import Path

from crossrank.testing._case import RerankerCase, Run
from crossrank.testing._check import require
from crossrank.testing._differences import require_same_scores


def state_survives_pickle(case: RerankerCase) -> None:
    """Expect None, a state that can be pickled, or one that lies in the cache folder."""
    run = case.start()
    try:
        again = pickle.loads(pickle.dumps(run.state))
    except Exception as error:
        require(
            _writes_to_cache(case),
            f"its state, a {type(run.state).__name__}, cannot be pickled ({error}) and nothing of "
            "it is in context.cache_folder; keep models and files on self, arrays in the state",
        )
        return
    require_same_scores(
        run.scores(),
        replace(run, state=again).scores(),
        "with a state that went through pickle",
        "let the state hold all that score() reads, by value",
        0.0,
    )


def cached_state_scores_the_same(case: RerankerCase) -> None:
    """Expect the same scores with a filled cache folder, even one of another gallery."""
    mend = "name what is cached by gallery.fingerprint() and the reranker's own"
    expected = case.start().scores()
    turned = case.gallery.take(range(len(case.gallery))[::-1])
    lists = replace(
        case.lists(),
        index=len(turned) - 1 - case.lists().index,
        candidate_ids=turned.ids,
    )
    with tempfile.TemporaryDirectory() as folder:
        for when in ("with an empty cache folder", "with a filled cache folder"):
            found = case.start(cache_folder=Path(folder)).scores()
            require_same_scores(expected, found, when, mend)
        other = case.start(lists, gallery=turned, cache_folder=Path(folder)).scores()
        require_same_scores(expected, other, "with a cache that another gallery filled", mend)


def _writes_to_cache(case: RerankerCase) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        Run.of(case.build(), case.context(cache_folder=Path(folder)))
        return any(Path(folder).iterdir())
