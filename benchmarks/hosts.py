"""What LangChain and LlamaIndex cost, the second time, beside the pipeline on stored features.

    python benchmarks/hosts.py [--queries 100] [--depth 50] [--rounds 5] [--json]

Pictures and texts are encoded by `lite` and reranked by filip.  The rival is `Pipeline.rerank` of
the same lists from stored features, query by query as a host calls its reranker.  The adapters get
loose pictures (features are kept by content since the first time) or a stored gallery.  "alone" is
the host's own protocol around a reranker that does nothing but return copies of what it was given
with as many metadata: what no adapter can go below; the last two columns leave it out.  "least" is
"alone" and what loose pictures ask for in any case: every file is asked whether it changed, kept
features are put side by side, and the pipeline runs.  Pictures that are opened are counted, times
are those of the processor, in one thread.  A host that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # for all calls; libraries read it when they are loaded

import numpy as np
from PIL import Image

import crossrank as cr

WORDS = (
    *("a", "the", "dog", "child", "ball", "water", "red", "blue", "runs", "jumps"),
    *("grass", "snow", "man", "woman", "on", "in", "two"),
)
Call = Callable[[], list[list[int]]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--queries", type=int, default=100)
    arguments.add_argument("--depth", type=int, default=50)
    arguments.add_argument("--pictures", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        photos = pictures(Path(folder), given.pictures, rng)
        texts = [" ".join(rng.choice(WORDS, 8)) for _ in range(given.queries)]
        lists = [rng.permutation(given.pictures)[: given.depth].tolist() for _ in texts]
        calls = {"pipeline": pipeline(texts, photos, lists)}
        gallery = cr.encode("lite", photos)
        calls["one call"] = one_call(texts, photos, lists)
        for name, make, alone in (
            ("langchain", langchain, langchain_alone),
            ("llamaindex", llamaindex, llamaindex_alone),
        ):
            try:
                calls[name] = make(texts, photos, lists, None)
                calls[f"{name}, gallery"] = make(texts, photos, lists, gallery)
                calls[f"{name}, alone"] = host = alone(texts, photos, lists)
                calls[f"{name}, least"] = least(texts, photos, lists, host)
            except ImportError as error:
                print(error)
        report(*measured(calls, given.rounds), as_json=given.json)


def measured(calls: dict[str, Call], rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return seconds of every round after the first, and pictures opened in these, per call."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    opened = dict.fromkeys(calls, 0)
    found = {}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            with Counted() as counted:
                start = time.process_time()  # what others do on the machine does not count
                found[name] = call()
                taken = time.process_time() - start
            if turn:
                seconds[name].append(taken)
                opened[name] += counted.number
    for name, order in found.items():
        assert name.endswith("alone") or order == found["pipeline"], f"{name} ranks otherwise"
    return seconds, opened


class Counted:
    """Counts how often Pillow opens a file."""

    def __enter__(self) -> Counted:
        self.number, self._open = 0, Image.open

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            return self._open(*args, **kwargs)

        Image.open = counting
        return self

    def __exit__(self, *_: object) -> None:
        Image.open = self._open


def pipeline(texts: Sequence[str], photos: Sequence[Path], lists: Sequence[list[int]]) -> Call:
    gallery = cr.encode("lite", photos)
    queries = cr.encode("lite", texts)
    run = cr.Pipeline(cr.Stage("filip", fusion=cr.Replace()))
    stored = [
        cr.Candidates.from_lists(
            [[str(photos[row]) for row in rows]],
            query_ids=[str(number)],
            candidate_ids=gallery.ids,
        )
        for number, rows in enumerate(lists)
    ]

    def call() -> list[list[int]]:
        return [
            [hit.base_rank for hit in run.rerank(each, queries, gallery, threads=1).values()[0]]
            for each in stored
        ]

    return call


def one_call(texts: Sequence[str], photos: Sequence[Path], lists: Sequence[list[int]]) -> Call:
    def call() -> list[list[int]]:
        return [
            [hit.base_rank for hit in cr.rerank(text, [photos[row] for row in rows], threads=1)]
            for text, rows in zip(texts, lists, strict=True)
        ]

    return call


def least(
    texts: Sequence[str], photos: Sequence[Path], lists: Sequence[list[int]], host: Call
) -> Call:
    """Return a call of a host's protocol, and of what an adapter cannot leave out beside it."""
    gallery, queries = cr.encode("lite", photos), cr.encode("lite", texts)
    run = cr.Pipeline(cr.Stage("filip", fusion=cr.Replace()))
    tokens = [gallery["tokens"][row] for row in range(len(photos))]
    names = [[str(photos[row]) for row in rows] for rows in lists]
    stored = [
        cr.Candidates.from_lists([ids], query_ids=[str(number)], candidate_ids=ids)
        for number, ids in enumerate(names)
    ]

    def call() -> list[list[int]]:
        host()
        found = []
        for rows, ids, candidates in zip(lists, names, stored, strict=True):
            for name in ids:
                os.stat(name)  # noqa: PTH116 - the quickest there is
            together = cr.Ragged.from_list([tokens[row] for row in rows])
            loose = cr.Collection(ids, "image", encoder=gallery.encoder, tokens=together)
            hits = run.rerank(candidates, queries, loose, threads=1).values()[0]
            found.append([hit.base_rank for hit in hits])
        return found

    return call


