"""A question and its answer as one statement, by a few rules of English and no model."""

from __future__ import annotations

import re

from crossrank_dialogue.clauses import completed, declarative

UNKNOWN = re.compile(
    r"\b(unknown|unclear|uncertain|unsure|not sure|no idea|hard to (tell|say)|"
    r"(can ?['’]?t|cannot|can not|could ?n['’]?t) (really |quite )?(tell|see|say|know)|"
    r"(don['’]?t|do not) (know|see)|not (really )?visible)\b",
    re.IGNORECASE,
)
YES = re.compile(r"(yes|yeah|yep|yup|correct|true|sure|definitely)\b[\s,.;:!-]*", re.IGNORECASE)
NO = re.compile(r"(no|nope|not|none|nothing|nobody|zero|0)\b[\s,.;:!-]*", re.IGNORECASE)
EMPTY = re.compile(r"(really|(that )?i (can|do)(n?['’]?t)?( see)?( it| any)?)", re.IGNORECASE)
PICTURE = re.compile(r" (in|of) the (picture|image|photo|photograph)\b", re.IGNORECASE)
SENTENCE = re.compile(
    r"(it|he|she|they|there|this|that|the \w+)(['’]s|['’]re| is| are| was| has| have) .+",
    re.IGNORECASE,
)
POLITE = re.compile(r"^(can|could) you (tell|say)( me)?( if| whether)? ", re.IGNORECASE)


def is_unknown(answer: str) -> bool:
    """Return whether an answer says nothing, and so must neither help nor count against."""
    return not answer.strip(" .!?-") or UNKNOWN.search(answer) is not None


def statement(question: str, answer: str, negations: bool = False) -> str:
    """Return what a question and its answer say, or nothing.

    Parameters
    ----------
    question, answer
        In English; a rough one gives a rough statement.
    negations
        Whether a bare "no" is put into words.  By default it is not: a matcher of embeddings hears
        the dog in "there is no dog".

    Returns
    -------
    str
        Empty where the answer is unknown, or a bare no that is not put into words.

    Examples
    --------
    >>> statement("What color is the dog?", "brown"), statement("are there any people?", "no")
    ('the dog is brown', '')
    >>> statement("is the man wearing a hat?", "yes, a red one")
    'the man is wearing a hat, a red one'
    """
    asked = " ".join(question.split()).strip(" ?.!")
    asked = re.sub(r"^what['’]s\b", "what is", PICTURE.sub("", POLITE.sub("", asked)), flags=re.I)
    said = " ".join(answer.split()).strip(" .!,")
    if is_unknown(said):
        return ""
    for pattern, negated in ((YES, False), (NO, True)):
        found = pattern.match(said)
        if found:
            return _agreed(asked, said[found.end() :].strip(" ,."), negated, negations)
    return said if SENTENCE.fullmatch(said) else completed(asked, said)


def _agreed(question: str, rest: str, negated: bool, negations: bool) -> str:
    """Return what "yes" or "no" and whatever follows it say."""
    if EMPTY.fullmatch(rest) or set(rest.lower().split()) <= set(question.lower().split()):
        rest = ""
    if rest and (negated or SENTENCE.fullmatch(rest)):
        return rest
    told = "" if negated and not negations else declarative(question, negated)
    return f"{told}, {rest}" if told and rest else told or rest
