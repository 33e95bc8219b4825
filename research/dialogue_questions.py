r"""Which question to ask: by expected gain, at random, or none, answered by what captions say.

    python research/dialogue_questions.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/dialogue_questions.md

A picture of Flickr8k has five captions.  The query is the first.  Whoever answers knows the other
four of the target, and says "unknown" where these are silent, never "no".  The questioner knows
nothing but embeddings, and asks about what the matcher sees; or it knows the second and third
caption of every candidate.  The weight is chosen on 100 pictures of val by the mean log rank at
round 5, for each way of asking apart; 500 pictures of test, among all 1,000, are looked for once.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank_dialogue import (
    CandidateSummary,
    CaptionTopics,
    Dialogue,
    DropQuestioner,
    Fuse,
    Rules,
    Topic,
    View,
    WordTopics,
    is_unknown,
    log_rank,
)
from crossrank_dialogue.queries import EncodedTexts, encoder_of
from crossrank_dialogue.topics import Source
from dialogue_tables import Ranker, Ranks, compared, gains, table, write

ROUNDS = 5
WEIGHTS, CANDIDATES = (0.3, 0.7), (20,)
TUNED_ON, TESTED_ON = 100, 500
Facts = set[tuple[str, ...]]
Choose = Callable[[list[tuple[Topic, float]]], Topic]
NONE = "no question: the caption alone"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    val = Split(given.dialogues, given.features, "val", TUNED_ON)
    settings = {}
    for name in WAYS:
        tried = {
            setting: log_rank(val.play(name, *setting)[0])[-1]
            for setting in product(WEIGHTS, CANDIDATES)
        }
        settings[name] = min(tried, key=lambda setting: tried[setting])
        print(name, settings[name], {k: round(float(v), 3) for k, v in tried.items()}, flush=True)

    test = Split(given.dialogues, given.features, "test", TESTED_ON)
    ranks, told = {}, {}
    for name, setting in settings.items():
        ranks[name], told[name] = test.play(name, *setting)
        print(name, log_rank(ranks[name]).round(3), round(told[name], 3), flush=True)
    noise = "pure noise: our first way, answered about another picture"
    first = next(iter(WAYS))
    ranks[noise], told[noise] = test.play(first, *settings[first], strangers=True)
    ranks = {NONE: np.repeat(ranks[first][:, :1], ROUNDS + 1, axis=1), **ranks}
    pairs = [(ours, other) for ours, other in COMPARED]
    rows = ['| way | weight | candidates | answers that are not "unknown" |', "|---" * 4 + "|"]
    for name, share in told.items():
        weight, candidates = settings.get(name, settings[first])
        rows.append(f"| {name} | {weight:g} | {candidates} | {100 * share:.1f} % |")
    write(
        given.output,
        [
            "# Which question to ask, on Flickr8k",
            "",
            "Made by `python research/dialogue_questions.py`; what it shows stands in",
            "[dialogue.md](dialogue.md#what-it-buys).",
            "",
            *table(f"{len(test.talks):,} pictures of the test split, among all 1,000", ranks),
            *compared(
                f"Chosen over random, at round {ROUNDS}",
                [
                    (f"{ours}, over {other}", ranks[other][:, -1], ranks[ours][:, -1])
                    for ours, other in pairs
                ],
            ),
            *gains(f"Over no question, at round {ROUNDS}", ranks, NONE),
            "## Settings, and what was answered",
            "",
            *rows,
        ],
    )


class Split:
    """The pictures of a split, what is known of each, and what the answerer knows."""

    def __init__(self, folder: Path, features: Path, name: str, most: int | None = None) -> None:
        images = cr.Collection.open(features / name / "images")
        captions = {}
        for line in (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            captions[Path(record["filename"]).stem] = record["captions"]
        known = [captions[id][1:3] for id in images.ids]
        self.bare = images
        self.captioned = images.with_features(captions=known)
        self.talks = [Dialogue(captions[id][0], (), id) for id in images.ids[:most]]
        told = [captions[id][1:5] for id in images.ids]
        self.topics = CaptionTopics()
        self.facts = self.topics.facts(told)
        self.words = [set(re.findall(r"\w+", " ".join(texts).lower())) for texts in told]
        self.texts = EncodedTexts(encoder_of(images, None))
        self.ranker = Ranker(images, np.arange(len(self.talks)), self.texts)
        self.sources: dict[str, Source] = {"captions": self.topics, "words": WordTopics()}

    def play(
        self, way: str, weight: float, candidates: int, *, strangers: bool = False
    ) -> tuple[Ranks, float]:
        """Return ``[pictures, rounds + 1]`` ranks, and what part of the answers says something."""
        source, chosen, by_cluster = WAYS[way]
        questioner = DropQuestioner(self.sources[source], candidates=candidates)
        gallery = self.captioned if source == "captions" else self.bare
        reformulator, rng = Fuse(Rules(), weight), np.random.default_rng(0)
        talks = list(self.talks)
        columns, answered, asked = [], 0, 0
        for after in range(ROUNDS + 1):
            queries = [reformulator.parts(talk) for talk in talks]
            columns.append(self.ranker.of(queries))
            if after == ROUNDS:
                break
            scores = self.ranker.ranker.vectors(queries) @ self.ranker.embeddings.T
            best = np.argsort(-scores, axis=1, kind="stable")[:, :candidates]
            for number, talk in enumerate(talks):
                view = View(gallery, best[number], self.texts.embeddings, talk.caption)
                if by_cluster:
                    view = clustered(view)
                found = questioner.gains(talk, view)
                if not found:
                    continue
                topic = found[0][0] if chosen else found[int(rng.integers(len(found)))][0]
                about = (number + len(self.facts) // 2) % len(self.facts) if strangers else number
                answer = answer_to(topic, self.facts[about], self.words[about])
                answered, asked = answered + (not is_unknown(answer)), asked + 1
                talks[number] = talk.answered(topic.question.text, answer)
        return np.stack(columns, axis=1), answered / max(asked, 1)


def clustered(view: View) -> View:
    """Return the candidates that stand for all: PlugIR's algorithm 1."""
    texts = [str(view.gallery["captions"][row][0]) for row in view.rows]
    rows = CandidateSummary().rows(view.embeddings, view.similarity(texts))
    return View(view.gallery, view.rows[np.sort(rows)], view.embed, view.query)


