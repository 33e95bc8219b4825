"""The kit for rerankers: each broken one fails where it is broken."""

from __future__ import annotations

import re

import pytest

import crossrank as cr
import toys.broken_rerankers as broken
import toys.forgetful_rerankers as forgetful
from crossrank.testing import check_reranker
from toys.basic import DotReranker
from toys.failures import failures

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
