"""Runs of pairs: all pairs, in order, within bounds, with groups kept whole where they fit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank_filip.grouping import runs, sorted_pairs


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 12)), min_size=1, max_size=60, unique=True
    ),
    st.integers(0, 2**32 - 1),
    st.integers(1, 90),
    st.integers(1, 90),
)
@settings(deadline=None)
def test_runs_hold_all_pairs_and_no_more_rows_than_allowed(
    pairs: list[tuple[int, int]], seed: int, most_rows: int, most_gathered: int
) -> None:
    anchors, partners = np.array(pairs, np.int64).T
    order = sorted_pairs(anchors, partners)
    anchors, partners = anchors[order], partners[order]
    lengths = np.random.default_rng(seed).integers(1, 20, size=13)[partners]
    at = 0
    for run in runs(anchors, partners, lengths, most_rows, most_gathered):
        assert run.pairs.start == at
        at = run.pairs.stop
        rows = int(lengths[run.pairs].sum())
        most = most_rows if run.contiguous else most_gathered
        assert rows <= most or at - run.pairs.start == 1
        if run.contiguous:
            assert (np.diff(partners[run.pairs]) == 1).all()
            assert len(run.groups) == 2
        assert run.groups[0] == 0
        assert run.groups[-1] == at - run.pairs.start
        for first, last in zip(run.groups[:-1], run.groups[1:], strict=True):
            assert first < last
            assert len(set(anchors[run.pairs][first:last].tolist())) == 1
        inside = set(anchors[run.pairs].tolist())
        cut = inside & set(anchors[at:].tolist())
        if cut:  # only a group that begins here and does not fit, or that was cut before
            assert inside == cut
    assert at == len(pairs)
