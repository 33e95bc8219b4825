"""The demo's run: photographs in, rankings, metrics and one page out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from crossrank import (
    Collection,
    Encoder,
    Item,
    Pipeline,
    Progress,
    Rankings,
    Reranker,
    Stage,
    encode,
    search,
)
from crossrank.errors import StoreError
from crossrank.evaluation import Evaluation, evaluate
from crossrank.plugin.encoders import as_encoder
from crossrank.plugin.files import atomic_file
from crossrank.plugin.optional import versions
from crossrank.report import Picture, check_jinja, embed
from crossrank_demo.page import Page, render
from crossrank_demo.pictures import locate, write_crops
from crossrank_demo.scenes import Scenes, load_scenes
from crossrank_demo.story import Chapter, shown, tell
from crossrank_demo.summary import PACKAGES, in_sentences, in_text, steps

DEPTH = 20
"""Candidates per query that the base search hands over."""

METRICS = ("R@1", "R@5", "MRR", "nDCG@10")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo leaves behind.

    Parameters
    ----------
    page
        The HTML file.
    rankings
        Before and after, for every query.
    metrics
        The evaluation: ``"base"`` and ``"reranked"``.
    table
        A few lines of text for a terminal.
    """

    page: Path
    rankings: Rankings
    metrics: Evaluation
    table: str


def run_demo(
    output: str | Path,
    *,
    encoder: str | type[Encoder] | Encoder = "lite",
    reranker: str | type[Reranker] | Reranker = "filip",
    progress: Progress | bool | None = None,
) -> DemoResult:
    """Encode, search, rerank, evaluate and explain, on photographs from installed packages.

    Parameters
    ----------
    output
        The HTML file to write; one that exists is replaced when the new one is complete.
    encoder
        Gives ``embedding`` and ``tokens`` of both sides and ``token_boxes`` of pictures.
    reranker
        Explains itself with one link per word of a query.
    progress
        True for a bar on standard error, or a callable ``(what, done, total)``.

    Raises
    ------
    MissingPackageError
        If a package of the extra ``demo`` is not installed.
    StoreError
        If the page cannot be written.
    """
    page = Path(output)
    if page.is_dir():
        raise StoreError(f"{page} is a folder; give the name of an HTML file in it")
    if not page.parent.is_dir():
        raise StoreError(f"{page.parent} is not a folder; make it first")
    scenes = load_scenes()
    check_jinja("demo", "the demo")
    for photograph in scenes.photographs:
        locate(photograph)
    maker = as_encoder(encoder, {})
    stage = Stage(reranker)
    pipeline = Pipeline([stage])

    queries, gallery, pictures = _encoded(scenes, maker, progress)
    candidates = search(queries, gallery, DEPTH)
    rankings = pipeline.rerank(candidates, queries, gallery, progress=progress)
    metrics = evaluate(rankings, scenes.qrels(), METRICS)
    chapters = _chapters(scenes, pipeline, rankings, queries, gallery)

    content = Page(
        title=f"A second look at {len(gallery)} pictures",
        summary=in_sentences(chapters),
        encoder=maker.info.name,
        reranker=stage.name,
        depth=DEPTH,
        evaluation=metrics,
        chapters=chapters,
        photographs=scenes.photographs,
        pictures=pictures,
        steps=steps(maker.info.name, DEPTH, stage),
        versions=versions(PACKAGES),
    )
    with atomic_file(page) as file:
        file.write(render(content))
    return DemoResult(page, rankings, metrics, in_text(chapters, metrics, DEPTH))


def _encoded(
    scenes: Scenes, encoder: Encoder, progress: Progress | bool | None
) -> tuple[Collection, Collection, dict[str, Picture]]:
    """Encode both sides, and prepare the crops for the page."""
    with TemporaryDirectory(prefix="crossrank-demo-") as folder:
        files = write_crops(scenes.photographs, Path(folder))
        images = [Item(id, image=path) for id, path in files.items()]
        features = ("embedding", "tokens", "token_boxes")
        gallery = encode(encoder, images, "image", features, progress=progress)
        pictures = {id: embed(path) for id, path in files.items()}
    texts = [Item(query.id, query.text) for query in scenes.queries]
    features = ("embedding", "tokens", "token_text")
    return encode(encoder, texts, "text", features, progress=progress), gallery, pictures


def _chapters(
    scenes: Scenes,
    pipeline: Pipeline,
    rankings: Rankings,
    queries: Collection,
    gallery: Collection,
) -> tuple[Chapter, ...]:
    """Ask the reranker for its evidence, query by query."""
    qrels = scenes.qrels()
    chapters = []
    for query in scenes.queries:
        ranking = rankings[query.id]
        before, after = shown(ranking)
        ids = list(dict.fromkeys(hit.id for hit in (*before, *after)))
        (evidence,) = pipeline.explain(queries, gallery, query.id, ids).values()
        chapters.append(tell(query, ranking, qrels[query.id], evidence, queries, gallery))
    return tuple(chapters)
