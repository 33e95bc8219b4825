"""The conformance kit: every promise of the plugin contract, tried on anybody's class.

::

    import pytest
    from crossrank.testing import check_reranker
    from my_package.overlap import OverlapReranker

    @pytest.mark.parametrize("check", check_reranker(OverlapReranker))
    def test_overlap(check):
        check()

pytest is not needed: a check is a callable without arguments that raises AssertionError with a
message that says what is broken and how to mend it.
"""

from crossrank.testing._check import Check
from crossrank.testing._data import make_collection, make_items
from crossrank.testing._encoder import check_encoder
from crossrank.testing._reranker import check_reranker

__all__ = ["Check", "check_encoder", "check_reranker", "make_collection", "make_items"]
