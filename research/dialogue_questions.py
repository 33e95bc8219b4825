r"""Which question to ask: by expected gain, at random, or none, answered by what captions say.

    python research/dialogue_questions.py --dialogues DATA/flickr8k --features FEATURES \\
        --keep out/questions -o docs/studies/dialogue_questions.md

A picture of Flickr8k has five captions.  The query is the first.  Whoever answers knows the other
four of the target, and says "unknown" where these are silent, never "no".  The questioner knows
nothing but embeddings, and asks about what the matcher sees; or it knows the second and third
caption of every candidate.  The weight is chosen on 100 pictures of val by the mean log rank at
round 5, for each way of asking apart; then pictures of test, among all 1,000, are looked for once.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_dialogue import (
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
WEIGHTS, CANDIDATES = (0.3, 0.7), 20
TUNED_ON = 100
Facts = set[tuple[str, ...]]
NONE = "no question: the caption alone"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    arguments.add_argument("--weight", type=float, help="Of the dialogue, without tuning.")
    arguments.add_argument("--keep", type=Path, required=True, help="Where results are kept.")
    arguments.add_argument("--only", help="One way, and no page; what is kept stays.")
    given = arguments.parse_args()
    folders = given.dialogues, given.features
    jobs = {name: (name, False) for name in WAYS} | {noise: (n, True) for noise, n in NOISE.items()}
    for name, (way, strangers) in jobs.items():
        if given.only in (None, name):
            kept(
                given.keep, name, partial(tuned_and_played, *folders, way, given.weight, strangers)
            )
    if given.only is not None:
        return
    found = {name: read(given.keep, name) for name in jobs}
    lines = []
    for source, (title, count) in TABLES.items():
        ranks = {name: own.ranks for name, own in found.items() if own.source == source}
        start = next(iter(ranks.values()))[:, :1]
        ranks = {NONE: np.repeat(start, ROUNDS + 1, axis=1), **ranks}
        lines += table(f"{title}: {count} pictures of the test split, among all 1,000", ranks)
        lines += compared(
            f"{title}: chosen over random, at round {ROUNDS}",
            [
                (f"{ours}, over {other}", ranks[other][:, -1], ranks[ours][:, -1])
                for ours, other in COMPARED
                if ours in ranks
            ],
        )
        lines += gains(f"{title}: over no question, at round {ROUNDS}", ranks, NONE)
    lines += ["## Settings, and what was answered", ""]
    lines += ['| way | weight | answers that are not "unknown" | with them, log rank moves by |']
    lines += ["|---" * 4 + "|"]
    for name, own in found.items():
        told = f"{100 * own.answered:.1f} %"
        lines.append(f"| {name} | {own.weight:g} | {told} | {own.moved:+.3f} |")
    write(
        given.output,
        [
            "# Which question to ask, on Flickr8k",
            "",
            "Made by `python research/dialogue_questions.py`; what it shows stands in",
            "[dialogue.md](../dialogue.md#what-it-buys).",
            "",
            *lines,
        ],
    )


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a way of asking: ranks, how often it was answered, and what that moved."""

    source: str
    weight: float
    ranks: Ranks
    answered: float
    moved: float


def kept(folder: Path, name: str, play: Callable[[], Played]) -> None:
    """Play what is not there yet."""
    path = folder / f"{name}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        played = play()
        record = {**asdict(played), "ranks": played.ranks.tolist()}
        path.write_text(json.dumps(record), encoding="utf-8")


def read(folder: Path, name: str) -> Played:
    """Read what was kept."""
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return Played(**{**record, "ranks": np.array(record["ranks"])})


def tuned_and_played(
    folder: Path, features: Path, way: str, weight: float | None, strangers: bool
) -> Played:
    """Choose the weight on val, unless it is given, and play test once."""
    source = WAYS[way][0]
    if weight is None:
        val = Split(folder, features, "val", TUNED_ON)
        weight = min(WEIGHTS, key=lambda w: log_rank(val.play(way, w)[0])[-1])
    test = Split(folder, features, "test", TABLES[source][1])
    ranks, told = test.play(way, weight, strangers=strangers)
    print(way, weight, strangers, log_rank(ranks).round(3), round(told.mean(), 3), flush=True)
    steps = np.diff(np.log(ranks), axis=1)
    moved = float(steps[told].mean()) if told.any() else 0.0
    return Played(source, weight, ranks, float(told.mean()), moved)


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
        told = [captions[talk.id][1:5] for talk in self.talks]
        self.topics = CaptionTopics()
        self.facts = self.topics.facts(told)
        self.words = [set(re.findall(r"\w+", " ".join(texts).lower())) for texts in told]
        self.texts = EncodedTexts(encoder_of(images, None))
        self.ranker = Ranker(images, np.arange(len(self.talks)), self.texts)
        self.sources: dict[str, Source] = {"captions": self.topics, "words": WordTopics()}

    def play(
        self, way: str, weight: float, *, strangers: bool = False
    ) -> tuple[Ranks, NDArray[np.bool_]]:
        """Return ``[pictures, rounds + 1]`` ranks, and which rounds were answered."""
        source, chosen = WAYS[way]
        questioner = DropQuestioner(self.sources[source], candidates=CANDIDATES)
        gallery = self.captioned if source == "captions" else self.bare
        reformulator, rng = Fuse(Rules(), weight), np.random.default_rng(0)
        talks, columns = list(self.talks), []
        answered = np.zeros((len(talks), ROUNDS), np.bool_)
        for after in range(ROUNDS + 1):
            queries = [reformulator.parts(talk) for talk in talks]
            columns.append(self.ranker.of(queries))
            if after == ROUNDS:
                break
            scores = self.ranker.ranker.vectors(queries) @ self.ranker.embeddings.T
            best = np.argsort(-scores, axis=1, kind="stable")[:, :CANDIDATES]
            for number, talk in enumerate(talks):
                view = View(gallery, best[number], self.texts.embeddings, talk.caption)
                found = questioner.gains(talk, view)
                if not found:
                    continue
                topic = found[0][0] if chosen else found[int(rng.integers(len(found)))][0]
                about = (number + len(talks) // 2) % len(talks) if strangers else number
                answer = answer_to(topic, self.facts[about], self.words[about])
                answered[number, after] = not is_unknown(answer)
                talks[number] = talk.answered(topic.question.text, answer)
        return np.stack(columns, axis=1), answered


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


WAYS: dict[str, tuple[str, bool]] = {
    "by expected gain, the matcher's words": ("words", True),
    "at random, the matcher's words": ("words", False),
    "by expected gain, captions known": ("captions", True),
    "at random, captions known": ("captions", False),
}
"""Per way of asking what may be asked, and whether the best is chosen."""

COMPARED: Sequence[tuple[str, str]] = (
    ("by expected gain, the matcher's words", "at random, the matcher's words"),
    ("by expected gain, captions known", "at random, captions known"),
)
NOISE = {
    "pure noise: the first way, answered about another picture": (
        "by expected gain, the matcher's words"
    ),
    "pure noise: at random, answered about another picture": "at random, captions known",
}
TABLES = {"words": ("Nothing known but embeddings", 300), "captions": ("Captions known", 100)}
"""Per source the title of its table, and how many pictures of test are looked for."""


if __name__ == "__main__":
    main()
