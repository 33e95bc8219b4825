"""The parser by rules against graphs that people wrote: FACTUAL, and where the two differ.

    CROSSRANK_DATA=… python research/factual_study.py --split test

Prints F1 of objects, attributes and relations, whole graphs, time per caption, and what the errors
are, counted by kind.  ``dev`` is what the rules were written on (two thirds) and held out on (the
last third); ``test`` is there to be looked at once.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections import Counter
from pathlib import Path

from crossrank_graphs import Fact, Graph, RuleParser, compare, graph_of_tuples

KINDS = {1: "objects", 2: "attributes", 3: "relations"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--split", choices=["dev", "held-out", "test"], required=True)
    split = arguments.parse_args().split
    name = "test" if split == "test" else "dev"
    path = Path(os.environ["CROSSRANK_DATA"], "factual", f"{name}.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if split == "held-out":
        rows = rows[len(rows) * 2 // 3 :]
    parser = RuleParser()
    next(parser.graphs(["a dog"]))  # loads the pipeline
    start = time.process_time()
    found = list(parser.graphs(row["caption"] for row in rows))
    spent = 1000 * (time.process_time() - start) / len(rows)
    expected = [graph_of_tuples(row["caption"], row["scene_graph"]) for row in rows]

    def normalise(name: str) -> str:
        return " ".join(parser.lemma(word, "NOUN") for word in name.lower().split())

    for soft in (False, True):
        result = compare(found, expected, normalise, soft)
        figures = (result.objects, result.attributes, result.relations)
        line = "  ".join(f"{f.f1:.1f} (P {f.precision:.1f} R {f.recall:.1f})" for f in figures)
        print(f"{'soft' if soft else 'exact'}: {line}  whole {result.whole:.1f} %")
    print(f"{len(rows)} captions, {spent:.1f} ms each\n")
    for kind, counts in errors(found, expected, normalise).items():
        print(kind)
        for what, count in counts.most_common():
            print(f"  {count:5d}  {what}")


def errors(found: list[Graph], expected: list[Graph], normalise: object) -> dict[str, Counter[str]]:
    """Return per kind of fact how often each kind of error occurs."""
    assert callable(normalise)
    counts: dict[str, Counter[str]] = {name: Counter() for name in KINDS.values()}
    for one, other in zip(found, expected, strict=True):
        ours, theirs = ({_plain(f, normalise) for f in graph.facts()} for graph in (one, other))
        for fact in theirs - ours:
            counts[KINDS[len(fact)]][_why(fact, ours, "missing")] += 1
        for fact in ours - theirs:
            counts[KINDS[len(fact)]][_why(fact, theirs, "too much")] += 1
    return counts


def _plain(fact: Fact, normalise: object) -> Fact:
    assert callable(normalise)
    if len(fact) == 3:
        return normalise(fact[0]), fact[1].lower(), normalise(fact[2])
    return normalise(fact[0]), *(word.lower() for word in fact[1:])


def _why(fact: Fact, others: set[Fact], verdict: str) -> str:
    """Say what the other side has instead of a fact."""
    words = set(" ".join(fact).split())
    if len(fact) == 1:
        near = [f for f in others if len(f) == 1 and words & set(f[0].split())]
        return f"{verdict}, the other has a longer or shorter name" if near else verdict
    if len(fact) == 2:
        if any(len(f) == 2 and f[1] == fact[1] for f in others):
            return f"{verdict}, the other has it of another object"
        if any(len(f) == 2 and f[0] == fact[0] for f in others):
            return f"{verdict}, the other says something else of the object"
        if any(len(f) == 1 and fact[1] in f[0].split() for f in others):
            return f"{verdict}, the other has it in the name"
        if any(len(f) == 3 and fact[1].split()[0] in f[1].split() for f in others):
            return f"{verdict}, the other has it in a relation"
        return verdict
    ends = [f for f in others if len(f) == 3]
    if any((f[0], f[2]) == (fact[0], fact[2]) for f in ends):
        return f"{verdict}, the other has another predicate"
    if any((f[2], f[0]) == (fact[0], fact[2]) for f in ends):
        return f"{verdict}, the other has it the other way round"
    if any(f[1] == fact[1] for f in ends):
        return f"{verdict}, the other has another end"
    if any(f[0] == fact[0] or f[2] == fact[2] for f in ends):
        return f"{verdict}, the other relates one end to something else"
    return verdict


if __name__ == "__main__":
    main()