def answer_to(topic: Topic, facts: Facts, words: set[str]) -> str:
    """Return what somebody says who knows the target's captions."""
    look = re.fullmatch(r"What does the (.+) look like\?", topic.question.text)
    if look:
        seen = sorted(fact[1] for fact in facts if len(fact) == 2 and fact[0] == look[1])
        return seen[0] if seen else "unknown"
    if topic.about:
        parts = topic.about.split()
        there = (topic.about,) in facts or all(word in words for word in parts)
        return "yes" if there else "unknown"
    return next((answer for answer in topic.answers if content(answer) <= words), "unknown")


def content(answer: str) -> set[str]:
    """Return the words of an answer that say something."""
    small = {"at", "the", "in", "on", "a", "an", "one", "two", "many", "no", "people", "person"}
    found = set(re.findall(r"\w+", answer)) - small
    return found if found else {answer}


WAYS: dict[str, tuple[str, bool, bool]] = {
    "by expected gain, the matcher's words": ("words", True, False),
    "at random, the matcher's words": ("words", False, False),
    "by expected gain, captions known": ("captions", True, False),
    "by expected gain, captions of ten that stand for all": ("captions", True, True),
    "at random, captions known": ("captions", False, False),
}
"""Per way of asking what may be asked, whether the best is chosen, and whether of clusters."""

COMPARED: Sequence[tuple[str, str]] = (
    ("by expected gain, the matcher's words", "at random, the matcher's words"),
    ("by expected gain, captions known", "at random, captions known"),
    ("by expected gain, captions of ten that stand for all", "at random, captions known"),
)


if __name__ == "__main__":
    main()
