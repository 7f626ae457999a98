"""Print what the cheap layers cost in CPU, by the answer's length and by what there is to go by:
``python -m pointsman.judge.cost``.

The texts are made up of seeded words, so two runs measure the same work. Owns no verdict.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from statistics import median
from time import process_time

from pointsman.contracts.chat import Answer, ChatRequest, Message
from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Evaluator, RequestContext, RouteDecision, Signals
from pointsman.judge.adapters import INLINE_CHARS, CheapLayers, load_heads

ANSWER_WORDS = (5, 50, 180, 300, 1_500, 6_000)
"""180 of these words are about 1,000 characters."""
CASES = 20
MIN_CASES_A_ROUND = 40

QUESTION = (
    "Explain how a work queue differs from a log. Then list three ways in which a consumer can "
    "lose a message, and how would you find out that it did? Finally, compare the two for an order "
    "system that takes 500 orders a minute, and recommend one of them in a short paragraph."
)
OPTIONS = "\n".join(f"({letter}) A message is lost in case {letter}." for letter in "ABCDEFGHIJ")
EXAMINATION = f"Which of these happens when a consumer dies before it acknowledges?\n{OPTIONS}"
SOURCE_WORDS = 60
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SYLLABLES = ("ro", "ta", "mi", "sel", "von", "ker", "da", "lu", "pin", "est", "or", "ga", "ing")


def prose(words: int, random: Random) -> str:
    """Return sentences of made-up words, in paragraphs; a third of the words are common ones."""
    text: list[str] = []
    left = 0
    for number in range(words):
        is_common = random.random() < 1 / 3
        word = (
            random.choice(("the", "a", "message", "queue", "of", "and", "is", "consumer", "to"))
            if is_common
            else "".join(random.choices(_SYLLABLES, k=random.randint(1, 4)))
        )
        if left == 0:
            left = random.randint(8, 20)
            word = word.capitalize()
        left -= 1
        if left == 0 or number == words - 1:
            word += random.choice((".", ".", ".", ":\n\n- ")) if number < words - 1 else "."
        text.append(word)
    return " ".join(text)


def figures(rounds: int) -> Iterator[str]:
    """One line an answer length and kind: median over ``rounds`` of the mean over the cases."""
    yield f"{'request':<14}{'words':>6}{'characters':>12}{'where':>8}{'CPU us':>9}{'ns/char':>9}"
    random = Random(7)
    layers = CheapLayers(load_heads())
    source = prose(SOURCE_WORDS, random)
    kinds = {
        "open": QUESTION,
        "with a source": f"Answer by this text.\nContext: {source}\n\n{QUESTION[:74]}?",
        "examination": EXAMINATION,
    }
    for kind, question in kinds.items():
        for words in ANSWER_WORDS:
            answers = [prose(words, random) for _ in range(CASES)]
            commands = [_command(question, answer) for answer in answers]
            chars = sum(map(len, answers)) // CASES
            where = "inline" if chars + len(question) <= INLINE_CHARS else "thread"
            seconds = median(_seconds(layers, commands) for _ in range(rounds))
            per_char = seconds / (chars + len(question)) * 1e9
            yield (
                f"{kind:<14}{words:>6}{chars:>12}{where:>8}{seconds * 1e6:>9.0f}{per_char:>9.0f}"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Print the CPU time of one judgement.")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    for line in figures(options.rounds):
        sys.stdout.write(f"{line}\n")
    return 0


def _seconds(layers: CheapLayers, commands: Sequence[Judge]) -> float:
    repeats = max(1, MIN_CASES_A_ROUND // len(commands))
    started = process_time()
    for _ in range(repeats):
        for command in commands:
            layers.assess(command)
    return (process_time() - started) / (repeats * len(commands))


def _command(question: str, answer: str) -> Judge:
    return Judge(
        context=RequestContext(
            request_id="00000000-0000-0000-0000-000000000000",
            namespace="cost",
            ingress="none",
            accepted_at=_NOW,
            deadline=_NOW,
        ),
        request=ChatRequest(model="auto", messages=(Message(role="user", content=question),)),
        signals=Signals(
            intent="simple", domain="general", complexity=0.5, urgency="normal", safety="safe"
        ),
        decision=RouteDecision(
            route="cost",
            revision="none",
            target="none",
            model="none",
            reason="cost",
            evaluator=Evaluator(min_score=8),
        ),
        model="none",
        answer=Answer(text=answer),
    )


if __name__ == "__main__":
    sys.exit(main())
