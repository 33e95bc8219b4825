"""The kit for rerankers: good ones pass, and each broken one fails where it is broken."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import crossrank as cr
import toys.broken_rerankers as broken
import toys.forgetful_rerankers as forgetful
from crossrank.errors import InputError
from crossrank.testing import Check, check_reranker, make_collection
from toys.basic import DotReranker

EVERYTHING = None
"""For a defect so gross that it does not matter what else fails."""

# what is broken: the check that is for it, what that must say, and which others fail too
BROKEN: dict[type[cr.Reranker], tuple[str, str, str | None]] = {
    broken.DropsACandidate: (
        "scores_are_finite_or_abstained",
        "'image-1-1' got -inf; scores must be finite: .* does not drop a candidate",
        "features_of_any_float_type_are_scored result_is_a_permutation_of_the_candidates "
        "lists_of_any_length_give_the_same_types items_without_content_are_scored_or_refused "
        "order_of_candidates_does_not_matter screening_keeps_the_best "
        "other_candidates_do_not_matter large_blocks_score_the_same",
    ),
    broken.DependsOnOrder: (
        "order_of_candidates_does_not_matter",
        "is -0.32.*, but -0.21.* when the list is in another order; .*not by its place",
        "other_candidates_do_not_matter large_blocks_score_the_same",
    ),
    broken.DependsOnBatchSize: (
        "block_size_does_not_matter",
        "the score of query 'text-0-0' .* is 0.031.*, but 0.19.* with blocks of 1 of the 5",
        "other_queries_do_not_matter large_blocks_score_the_same",
    ),
    broken.MutatesInput: (
        "inputs_are_never_mutated",
        r"score\(\) mutated block.candidates\['embedding'\]; .* copy before changing",
        EVERYTHING,
    ),
    broken.MutatesWhatItCan: (
        "inputs_are_never_mutated",
        r"score\(\) mutated block.candidates\['embedding'\]",
        "",
    ),
    broken.GivesNaN: (
        "scores_are_finite_or_abstained",
        "query 'text-0-0' and candidate 'image-1-9' got nan; scores must be finite: abstain",
        "features_of_any_float_type_are_scored result_is_a_permutation_of_the_candidates "
        "lists_of_any_length_give_the_same_types items_without_content_are_scored_or_refused "
        "order_of_candidates_does_not_matter screening_keeps_the_best "
        "other_candidates_do_not_matter large_blocks_score_the_same",
    ),
    broken.WrongType: (
        "scores_are_float32_of_the_blocks_shape",
        "values of the scores are float64; return a numpy array of float32",
        "features_of_any_float_type_are_scored result_is_a_permutation_of_the_candidates "
        "lists_of_any_length_give_the_same_types items_without_content_are_scored_or_refused",
    ),
    broken.WrongShape: (
        "scores_are_float32_of_the_blocks_shape",
        r"shape \(6, 11\) for a block of \(6, 12\); .* cannot drop a candidate",
        EVERYTHING,
    ),
    broken.IgnoresTheMask: (
        "masked_places_do_not_matter",
        "something else behind the end of the list; use block.mask",
        "other_candidates_do_not_matter",
    ),
    broken.IsNotDeterministic: (
        "same_block_gives_the_same_bits",
        "when the same block is scored again; a reranker is deterministic",
        EVERYTHING,
    ),
    broken.PadsWithZeros: (
        "block_size_does_not_matter",
        "with blocks of 1",
        "other_candidates_do_not_matter other_queries_do_not_matter",
    ),
    broken.SecretlyTransductive: (
        "other_queries_do_not_matter",
        "without the other queries; .* or say transductive=True",
        "",
    ),
    broken.ScreensBadly: (
        "screening_keeps_the_best",
        "with keep=3 candidate .* must be exact, and the others below them",
        "",
    ),
    broken.SharesAnAttribute: (
        "workers_do_not_matter",
        "with 4 blocks scored at once; .* say thread_safe=False",
        "",
    ),
    broken.ReadsTheUndeclared: (
        "only_declared_features_are_read",
        "MissingFeatureError: .*'text'.* holds what info or needs",
        "evidence_needs_no_extra_features",
    ),
    broken.DeclaresNothing: (
        "only_declared_features_are_read",
        "a block holds what info or needs",
        EVERYTHING,
    ),
    broken.NeedsWhatIsThere: (
        "missing_features_are_refused_before_any_work",
        r"without .embedding. of the queries it fails in prepare\(\) and score\(\) only",
        "",
    ),
    broken.CutsToTheShorter: (
        "features_of_different_size_are_refused",
        "it runs with longer rows of 'embedding' in the gallery than in the queries",
        "",
    ),
    broken.TrustsBaseScores: (
        "absent_base_scores_are_scored_or_refused",
        "raised TypeError: .*NoneType",
        "",
    ),
    broken.HashesConcepts: (
        "collections_on_disk_score_the_same",
        "unhashable type: 'list'",
        "",
    ),
    broken.ReadsMemory: (
        "layout_of_arrays_does_not_matter",
        "stored column by column; call numpy.ascontiguousarray",
        "",
    ),
    broken.FailsOnEmptyItems: (
        "items_without_content_are_scored_or_refused",
        "without tokens, regions or words breaks it: .*nan.*; abstain",
        "",
    ),
    broken.KeepsThePrecision: (
        "features_of_any_float_type_are_scored",
        "are float16, given features of float16; return a numpy array of float32",
        "",
    ),
    broken.ForgetsAParameter: (
        "equal_fingerprints_mean_equal_scores",
        "with by=1.0 under the same fingerprint",
        "",
    ),
    broken.SwallowsParameters: (
        "unknown_parameters_are_refused",
        "accepts no_such_parameter=1; refuse what it does not know",
        "",
    ),
    broken.ChangingFingerprint: (
        "fingerprints_are_stable",
        "different fingerprints; .* never from id",
        "",
    ),
    broken.KeepsALock: ("state_survives_pickle", "its state, a lock, cannot be pickled", ""),
    broken.CachesBlindly: (
        "cached_state_scores_the_same",
        "with a cache that another gallery filled; name what is cached",
        "",
    ),
    broken.Prints: ("nothing_is_printed", "it printed 'preparing.*use logging", ""),
    broken.ExplainsWithNumpy: (
        "evidence_is_one_json_object_per_pair",
        "cannot be written as JSON: .*float32",
        "",
    ),
    broken.ExplainsInPixels: (
        "evidence_is_one_json_object_per_pair",
        r"has the box \(0.0, 0.0, 9.0, 9.0\)",
        "",
    ),
    broken.ExplainsAnotherScore: (
        "evidence_is_one_json_object_per_pair",
        "in its evidence; Evidence.score is the raw score",
        "",
    ),
    broken.ExplainsOnePair: (
        "evidence_is_one_json_object_per_pair",
        "returned 1 pieces for .* pairs",
        "",
    ),
    broken.ExplainsBackwards: (
        "evidence_is_one_json_object_per_pair",
        "pairs come row by row",
        "",
    ),
    broken.ExplainsTheAbsent: ("evidence_needs_no_extra_features", "no feature 'text'", ""),
    forgetful.UsesABufferAgain: (
        "scores_are_the_callers_own",
        "after later calls; return a new array from every call",
        "",
    ),
    forgetful.ChangesWhatItReturned: ("scores_are_the_callers_own", "after later calls", ""),
    forgetful.KeepsWhatItReturned: (
        "scores_are_the_callers_own",
        "after the caller wrote into what was returned",
        "",
    ),
    forgetful.WrongBeyond64Queries: (
        "large_blocks_score_the_same",
        "in a block of 80 queries and 2 candidates",
        "",
    ),
    forgetful.WrongBeyond64Candidates: (
        "large_blocks_score_the_same",
        "in a block of 2 queries and 80 candidates",
        "",
    ),
    forgetful.ScoresTheFirstOfEqualOnes: (
        "large_blocks_score_the_same",
        "where items repeat; .* equal items alike",
        "",
    ),
    forgetful.CachesByRow: (
        "nothing_is_kept_across_collections",
        "scored other collections before; keep nothing on self by row or id",
        "",
    ),
    forgetful.CachesById: ("nothing_is_kept_across_collections", "other collections before", ""),
    forgetful.DependsOnThreads: (
        "memory_and_threads_do_not_matter",
        "with threads=.*; how many threads compute may not enter",
        "",
    ),
    forgetful.DependsOnTheBudget: (
        "memory_and_threads_do_not_matter",
        "with memory_budget=65,536; the budget may decide",
        "",
    ),
    forgetful.HashesIds: (
        "names_do_not_matter",
        "under other ids; neither an id nor its hash",
        "",
    ),
    forgetful.Drifts: ("many_calls_score_the_same", "in call 101 of the same", ""),
    forgetful.ExplainsAndChanges: (
        "explaining_changes_no_scores",
        r"after explain\(\)",
        "evidence_is_one_json_object_per_pair",
    ),
    forgetful.HoldsRowsIn16Bits: (
        "large_galleries_score_the_same",
        "in a gallery of 32,788; hold rows as int64",
        "",
    ),
    forgetful.ForgetsAnOffset: (
        "equal_fingerprints_mean_equal_scores",
        "with by=0.25 under the same fingerprint",
        "",
    ),
    broken.BadInfo: ("info_is_complete", "query_features is 'embedding'; give a tuple", EVERYTHING),
    broken.NoSummary: ("info_is_complete", "summary is empty", ""),
    broken.OddName: ("info_is_complete", "'dot:depth=3'; use letters", ""),
    broken.OddDirection: ("info_is_complete", "'text-to-image'; write <query>2<", EVERYTHING),
    broken.NoDirections: ("info_is_complete", "directions is None; give a tuple", ""),
    broken.LooseParameters: ("parameters_are_a_frozen_dataclass", "make it @dataclass", ""),
}


@pytest.fixture(autouse=True)
def no_search_for_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the search for encoders that give a missing feature: it takes half of the time."""
    monkeypatch.setattr("crossrank._engine.checks.providers", lambda feature, modality: [])


