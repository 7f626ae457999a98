"""Evidence: does what an answer says appear in what it was given?

Lexical support, word by word, number by number and name by name. Not the similarity of sentences:
that measures the topic, which an unsupported answer usually keeps. Knows no weights; ``support``
does.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from operator import attrgetter

from pointsman.judge.domain.text import STOPWORDS, clipped, sentences, stem, vocabulary, words

LONGEST_EVIDENCE = 12_000
LONGEST_CLAIM = 4_000
"""Characters that are read of context and answer; bounds the work to about a millisecond."""

MOST_CLAIMS = 60
MOST_SENTENCES = 200
"""Sentences of answer and context that are compared one with one; bounds their product."""

_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)(?<!\n)\b[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)*")
"""Capitalised words; the first of a sentence is none by that alone."""
_NEGATIONS = vocabulary(
    """not no never none nor neither without cannot can't won't don't doesn't didn't isn't aren't
    wasn't weren't hasn't haven't hadn't"""
)
_FIRST_PERSON = vocabulary("i i'm i've i'd me my mine we our us")
_HEDGES = vocabulary(
    """think guess maybe perhaps probably sure believe suppose might heard know love like hope wish
    great good nice cool really wow interesting yes yeah no oh haha"""
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the comparison of one answer with its context found. Shares are within 0..1.

    A share of nothing is 0. ``missing`` are shares of the answer's words, numbers, names or word
    sequences that appear nowhere in the context; ``novel`` are in neither context nor question.
    """

    missing_words: float
    missing_weight: float
    novel_words: float
    novel_count: float
    missing_bigrams: float
    missing_trigrams: float
    copied_run: float
    longest_gap: float
    missing_numbers: float
    novel_numbers: float
    missing_names: float
    novel_names: float
    best_sentence: float
    split_claims: float
    negation_differs: float
    echoes_question: float
    context_used: float
    order_kept: float
    first_person: float
    hedged: float
    asks_back: float
    exclaims: float
    answer_words: float
    context_words: float

    @property
    def values(self) -> tuple[float, ...]:
        """The figures in the order of ``NAMES``."""
        return _all(self)


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Evidence))
_all = attrgetter(*NAMES)


@dataclass(frozen=True)
class _Text:
    """``stems`` are of the words that carry content, in order; ``by_sentence`` the same in sets."""

    tokens: list[str]
    stems: list[str]
    by_sentence: list[frozenset[str]]

    @classmethod
    def of(cls, text: str) -> "_Text":
        tokens: list[str] = []
        stems: list[str] = []
        by_sentence: list[frozenset[str]] = []
        for sentence in sentences(text):
            said = words(sentence)
            carried = [stem(token) for token in said if token not in STOPWORDS]
            tokens += said
            stems += carried
            by_sentence.append(frozenset(carried))
        return cls(tokens, stems, by_sentence)


def evidence_of(question: str, context: str, answer: str) -> Evidence:
    """Compare an answer with its context; the question may be spoken of without being evidence."""
    answer, context = clipped(answer, LONGEST_CLAIM), clipped(context, LONGEST_EVIDENCE)
    question = clipped(question, LONGEST_CLAIM)
    claim, given, asked = _Text.of(answer), _Text.of(context), _Text.of(question)
    said = frozenset(claim.stems)
    weights = _Weights.of(given)
    known, asked_stems = weights.known, frozenset(asked.stems)
    novel = [s for s in claim.stems if s not in known and s not in asked_stems]
    run, gap = _runs(claim, given, known)
    numbers, names = set(_NUMBER.findall(answer)), _names(answer)
    known_numbers = set(_NUMBER.findall(context))
    best, split = _sentence_support(claim, weights)
    count = max(1, len(claim.tokens))
    return Evidence(
        missing_words=_share(s not in known for s in claim.stems),
        missing_weight=weights.missing(claim.stems),
        novel_words=len(novel) / max(1, len(claim.stems)),
        novel_count=math.log1p(len(novel)),
        missing_bigrams=_missing_grams(claim.tokens, given.tokens, 2),
        missing_trigrams=_missing_grams(claim.tokens, given.tokens, 3),
        copied_run=run / count,
        longest_gap=math.log1p(gap),
        missing_numbers=_share(n not in known_numbers for n in numbers),
        novel_numbers=_share(n not in known_numbers and n not in question for n in numbers),
        missing_names=_share(stem(n) not in known for n in names),
        novel_names=_share(stem(n) not in known and stem(n) not in asked_stems for n in names),
        best_sentence=best,
        split_claims=split,
        negation_differs=float(
            bool(_NEGATIONS.intersection(claim.tokens))
            and not _NEGATIONS.intersection(given.tokens)
        ),
        echoes_question=_share(s in asked_stems for s in claim.stems),
        context_used=_share(s in said for s in known),
        order_kept=_order(claim.stems, given.stems),
        first_person=sum(t in _FIRST_PERSON for t in claim.tokens) / count,
        hedged=sum(t in _HEDGES for t in claim.tokens) / count,
        asks_back=float(answer.rstrip().endswith("?")),
        exclaims=float("!" in answer),
        answer_words=math.log1p(len(claim.tokens)),
        context_words=math.log1p(len(given.tokens)),
    )


@dataclass(frozen=True)
class _Weights:
    """How telling each word of the context is: rare in its sentences tells more."""

    idf: dict[str, float]
    unseen: float
    by_sentence: list[frozenset[str]]

    @classmethod
    def of(cls, given: _Text) -> "_Weights":
        counts = Counter(s for found in given.by_sentence for s in found)
        total = max(1, len(given.by_sentence))
        idf = {s: math.log1p(total / count) for s, count in counts.items()}
        return cls(idf, math.log1p(total), given.by_sentence or [frozenset()])

    @property
    def known(self) -> frozenset[str]:
        return frozenset(self.idf)

    def missing(self, stems: Sequence[str]) -> float:
        # Long words are rare words, near enough: a table would have to be shipped.
        idf, unseen = self.idf, self.unseen
        total = lost = 0.0
        for s in stems:
            weight = idf.get(s, unseen) * len(s)
            total += weight
            if s not in idf:
                lost += weight
        return lost / total if total else 0.0


def _sentence_support(claim: _Text, weights: _Weights) -> tuple[float, float]:
    """The worst sentence's best support by one sentence, and claims pieced together from several.

    A claim whose words all appear, but never together, may join what was said of two things.
    """
    worst, split = 1.0, 0
    known = weights.known
    for stems in claim.by_sentence[:MOST_CLAIMS]:
        if not stems:
            continue
        anywhere = len(stems & known) / len(stems)
        best = anywhere and max(
            len(stems & one) for one in weights.by_sentence[:MOST_SENTENCES]
        ) / len(stems)
        worst = min(worst, best)
        split += anywhere - best > 0.25
    return worst, split / max(1, len(claim.by_sentence))


def _runs(claim: _Text, given: _Text, known: frozenset[str]) -> tuple[int, int]:
    """The longest run of words copied from the context, and of content words it does not hold."""
    follows = set(pairwise(given.tokens))
    longest = run = 0
    for pair in pairwise(claim.tokens):
        run = run + 1 if pair in follows else 0
        longest = max(longest, run)
    widest = gap = 0
    for said in claim.stems:
        gap = 0 if said in known else gap + 1
        widest = max(widest, gap)
    return longest + bool(longest), widest


def _missing_grams(claim: Sequence[str], given: Sequence[str], size: int) -> float:
    said = set(zip(*(claim[i:] for i in range(size)), strict=False))
    told = set(zip(*(given[i:] for i in range(size)), strict=False))
    return len(said - told) / len(said) if said else 0.0


def _names(text: str) -> set[str]:
    return {word.lower() for match in _NAME.findall(text) for word in words(match)}


def _order(claim: Sequence[str], given: Sequence[str]) -> float:
    """Share of neighbours in the claim that the context has in the same order."""
    first = {s: i for i, s in reversed(list(enumerate(given)))}
    places = [first[s] for s in claim if s in first]
    return _share(a < b for a, b in pairwise(places)) if len(places) > 1 else 1.0


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else 0.0
