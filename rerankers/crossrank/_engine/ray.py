"""Scoring blocks on a Ray cluster, by actors that open the collections and load the plugin once.

Workers read features from the folder of the collection, which must be there on every machine; a
collection in memory travels once, through Ray's object store.  Results stream back as they are
finished, with Ray's back-pressure; a worker that is lost is replaced and its block scored again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from platform import node
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from crossrank import errors
from crossrank._engine.ray_cluster import cluster
from crossrank._engine.resources import Resources
from crossrank._engine.work import BlockWork, Found
from crossrank._progress import silent
from crossrank.errors import ClusterError, CrossrankError, PluginError
from crossrank.plugin._threads import TorchThreads
from crossrank.plugin.contract import Scores
from crossrank.plugin.optional import required

ATTEMPTS = 4
"""How often a block is begun: if every worker is lost over it, it may be what kills them."""


def score_on_ray(work: BlockWork, blocks: Sequence[range], resources: Resources) -> Found:
    """Yield every block with its scores, in any order, scored by actors.

    Raises
    ------
    MissingPackageError
        If Ray is not installed.
    ClusterError
        If no cluster answers, a worker cannot load what it needs, or the cluster fails.
    PluginError
        If the plugin cannot be sent to workers.
    """
    if not blocks:
        return
    ray = required("ray", "ray", 'engine="ray"')
    required("ray.data", "ray", 'engine="ray"')
    with cluster(ray, resources), _quiet(ray):
        rows = [{"start": block.start, "stop": block.stop} for block in blocks]
        counter = ray.remote(Attempts).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        attempts: Any = counter.remote()
        try:
            scored = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                ScoreBlocks,
                fn_constructor_args=(_sent(ray, work), attempts, resources.threads),
                batch_size=1,
                # one block is scored, one waits
                compute=ray.data.ActorPoolStrategy(
                    size=min(resources.workers, len(rows)), max_tasks_in_flight_per_actor=2
                ),
                num_cpus=resources.threads,
                num_gpus=resources.gpus_per_worker,
            )
            for row in scored.iter_rows():
                yield range(int(row["start"]), int(row["stop"])), _found(row)
        except (ray.exceptions.RayError, ConnectionError) as error:
            said = " … ".join(dict.fromkeys(_ends(str(error).strip().splitlines())))
            raise ClusterError(
                f"the Ray cluster failed: {said or type(error).__name__}; mend it and run again: "
                "with rerank_to, the same call goes on with what is finished"
            ) from error
        finally:
            with suppress(ray.exceptions.RayError):
                ray.kill(attempts)


def _ends(lines: Sequence[str]) -> Sequence[str]:
    """Return the first and the last line, where Ray says most."""
    return [line.strip()[:300] for line in (*lines[:1], *lines[-1:])]


def _sent(ray: Any, work: BlockWork) -> Any:
    """Put what workers need where they find it.

    Raises
    ------
    PluginError
        If the plugin or its state cannot be pickled.
    """
    try:
        return ray.put(replace(work, context=replace(work.context, progress=silent)))
    except (TypeError, AttributeError, ValueError) as error:
        raise PluginError(
            f"the reranker {work.stage.name!r} cannot be sent to workers: "
            f"{error.__cause__ or error}; it and what prepare() returns must be picklable"
        ) from error


def _found(row: dict[str, Any]) -> Scores | CrossrankError:
    """Read what an actor returned of a block.

    Raises
    ------
    CrossrankError
        If it could not be read: a file was changed under the run, or is not there.
    """
    if row["error"]:
        kind: type[CrossrankError] = getattr(errors, row["kind"])
        error = kind(row["error"])
        if row["fatal"]:
            raise error
        return error
    shape = tuple(row["shape"])
    values = np.frombuffer(row["values"], np.float32).reshape(shape)
    abstained = np.frombuffer(row["abstained"], np.bool_).reshape(shape)
    return Scores(values, abstained, row["reason"])


class Attempts:
    """Counts how often each block was begun, in an actor of its own."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()

    def begin(self, block: int) -> int:
        """Return the number of times that this was called for a block."""
        self.begun[block] += 1
        return self.begun[block]


class ScoreBlocks:
    """What an actor does: made once, called per block."""

    def __init__(self, sent: Any, attempts: Any, threads: int) -> None:
        import ray

        self.attempts = attempts
        self.work: BlockWork | ClusterError
        try:
            self.work = ray.get(sent)
        except Exception as error:  # raised again with the first block: then it has an address
            said = str(error).splitlines()[0].removeprefix("System error: ")
            self.work = ClusterError(
                f"a worker on {node()} cannot load the reranker or open the collections: {said}; "
                "every machine needs the same packages, and the folders at the same place"
            )
        self.threads = TorchThreads(threads)
        self.limits = threadpool_limits(threads)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Score the blocks of a batch."""
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for start, stop in zip(batch["start"], batch["stop"], strict=True):
            found, fatal = self._run(range(int(start), int(stop)))
            error, kind = "", ""
            scores = Scores(np.zeros((0, 0), np.float32))
            if isinstance(found, CrossrankError):
                error, kind = str(found), type(found).__name__
            else:
                scores = found
            abstained = scores.abstained
            if abstained is None:
                abstained = np.zeros(scores.values.shape, np.bool_)
            record = (int(start), int(stop), error, kind, fatal, list(scores.values.shape))
            content = (scores.values.tobytes(), abstained.tobytes(), scores.reason)
            for name, value in zip(COLUMNS, (*record, *content), strict=True):
                columns[name].append(value)
        return columns

    def _run(self, rows: range) -> tuple[Scores | CrossrankError, bool]:
        """Return the scores of a block or what is wrong, and whether that ends the run."""
        if isinstance(self.work, ClusterError):
            return self.work, True
        import ray

        if ray.get(self.attempts.begin.remote(rows.start)) > ATTEMPTS:
            lists, ids = self.work.lists(rows), self.work.context.lists.query_ids
            return PluginError(
                f"the reranker {self.work.stage.name!r} lost {ATTEMPTS} workers on queries "
                f"{ids[lists[0]]!r} to {ids[lists[-1]]!r}: it crashes, or they take more memory "
                "than the machines have; lower memory_budget or workers"
            ), False
        self.threads.limit()
        try:
            return self.work.run(rows), False
        except CrossrankError as problem:
            return problem, True


COLUMNS = ("start", "stop", "error", "kind", "fatal", "shape", "values", "abstained", "reason")


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Leave the terminal to our progress and errors; Ray's log files still have everything."""
    context = ray.data.DataContext.get_current()
    options = context.execution_options
    shown = context.enable_progress_bars, options.verbose_progress
    consoles = {
        handler: handler.level
        for handler in logging.getLogger("ray.data").handlers
        if isinstance(handler, logging.StreamHandler)
    }
    context.enable_progress_bars = options.verbose_progress = False
    for handler in consoles:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        context.enable_progress_bars, options.verbose_progress = shown
        for handler, level in consoles.items():
            handler.setLevel(level)