def failures(checks: list[Check]) -> dict[str, str]:
    """Return what each failing check says, for the first direction in which it fails."""
    found: dict[str, str] = {}
    for check in checks:
        try:
            check()
        except AssertionError as error:
            found.setdefault(check.__name__.partition("-")[0], str(error))
    return found


@pytest.mark.parametrize("reranker", BROKEN, ids=lambda each: each.__name__)
def test_a_broken_reranker_fails_where_it_is_broken(reranker: type[cr.Reranker]) -> None:
    check, message, others = BROKEN[reranker]
    one_way = [each for each in check_reranker(reranker) if not each.__name__.endswith("i2t")]
    found = failures(one_way)
    assert check in found
    assert found[check].startswith(reranker.__name__)
    assert re.search(message, found[check], re.DOTALL), found[check]
    if others is not EVERYTHING:
        assert set(found) == {check, *others.split()}


def test_every_check_is_seen_to_fail() -> None:
    names = {check.__name__.partition("-")[0] for check in check_reranker(DotReranker)}
    shown = {check for check, _, _ in BROKEN.values()}
    shown |= {name for *_, others in BROKEN.values() for name in (others or "").split()}
    assert names == shown


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


@pytest.mark.parametrize(
    ("reranker", "params"), GOOD, ids=lambda each: getattr(each, "__name__", "")
)
def test_a_good_reranker_passes(reranker: type[cr.Reranker], params: Mapping[str, Any]) -> None:
    assert failures(check_reranker(reranker, **params)) == {}


