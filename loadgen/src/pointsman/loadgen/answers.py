"""The words of a simulated answer: complete for the parts it is given, grounded in their words.

Owns text only. No sentence states a number, a date or a name that the request does not hold, so
that a check for ungrounded figures has nothing to find unless a fault asks for it.
"""

import random
import re
from collections.abc import Sequence

from pointsman.loadgen import tokens
from pointsman.loadgen.asks import (
    EXPLAIN_VERBS,
    LIST_VERBS,
    NUMBER_WORDS,
    QUESTION_WORDS,
    STOPWORDS,
    WRITE_VERBS,
    Ask,
    Task,
    first_word,
    plain,
)

_VOICE = {
    "my": "your", "mine": "yours", "i": "you", "me": "you", "we": "you", "us": "you",
    "our": "your", "am": "are", "i'm": "you are", "i've": "you have", "i'd": "you would",
    "myself": "yourself",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z']+")
_NOT_ITEMS = re.compile(
    rf"^(?:{'|'.join(sorted(LIST_VERBS | WRITE_VERBS))})\b\s*"
    rf"(?:(?:you|a|the|some|list|of|{'|'.join(NUMBER_WORDS)}|\d+)\b\s*)*",
    re.IGNORECASE,
)
LONGEST_ASK = 60
LONGEST_TOPIC = 10
SPELLED = frozenset(NUMBER_WORDS)
MOST_ITEMS = 20

_STEPS = (
    "Choose the option for {topic}, follow the steps in order, and check each entry before you"
    " continue.",
    "Save the result and wait for the confirmation before you close the page.",
    "If the option is missing, contact support and say exactly what you want to do.",
    "Keep a note of what was done, so that it can be undone later.",
    "When something looks wrong, stop and go back to the step before.",
    "Sign in again afterwards to see that it took effect.",
)
_REASONS = (
    "The main point is what {topic} is meant for; the rest follows from that.",
    "Start from the part that is certain, then add what depends on your own situation.",
    "It works best in small steps, with a check after each of them.",
    "A common mistake is to skip the preparation, which costs more time later.",
    "When in doubt, take the careful choice and ask somebody who knows the details.",
    "An example from daily use makes it easier to remember.",
    "What surprises most people is how much depends on the circumstances.",
    "It helps to write the first steps down before going any further.",
    "The details differ from place to place, so look up the local rules.",
    "Once the idea is clear, the exceptions are easy to place.",
    "It is worth asking why before asking how.",
    "Good sources agree on this, though they weigh the parts differently.",
    "Patience pays here more than speed.",
    "The short form is enough for most purposes; the long form is for experts.",
)
_ITEMS = (
    "It is easy to begin with and fits into an ordinary day.",
    "It costs little compared with what it gives back.",
    "It stays reliable when circumstances change.",
    "It is well documented, so help is easy to find.",
    "It combines well with what you already have.",
    "It leaves room to adjust things later.",
    "It is pleasant to use and to share with others.",
    "It keeps the risk low while you learn.",
    "It saves time once the first attempt is done.",
    "It suits beginners and people with experience alike.",
)


def revoiced(text: str) -> str:
    """Return the user's words as the answer would say them: my account becomes your account."""
    return _WORD.sub(lambda match: _VOICE.get(match.group().lower(), match.group()), text)


def answer(task: Task, *, asks: Sequence[Ask], length: int, rng: random.Random) -> str:
    """Return an answer to ``asks``, about ``length`` tokens for each, one paragraph for each."""
    said: set[str] = set()
    paragraphs = [_paragraph(ask, task, length=length, said=said, rng=rng) for ask in asks]
    return "\n\n".join(paragraphs)


def topic_of(ask: Ask) -> str:
    """Return what an ask is about: its words without the first verb and words around the rest."""
    words = _core(ask).split()[1:]
    while words and words[0].lower() in STOPWORDS | SPELLED:
        words = words[1:]
    while words and words[-1].lower() in STOPWORDS:
        words = words[:-1]
    return " ".join(words[:LONGEST_TOPIC]) or _core(ask)


def padded(text: str, *, pool: Sequence[str], length: int, rng: random.Random) -> str:
    """Return ``text`` followed by sentences of ``pool`` until it has about ``length`` tokens."""
    left = list(pool)
    rng.shuffle(left)
    while left:
        longer = f"{text} {left.pop()}"
        if tokens.count(longer) > length + 5 and tokens.count(text) > length // 2:
            continue
        text = longer
    return text


def _core(ask: Ask) -> str:
    """The ask without politeness and closing marks, in the answer's voice, of bounded length."""
    return revoiced(" ".join(plain(ask.text).split()[:LONGEST_ASK]))


def _paragraph(ask: Ask, task: Task, *, length: int, said: set[str], rng: random.Random) -> str:
    text = _lead(ask, task, rng)
    if ask is task.asks[0] and task.context:
        told = "; ".join(
            revoiced(" ".join(sentence.split()[:LONGEST_ASK])).rstrip(" .!?:,")
            for sentence in task.context[:6]
        )
        text = f"{text}\nThis takes into account what you wrote: {told}."
    if ask.kind in {"list", "code", "choice"}:
        return text
    topic = topic_of(ask)
    pool = [
        sentence.format(topic=topic)
        for sentence in (_STEPS if ask.kind == "action" else _REASONS)
        if sentence not in said
    ]
    full = padded(text, pool=pool, length=length, rng=rng)
    # No sentence twice in one answer: repetition is what broken models do.
    said.update(one for one in (*_STEPS, *_REASONS) if one.format(topic=topic) in full)
    return full


def _lead(ask: Ask, task: Task, rng: random.Random) -> str:
    core = _core(ask)
    lowered = core[:1].lower() + core[1:]
    match ask.kind:
        case "choice":
            letter, option = rng.choice(task.options)
            return f"The answer is ({letter}) {option}. It fits the question best: {core}."
        case "list":
            return _list(ask, lowered, rng)
        case "code":
            return _code(lowered, topic_of(ask))
        case "write":
            return f"Here is what you asked for, to {lowered}: " + (
                f"{topic_of(ask).capitalize()} is where it begins, and it is worth a closer look."
            )
        case "yes_no":
            return f"Yes, with the usual care. That is the short answer to this: {lowered}."
        case "explain":
            return _explanation(core, lowered)
        case "action":
            return f"To {lowered}, open the page or tool that deals with {topic_of(ask)}."


def _explanation(core: str, lowered: str) -> str:
    if first_word(core) in QUESTION_WORDS:
        return f"{core[:1].upper()}{core[1:]}: it comes down to a few plain points."
    if first_word(core) in EXPLAIN_VERBS:
        return f"To {lowered}: it comes down to a few plain points."
    return f"On {lowered}: it comes down to a few plain points."


def _list(ask: Ask, lowered: str, rng: random.Random) -> str:
    number = min(ask.count or 3, MOST_ITEMS)
    said = NUMBER_WORDS[number]
    start = rng.randrange(len(_ITEMS))
    items = [_ITEMS[(start + index) % len(_ITEMS)] for index in range(number)]
    rest = _NOT_ITEMS.sub("", lowered)
    counted = rest if re.search(rf"\b{number}\b", rest) else f"{said} {rest}"
    head = f"Here is the list, {counted}:"
    return "\n".join([head, *(f"- {item}" for item in items)])


def _code(lowered: str, topic: str) -> str:
    return (
        f"To {lowered}, start from this and adapt the names to your data:\n"
        "```python\n"
        "def solve(values):\n"
        f'    """Handle {topic}."""\n'
        "    return [value for value in values if value is not None]\n"
        "```\n"
        f"It covers {topic}; add a test for the empty input before you rely on it."
    )
