"""The demo's outcome in words: for the top of the page, for a terminal, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from crossrank import Stage
from crossrank.evaluation import Evaluation
from crossrank_demo.story import Chapter

PACKAGES = ("crossrank", "numpy", "Pillow", "torch", "transformers")


def in_sentences(chapters: Sequence[Chapter]) -> tuple[str, ...]:
    """Return what a reader should know first."""
    changes = [chapter.story.change for chapter in chapters]
    before = sum(chapter.story.before == 1 for chapter in chapters)
    after = sum(chapter.story.after == 1 for chapter in chapters)
    return (
        "A few photographs were cut into overlapping crops, and each sentence is to find the crops "
        f"that show what it says. Search puts one of them first for {before} of {len(chapters)} "
        f"sentences; a second look, word by word and patch by patch, for {after}.",
        f"Going by the first such crop, {changes.count('better')} sentences come out better, "
        f"{changes.count('worse')} worse and {changes.count('same')} the same.",
    )


def in_text(chapters: Sequence[Chapter], metrics: Evaluation, depth: int) -> str:
    """Return a table of places before and after, and one of metrics."""
    heading = "place of the first relevant crop"
    width = max(len(heading), *(len(chapter.query.text) for chapter in chapters))
    lines = [f"{heading:<{width}}  base  reranked"]
    for chapter in chapters:
        places = (chapter.story.before, chapter.story.after)
        before, after = (f">{depth}" if place is None else str(place) for place in places)
        note = "" if chapter.story.change == "same" else f"  {chapter.story.change}"
        lines.append(f"{chapter.query.text:<{width}}  {before:>4}  {after:>8}{note}")
    return "\n".join([*lines, "", str(metrics)])


def steps(encoder: str, depth: int, stage: Stage) -> tuple[str, ...]:
    """Return the commands that lead to the page, and the calls behind them."""
    return (
        'pip install "crossrank[demo]"',
        "crossrank demo",
        "",
        "# in Python, with import crossrank as cr",
        f'gallery  = cr.encode("{encoder}", crops)',
        f'queries  = cr.encode("{encoder}", sentences)',
        f"base     = cr.search(queries, gallery, depth={depth})",
        f'pipeline = cr.Pipeline([cr.Stage("{stage.name}", fusion=cr.{stage.fusion!r})])',
        "rankings = pipeline.rerank(base, queries, gallery)",
        "print(cr.evaluate(rankings, qrels))",
        "evidence = pipeline.explain(queries, gallery, query_id, candidate_ids)",
    )
