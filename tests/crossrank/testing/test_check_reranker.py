"""The kit for rerankers: good ones pass, and what is none fails with a message."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import InputError
from crossrank.testing import Check, check_reranker, make_collection
from toys.basic import DotReranker
from toys.failures import failures
from toys.good_rerankers import GOOD, OneThread, OneWay, Transductive


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