def base_ranks(found: Sequence[Any]) -> list[int]:
    """Return what is compared; a result is let go of before the next one, as a server does."""
    return [each.metadata["base_rank"] for each in found]


def told(place: int) -> dict[str, Any]:
    """Return as many metadata as an adapter writes."""
    trace = {"stage": "filip", "score": 0.5, "normalised": 0.5, "weight": 1.0, "note": ""}
    account = {"relevance_score": 0.5, "base_score": None, "base_rank": place + 1}
    return {**account, "trace": [trace]}


def langchain(
    texts: Sequence[str], photos: Sequence[Path], lists: Sequence[list[int]], gallery: Any
) -> Call:
    from langchain_core.documents import Document

    from crossrank_hosts.langchain import CrossrankCompressor

    documents = [Document(page_content="", metadata={"image_path": str(path)}) for path in photos]
    made = CrossrankCompressor(gallery=gallery, threads=1)

    def call() -> list[list[int]]:
        return [
            base_ranks(made.compress_documents([documents[row] for row in rows], text))
            for text, rows in zip(texts, lists, strict=True)
        ]

    return call


def langchain_alone(
    texts: Sequence[str], photos: Sequence[Path], lists: Sequence[list[int]]
) -> Call:
    from langchain_core.documents import Document
    from langchain_core.documents.compressor import BaseDocumentCompressor

    class Idle(BaseDocumentCompressor):  # type: ignore[misc]
        def compress_documents(self, documents: Any, query: str, callbacks: Any = None) -> Any:
            return [
                each.model_copy(update={"metadata": {**each.metadata, **told(place)}})
                for place, each in enumerate(documents)
            ]

    documents = [Document(page_content="", metadata={"image_path": str(path)}) for path in photos]
    made = Idle()

    def call() -> list[list[int]]:
        return [
            base_ranks(made.compress_documents([documents[row] for row in rows], text))
            for text, rows in zip(texts, lists, strict=True)
        ]

    return call


def llamaindex(
    texts: Sequence[str], photos: Sequence[Path], lists: Sequence[list[int]], gallery: Any
) -> Call:
    from llama_index.core.schema import ImageNode, NodeWithScore

    from crossrank_hosts.llamaindex import CrossrankPostprocessor

    nodes = [NodeWithScore(node=ImageNode(image_path=str(path))) for path in photos]
    made = CrossrankPostprocessor(gallery=gallery, threads=1)

    def call() -> list[list[int]]:
        return [
            base_ranks(made.postprocess_nodes([nodes[row] for row in rows], query_str=text))
            for text, rows in zip(texts, lists, strict=True)
        ]

    return call


def llamaindex_alone(
    texts: Sequence[str], photos: Sequence[Path], lists: Sequence[list[int]]
) -> Call:
    from llama_index.core.callbacks import CBEventType, EventPayload
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import ImageNode, NodeWithScore

    dispatcher = get_dispatcher(__name__)

    class Idle(BaseNodePostprocessor):  # type: ignore[misc]
        def _postprocess_nodes(self, nodes: Any, query_bundle: Any = None) -> Any:
            count = len(nodes)
            dispatcher.event(
                ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=count, model_name="idle")
            )
            payload = {EventPayload.NODES: nodes, EventPayload.TOP_K: count}
            with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
                best = [
                    NodeWithScore(
                        node=each.node.model_copy(
                            update={"metadata": {**each.node.metadata, **told(place)}}
                        ),
                        score=0.5,
                    )
                    for place, each in enumerate(nodes)
                ]
                event.on_end(payload={EventPayload.NODES: best})
            dispatcher.event(ReRankEndEvent(nodes=best))
            return best

    nodes = [NodeWithScore(node=ImageNode(image_path=str(path))) for path in photos]
    made = Idle()

    def call() -> list[list[int]]:
        return [
            base_ranks(made.postprocess_nodes([nodes[row] for row in rows], query_str=text))
            for text, rows in zip(texts, lists, strict=True)
        ]

    return call


def pictures(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).resize((320, 240)).save(path)
    return paths


def report(seconds: dict[str, list[float]], opened: dict[str, int], *, as_json: bool) -> None:
    lowest = {name: min(values) for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    rows = {}
    for name in seconds:
        alone = f"{name.partition(',')[0]}, alone"
        own = (
            (0.0, 0.0) if name == alone or alone not in seconds else (lowest[alone], middle[alone])
        )
        rows[name] = {
            "min": lowest[name],
            "median": middle[name],
            "ratio_of_min": lowest[name] / lowest["pipeline"],
            "ratio_of_median": middle[name] / middle["pipeline"],
            "without_host_of_min": (lowest[name] - own[0]) / lowest["pipeline"],
            "without_host_of_median": (middle[name] - own[1]) / middle["pipeline"],
            "opened": opened[name],
        }
    if as_json:
        print(json.dumps(rows))
        return
    heads = ("min ms", "median ms", "ratio", "median", "without", "median", "opened")
    print(f"{'':24}" + "".join(f"{head:>10}" for head in heads))
    for name, row in rows.items():
        ratios = "".join(f"{value:10.2f}" for value in list(row.values())[2:6])
        times = f"{1000 * row['min']:10.1f}{1000 * row['median']:10.1f}"
        print(f"{name:24}{times}{ratios}{row['opened']:10}")


if __name__ == "__main__":
    main()
