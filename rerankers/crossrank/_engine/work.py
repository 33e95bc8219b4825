"""What scoring a block of one stage takes, apart from where it is done: here, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.block import make_block
from crossrank._items.fingerprint import fingerprint
from crossrank._progress import is_of_progress
from crossrank._stage import Stage
from crossrank.errors import CrossrankError, MissingFeatureError, PluginError, ScoreError
from crossrank.plugin.contract import Block, Context, Needs, Scores, State

Result = TypeVar("Result")
Found: TypeAlias = Generator[tuple[range, Scores | CrossrankError], None, None]
"""Blocks with their scores, or with what went wrong, as they are finished."""


@dataclass(frozen=True, slots=True)
class BlockWork:
    """The lists of a stage in the order in which they are scored, and what scoring them takes.

    It may be sent to another process: collections that lie on disk are opened again there.

    Parameters
    ----------
    stage, context, state
        What scores ``context.lists``, with what `prepare` returned.
    needs
        What blocks carry.
    query_rows
        ``[Q]`` the row of each list's query in ``context.queries``.
    order
        ``[Q]`` which lists follow each other.
    portions
        By the first query of each block: how it is cut, see `crossrank._engine.partition.portions`.
    keep
        See `Block`.
    """

    stage: Stage
    context: Context
    state: State
    needs: Needs
    query_rows: NDArray[np.int64]
    order: NDArray[np.int64]
    portions: Mapping[int, Sequence[range]]
    keep: int | None

    def lists(self, rows: range) -> NDArray[np.int64]:
        """Return which lists a block holds."""
        return self.order[rows.start : rows.stop]

    def run(self, rows: range) -> Scores | CrossrankError:
        """Read and score a block, one portion after the other."""
        return joined([self.score(self.read(part)) for part in self.portions[rows.start]])

    def read(self, rows: range) -> Block:
        """Gather what some queries need, as a block of their own."""
        return gathered(self.context, self.needs, self.query_rows, self.lists(rows), self.keep)

    def score(self, block: Block) -> Scores | CrossrankError:
        """Return the scores of a block, or how the scorer failed on it."""
        if not block.mask.any():
            return Scores(np.zeros(block.mask.shape, np.float32))
        try:
            return checked_scores(self.stage, block, self.state)
        except CrossrankError as error:
            return error

    def pairs(self, rows: range) -> str:
        """Return a digest of the pairs of a block, and of all that their scores follow from."""
        lists, candidates = self.lists(rows), self.context.lists
        if self.stage.scorer.info.transductive:  # it has seen all lists
            lists = np.concatenate([lists, self.order])
        mask = candidates.mask[lists]
        index = np.where(mask, candidates.index[lists], 0)
        parts = [self.query_rows[lists], mask, index, self.keep]
        if self.needs.previous and self.context.previous is not None:
            parts.append(np.where(mask, self.context.previous[lists], 0.0))
        return fingerprint(parts)


def joined(parts: Sequence[Scores | CrossrankError]) -> Scores | CrossrankError:
    """Return the scores of a block from those of its portions, or the first error."""
    scores = []
    for part in parts:
        if isinstance(part, CrossrankError):
            return part
        scores.append(part)
    if len(scores) == 1:
        return scores[0]
    silent = all(part.abstained is None for part in scores)
    abstained = [
        np.zeros(part.values.shape, np.bool_) if part.abstained is None else part.abstained
        for part in scores
    ]
    return Scores(
        np.concatenate([part.values for part in scores]),
        None if silent else np.concatenate(abstained),
        "; ".join(dict.fromkeys(part.reason for part in scores if part.reason)),
    )


def gathered(
    context: Context,
    needs: Needs,
    query_rows: NDArray[np.int64],
    lists: NDArray[np.int64],
    keep: int | None = None,
) -> Block:
    """Return the block of some lists."""
    candidates = context.lists
    return make_block(
        query_rows[lists],
        candidates.index[lists],
        candidates.mask[lists],
        None if candidates.scores is None else candidates.scores[lists],
        context.queries,
        context.gallery,
        needs,
        context.direction,
        keep,
        context.previous[lists] if needs.previous and context.previous is not None else None,
    )


def checked_scores(stage: Stage, block: Block, state: State) -> Scores:
    """Call a scorer and hold what it returns against the contract.

    Raises
    ------
    PluginError
        If it raises.
    ScoreError
        If it returns the wrong type, shape or dtype, or a score that is not finite.
    """
    scores = guarded(stage, "score", lambda: stage.scorer.score(block, state), block)
    who = f"the reranker {stage.name!r}"
    if not isinstance(scores, Scores):
        raise ScoreError(f"{who} returned a {type(scores).__name__}; score() must return Scores")
    values, abstained = scores.values, scores.abstained
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise ScoreError(f"{who} returned scores of {kind}; they must be a float32 array")
    if values.shape != block.mask.shape:
        raise ScoreError(
            f"{who} returned scores of shape {values.shape} for a block of {block.mask.shape}"
        )
    counts = block.mask
    if abstained is not None:
        if not isinstance(abstained, np.ndarray) or abstained.dtype != np.bool_:
            raise ScoreError(f"{who} returned an abstain mask that is not a bool array")
        if abstained.shape != block.mask.shape:
            raise ScoreError(
                f"{who} returned an abstain mask of shape {abstained.shape} "
                f"for a block of {block.mask.shape}"
            )
        counts = counts & ~abstained
    wrong = counts & ~np.isfinite(values)
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise ScoreError(
            f"{who} gave {values[row, place]} to query {block.queries.ids[row]!r} and candidate "
            f"{block.candidates.ids[block.index[row, place]]!r}; scores must be finite "
            "(abstain where there is none)"
        )
    return scores


def guarded(stage: Stage, what: str, call: Callable[[], Result], block: Block | None) -> Result:
    """Call a plugin, and say which one it was if it fails.

    Raises
    ------
    CrossrankError
        Its own errors as they are; `PluginError` for every other exception.
    """
    try:
        return call()
    except MissingFeatureError as error:
        if block is None:
            raise
        raise PluginError(
            f"the reranker {stage.name!r} read in {what}() a feature that its info or needs() does "
            f"not name: {error}"
        ) from error
    except CrossrankError:
        raise
    except Exception as error:
        if is_of_progress(error):
            raise
        where = ""
        if block is not None and len(block.queries):
            where = f" on queries {block.queries.ids[0]!r} to {block.queries.ids[-1]!r}"
        hint = "; a block is read-only" if "read-only" in str(error) else ""
        raise PluginError(
            f"the reranker {stage.name!r} failed in {what}(){where}: "
            f"{type(error).__name__}: {error}{hint}"
        ) from error
