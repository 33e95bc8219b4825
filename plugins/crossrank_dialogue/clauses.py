"""English questions turned into clauses, by word order alone."""

from __future__ import annotations

import re
from collections.abc import Callable

BE = r"(?P<be>is|are|was|were)"
LINKS = re.compile(
    r"\w+ing|visible|in|on|at|near|with|by|under|over|behind|inside|outside|next|made|a|an|the",
    re.IGNORECASE,
)
"""Words at which the subject of a question ends: "is the man | wearing", "is it | in"."""
PRONOUNS = frozenset(
    ["it", "he", "she", "they", "there", "we", "you", "anyone", "someone", "everyone"]
)
POINTERS = frozenset(["this", "that", "these", "those"])
THERE = re.compile(
    r"(?:(?:is|are|was|were) there|(?:do|can|could) you see|any) (?P<thing>.+)", re.IGNORECASE
)
AUXILIARY = re.compile(
    r"(?P<auxiliary>is|are|was|were|do|does|did|has|have|had|can|could|will|would) (?P<rest>.+)",
    re.IGNORECASE,
)


def declarative(question: str, negated: bool = False) -> str:
    """Return what "yes" to a question says, or "no"; empty for a question that is neither.

    Examples
    --------
    >>> declarative("is the man wearing a hat"), declarative("do you see any dogs", negated=True)
    ('the man is wearing a hat', 'there is no dogs')
    """
    match = THERE.fullmatch(question)
    if match:
        thing = re.sub(r"^(any other|any|some)\b ?", "", match["thing"])
        bare = re.sub(r"^(a|an|the) ", "", thing)
        return f"there is no {bare}" if negated else f"there is {thing}"
    match = AUXILIARY.fullmatch(question)
    if not match:
        return ""
    subject, rest = split_subject(match["rest"])
    auxiliary = match["auxiliary"].lower()
    if negated:
        return f"{subject} {auxiliary} not {rest}".strip()
    if auxiliary == "does":
        return f"{subject} {_third_person(rest)}".strip()
    if auxiliary in ("do", "did"):
        return f"{subject} {rest}".strip()
    return f"{subject} {auxiliary} {rest}".strip()


def completed(question: str, answer: str) -> str:
    """Return what an answer of substance says; the answer alone for a form that is not known.

    Examples
    --------
    >>> completed("what is the boy holding", "a ball"), completed("how many dogs are there", "2")
    ('the boy is holding a ball', '2 dogs')
    """
    for pattern, make in FORMS:
        match = pattern.fullmatch(question)
        if match:
            return make(match, answer)
    return answer


def split_subject(clause: str) -> tuple[str, str]:
    """Split a clause without its auxiliary into its subject and what is said of it.

    Examples
    --------
    >>> split_subject("the tennis court green"), split_subject("he in the water")
    (('the tennis court', 'green'), ('he', 'in the water'))
    """
    words = clause.split()
    if words[0].lower() in PRONOUNS:
        return words[0], " ".join(words[1:])
    first = 1 if words[0].lower() in POINTERS else 2
    for place in range(first, len(words)):
        if LINKS.fullmatch(words[place]) and words[place - 1] not in ("of", "and", "or"):
            return " ".join(words[:place]), " ".join(words[place:])
    end = len(words) if len(words) < 3 else len(words) - 1
    if len(words) == 2 and words[0].lower() in POINTERS:
        end = 1
    return " ".join(words[:end]), " ".join(words[end:])


def _third_person(phrase: str) -> str:
    verb, _, rest = phrase.partition(" ")
    ending = "es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s"
    return f"{'has' if verb == 'have' else verb + ending} {rest}".strip()


def _look(match: re.Match[str], answer: str) -> str:
    return f"{match['thing']} {'is' if match['do'].lower() == 'does' else 'are'} {answer}"


def _around(match: re.Match[str], answer: str) -> str:
    named = re.match(r"(an?|the|some|many|several|one|two|three|\d+)\b", answer, re.IGNORECASE)
    return f"{answer} around {match['thing']}" if named else f"{match['thing']} {answer}"


def _placed(match: re.Match[str], answer: str) -> str:
    return f"{answer} {match['thing']}"


def _is(match: re.Match[str], answer: str) -> str:
    return f"{match['thing']} {match['be'].lower()} {answer}"


def _is_of(match: re.Match[str], answer: str) -> str:
    subject, rest = split_subject(match["thing"])
    return f"{subject} {match['be'].lower()} {rest} {answer}".replace("  ", " ")


def _alone(match: re.Match[str], answer: str) -> str:
    return answer


def _choice(match: re.Match[str], answer: str) -> str:
    subject, _ = split_subject(match["thing"])
    return f"{subject} {match['be'].lower()} {answer}"


def _age(match: re.Match[str], answer: str) -> str:
    return _is(match, f"{answer} years old" if answer.isdigit() else answer)


def _count(match: re.Match[str], answer: str) -> str:
    return answer if " " in answer else f"{answer} {match['thing']}"


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("BE", BE), re.IGNORECASE)


FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...] = (
    (_form(r"BE (?P<thing>.+) or .+"), _choice),
    (_form(r"what BE being done"), _alone),
    (_form(r"where BE (?:the|this) (?:picture|photo|photograph|image)(?: taken)?"), _alone),
    (_form(r"what (?P<do>does|do) (?P<thing>.+) look like"), _look),
    (_form(r"what BE around (?P<thing>.+)"), _around),
    (_form(r"what BE (?P<thing>(?:in|on|at|under|behind|near|beside|next to) .+)"), _placed),
    (_form(r"what BE (?P<thing>.+) (?:doing|like)"), _is),
    (_form(r"what BE the (?:main )?(?:colou?r|material|breed|type|kind) of (?P<thing>.+)"), _is),
    (_form(r"(?:what|who) BE (?P<thing>.+)"), _is_of),
    (_form(r"how old BE (?P<thing>.+)"), _age),
    (_form(r"how many (?P<thing>.+?)(?: (?:are|is|do|can|in|on|at) .+)?"), _count),
    (_form(r"(?:where|how)(?: \w+)? BE (?P<thing>.+)"), _is),
    (_form(r"(?:what|which)(?: \w+){1,4}? BE (?P<thing>.+)"), _is),
)
"""Forms of questions that ask for more than yes or no, the special ones first."""