@pytest.mark.parametrize("check", check_reranker(DotReranker))
def test_the_kit_is_used_as_documented(check: Check, request: pytest.FixtureRequest) -> None:
    assert check.__name__ in request.node.name
    check()


def test_each_direction_that_a_reranker_does_is_checked() -> None:
    def directions(reranker: type[cr.Reranker]) -> set[str]:
        return {check.__name__.partition("-")[2] for check in check_reranker(reranker)} - {""}

    assert directions(DotReranker) == {"t2i", "i2t"}
    assert directions(OneWay) == {"it2i"}


def test_what_does_not_apply_is_not_checked() -> None:
    def names(reranker: type[cr.Reranker]) -> set[str]:
        return {check.__name__.partition("-")[0] for check in check_reranker(reranker)}

    assert names(DotReranker) - names(Transductive) == {
        "large_blocks_score_the_same",
        "large_galleries_score_the_same",
        "other_candidates_do_not_matter",
        "other_queries_do_not_matter",
    }
    assert names(DotReranker) - names(OneThread) == {"workers_do_not_matter"}


class Faces(cr.Reranker):
    """Reads a feature that no standard knows."""

    info = cr.RerankerInfo(name="faces", summary="faces", candidate_features=("faces",))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        return cr.Scores(block.candidates["faces"].astype(np.float32)[block.index])


def test_collections_may_be_given() -> None:
    found = failures(check_reranker(Faces))
    assert "needs 'faces' of the candidates" in found["block_size_does_not_matter"]
    assert "pass collections that hold it" in found["block_size_does_not_matter"]
    queries = make_collection("text", 9)
    gallery = make_collection("image", 20).with_features(faces=np.arange(20))
    assert failures(check_reranker(Faces, queries=queries, gallery=gallery)) == {}


def test_collections_come_in_pairs_of_some_size() -> None:
    texts, images = make_collection("text", 3), make_collection("image", 3)
    assert failures(check_reranker(DotReranker, queries=images, gallery=texts)) == {}
    with pytest.raises(InputError, match="both"):
        check_reranker(DotReranker, queries=texts)
    with pytest.raises(InputError, match="at least three"):
        check_reranker(DotReranker, queries=texts.take([0]), gallery=images)


@pytest.mark.parametrize(
    "subject", [object, cr.Reranker, "overlap", type("Bare", (DotReranker,), {"info": None})]
)
def test_what_is_no_reranker_fails_with_a_message(subject: Any) -> None:
    found = failures(check_reranker(subject))
    assert re.search("not a subclass|does not define score|info is None", found["info_is_complete"])


def test_a_reranker_that_exits_fails_its_checks() -> None:
    class Exits(DotReranker):
        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            raise SystemExit("no licence")

    found = failures(check_reranker(Exits))
    assert "raised SystemExit: no licence" in found["block_size_does_not_matter"]


def test_pytest_is_not_needed() -> None:
    code = (
        "import sys, crossrank.testing; print([m for m in ('pytest', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
