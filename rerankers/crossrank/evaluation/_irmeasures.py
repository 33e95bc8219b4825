"""The measures of ir-measures, on our order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ir_measures
import numpy as np
from ir_measures.measures import MeanAgg, SumAgg
from numpy.typing import NDArray

from crossrank._files.trec import Qrels
from crossrank.errors import InputError

MEND = "give R@K, MedR, MeanR, MRR, or a name that ir-measures knows, such as nDCG@10 or ir:R@5"


def summary(name: str) -> str:
    """Return how ir-measures sums a measure up: ``"mean"`` or ``"sum"``."""
    aggregator = _parsed(name).aggregator()
    if isinstance(aggregator, MeanAgg | SumAgg):
        return "sum" if isinstance(aggregator, SumAgg) else "mean"
    raise InputError(f"evaluate: {name!r:.80} is neither averaged nor summed; {MEND}")


def values(
    names: Sequence[str], qrels: Qrels, lists: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    """Return ``[M, Q]`` measures of ranked lists, in the order of `names` and of the qrels.

    The lists are ids, best first.  Queries that lack there, and those without any judgement, take
    the measure's value for an empty list.
    """
    # strictly falling scores, exact in float32: else the tools would break ties by id
    run = {
        query: {id: float(-rank) for rank, id in enumerate(ids, 1)}
        for query, ids in lists.items()
        if ids and qrels.get(query)
    }
    judged = {query: members for query, members in qrels.items() if members}
    measures = [_parsed(name) for name in names]
    result = np.array([[float(each.DEFAULT)] * len(qrels) for each in measures])
    row = {each: number for number, each in enumerate(measures)}
    column = {query: number for number, query in enumerate(qrels)}
    known = np.zeros(result.shape, np.bool_)
    try:
        for measured in ir_measures.iter_calc(list(row), judged, run) if run else ():
            place = row[measured.measure], column[measured.query_id]
            result[place] = measured.value
            known[place] = True
    except Exception as error:
        raise InputError(
            f"evaluate: ir-measures cannot compute {', '.join(names)}: {error}"
        ) from error
    for query in run:
        if not known[:, column[query]].all():
            name = names[int(np.argmin(known[:, column[query]]))]
            raise InputError(
                f"evaluate: ir-measures gives no {name} for query {query!r}, where the measure "
                "is undefined; leave out the query or the measure"
            )
    return result


def _parsed(name: str) -> Any:
    try:
        measure: Any = ir_measures.parse_measure(name)
        measure.validate_params()
    except (AssertionError, NameError, ValueError) as error:
        raise InputError(f"evaluate: no measure {name!r:.80} ({error!s:.200}); {MEND}") from error
    # trec_eval, deep inside, answers a cutoff below 1 by ending the process
    cutoff = measure.params.get("cutoff", 1)
    if cutoff < 1:
        raise InputError(f"evaluate: {name!r:.80} has the cutoff {cutoff}; give 1 or more")
    return measure
