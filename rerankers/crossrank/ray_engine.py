"""Scoring blocks on a Ray cluster, by actors that open the collections and load the plugin once.

Workers read features from the folder of the collection, which must be there on every machine; a
collection in memory travels once, through Ray's object store.  Results stream back as they are
finished, with Ray's back-pressure; a worker that is lost is replaced and its block scored again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from crossrank.blockwork import BlockWork
from crossrank.contract import Scores
from crossrank.errors import CrossrankError, PluginError, StoreError, missing_package
from crossrank.progress import silent
from crossrank.resources import Resources

logger = logging.getLogger(__name__)


def score_on_ray(
    work: BlockWork, blocks: Sequence[range], resources: Resources
) -> Iterator[tuple[range, Scores | PluginError]]:
    """Yield every block with its scores, in any order, scored by actors.

    Raises
    ------
    MissingPackageError
        If Ray is not installed.
    """
    if not blocks:
        return
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise missing_package("ray", "ray", 'engine="ray"') from error
    with _cluster(ray, resources):
        quiet = ray.data.DataContext.get_current()
        shown = quiet.enable_progress_bars, quiet.execution_options.verbose_progress
        quiet.enable_progress_bars = quiet.execution_options.verbose_progress = False
        sent = ray.put(replace(work, context=replace(work.context, progress=silent)))
        rows = [{"start": block.start, "stop": block.stop} for block in blocks]
        scored = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            ScoreBlocks,
            fn_constructor_args=(sent, resources.threads),
            batch_size=1,
            concurrency=min(resources.workers, len(rows)),
            num_cpus=resources.threads,
            num_gpus=resources.gpus_per_worker,
        )
        try:
            for row in scored.iter_rows():
                yield range(int(row["start"]), int(row["stop"])), _found(row)
        finally:
            quiet.enable_progress_bars, quiet.execution_options.verbose_progress = shown


def _found(row: dict[str, Any]) -> Scores | PluginError:
    """Read what an actor returned of a block.

    Raises
    ------
    StoreError
        If a file was changed under the run.
    """
    if row["unreadable"]:
        raise StoreError(row["unreadable"])
    if row["error"]:
        return PluginError(row["error"])
    shape = tuple(row["shape"])
    values = np.frombuffer(row["values"], np.float32).reshape(shape)
    abstained = np.frombuffer(row["abstained"], np.bool_).reshape(shape)
    return Scores(values, abstained, row["reason"])


class ScoreBlocks:
    """What an actor does: made once, called per block."""

    def __init__(self, sent: Any, threads: int) -> None:
        import ray
        from threadpoolctl import threadpool_limits

        from crossrank.engines import TorchThreads

        self.work: BlockWork = ray.get(sent)
        self.threads = TorchThreads(threads)
        self.limits = threadpool_limits(threads)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Score the blocks of a batch."""
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for start, stop in zip(batch["start"], batch["stop"], strict=True):
            unreadable = error = ""
            scores = Scores(np.zeros((0, 0), np.float32))
            self.threads.limit()
            try:
                found = self.work.run(range(int(start), int(stop)))
            except StoreError as problem:
                unreadable = str(problem)
            else:
                if isinstance(found, CrossrankError):
                    error = str(found)
                else:
                    scores = found
            abstained = scores.abstained
            if abstained is None:
                abstained = np.zeros(scores.values.shape, np.bool_)
            record = (int(start), int(stop), unreadable, error, list(scores.values.shape))
            content = (scores.values.tobytes(), abstained.tobytes(), scores.reason)
            for name, value in zip(COLUMNS, (*record, *content), strict=True):
                columns[name].append(value)
        return columns


COLUMNS = ("start", "stop", "unreadable", "error", "shape", "values", "abstained", "reason")


@contextmanager
def _cluster(ray: Any, resources: Resources) -> Iterator[None]:
    """Use the cluster that is there, or start a local one for as long as this takes."""
    if ray.is_initialized():
        yield
        return
    local = resources.ray_address is None
    ray.init(
        address=resources.ray_address,
        num_cpus=resources.workers * resources.threads if local else None,
        include_dashboard=False if local else None,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    try:
        yield
    finally:
        ray.shutdown()
