"""The parameters of the reranker ``filip``."""

from __future__ import annotations

from dataclasses import dataclass

from crossrank.plugin.parameters import check, one_of


@dataclass(frozen=True, slots=True)
class FilipParameters:
    """What may be chosen; the defaults are the paper's directions and the fastest arithmetic.

    Parameters
    ----------
    mode
        ``"t2i"``: s^T, the mean over the text's tokens of the max over the image's; ``"i2t"``: s^I,
        the other way round; ``"both"``: the mean of the two; ``"auto"``: the mean over the query's
        tokens, which is s^T for a text query and s^I for an image query, the directions they are
        trained in, and the same rule for any other query.  Where modalities do not tell the sides
        apart, ``"t2i"`` and ``"i2t"`` average over the query's tokens too.
    aggregate
        ``"mean"``, as FILIP; ``"sum"``, as MaxSim (Khattab and Zaharia, ColBERT, SIGIR 2020) and
        the ColPali-like models score: the sum over the same tokens, which are the query's by
        default in either direction.  With ``mode="both"`` the mean of the two sums.
    backend
        ``"numpy"``, ``"torch"``, or ``"auto"``: torch for large products where it is installed.
        On the processor; a run with another device computes there, with torch.
    """

    mode: str = "auto"
    aggregate: str = "mean"
    backend: str = "auto"

    def __post_init__(self) -> None:
        check(
            "filip",
            self,
            aggregate=one_of("mean", "sum"),
            mode=one_of("auto", "t2i", "i2t", "both"),
            backend=one_of("auto", "numpy", "torch"),
        )
