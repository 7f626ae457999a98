"""What the load client asks: a small pool for plumbing, and real texts that never repeat.

Owns the mix of sources and that no prompt of the distinct sequence is like another. Sends nothing.
"""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointsman.loadgen.bench.figures import percentile
from pointsman.loadgen.scenarios import load_scenarios

CHARS_PER_TOKEN = 4
"""The usual rule of thumb for English; lengths in tokens are approximate and said so."""

PLUMBING = (
    "Why is the sky blue?",
    "How do bees make honey?",
    "What is inflation?",
    "How does a heat pump work?",
    "What is the capital of Australia?",
    "When did the Berlin Wall fall?",
    "Who wrote The Old Man and the Sea?",
    "What is a race condition?",
    "How do I read a file line by line in Python?",
    "Explain the difference between mean and median",
    "How can I sleep better during a heat wave?",
    "What helps against a sore throat?",
    "Is it safe to drink tap water in Norway?",
    "Why does my dishwasher smell?",
    "How do I sharpen a kitchen knife?",
    "What does a balanced breakfast look like?",
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file of the data folder. ``weight`` is its share of the sequence, in percent."""

    path: str
    field: str
    weight: int


SOURCES = (
    Source(path="safety/benign.jsonl", field="text", weight=30),
    Source(path="toolrag/queries.jsonl", field="query", weight=25),
    Source(path="routing/replay.jsonl.gz", field="prompt", weight=20),
    Source(path="routing/routellm_mmlu.jsonl.gz", field="prompt", weight=10),
    Source(path="routing/banking77.jsonl.gz", field="text", weight=8),
    Source(path="routing/clinc150.jsonl.gz", field="text", weight=7),
)

OWN_MIX = ((1, 70), (3, 20), (8, 10))
"""Without a data folder: how many everyday requests make one prompt, and its share in percent."""

_MARKS = (
    "alder", "amber", "birch", "brook", "cedar", "cliff", "cloud", "coral", "delta", "ember",
    "field", "flint", "forest", "garnet", "glade", "grove", "harbor", "hazel", "heath", "island",
    "ivory", "jasper", "juniper", "lagoon", "larch", "linden", "maple", "marsh", "meadow", "mesa",
    "moss", "oak", "ocean", "olive", "onyx", "opal", "orchid", "pebble", "pine", "prairie",
    "quartz", "reef", "ridge", "river", "rowan", "sage", "shore", "slate", "spruce", "stone",
    "summit", "tide", "topaz", "valley", "willow", "winter",
)  # fmt: skip

_STATEMENTS = (
    "The {0} family moved to {1} in spring, and their friends from {2} came along to {3}.",
    "Those who live at {0} have known for a while that {1} and {2} differ from {3}.",
    "A bridge near {0} was closed, so the bus to {1} now goes by way of {2} and {3}.",
    "In the {0} building there is a small library with books on {1}, {2} and {3}.",
    "The garden of {0} is older than that of {1}, though {2} has more trees than {3}.",
)


class Prompts:
    """A sequence of distinct prompts, the same for the same seed, as long as anybody reads."""

    def __init__(
        self, groups: Sequence[tuple[Sequence[str], int]], *, seed: int, name: str
    ) -> None:
        rng = random.Random(seed)
        self.name = name
        self._texts: list[list[str]] = []
        for texts, _ in groups:
            own = list(dict.fromkeys(texts))
            rng.shuffle(own)
            self._texts.append(own)
        pattern = [group for group, (_, weight) in enumerate(groups) for _ in range(weight)]
        rng.shuffle(pattern)
        self._pattern = pattern
        # Which of its group the prompt at each place of the pattern is.
        seen = [0] * len(groups)
        self._rank: list[int] = []
        for group in pattern:
            self._rank.append(seen[group])
            seen[group] += 1
        self._per_turn = seen

    def distinct(self, index: int) -> str:
        """Return the prompt at ``index``; no other index gives the same one."""
        turn, place = divmod(index, len(self._pattern))
        group = self._pattern[place]
        texts = self._texts[group]
        number = turn * self._per_turn[group] + self._rank[place]
        lap, row = divmod(number, len(texts))
        return texts[row] if lap == 0 else f"{texts[row]} Note: {mark(lap)}."

    def lengths(self, count: int = 2000) -> dict[str, float]:
        """Return percentiles of the length of the first ``count`` prompts, in characters."""
        sizes = sorted(len(self.distinct(index)) for index in range(count))
        shares = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99}
        found = {name: float(percentile(sizes, share)) for name, share in shares.items()}
        return {**found, "mean": sum(sizes) / len(sizes), "max": float(sizes[-1])}


def mark(number: int) -> str:
    """Return words that stand for ``number``: digits could be taken for personal data."""
    words: list[str] = []
    while True:
        number, place = divmod(number, len(_MARKS))
        words.append(_MARKS[place])
        if not number:
            return " ".join(words)


def document_of(tokens: int, index: int) -> str:
    """Return a request with a document, about ``tokens`` tokens long; distinct by ``index``.

    The document is made up of plain statements: pieces of real requests would ask many things at
    once, and among hundreds of them one reads like an attack.
    """
    rng = random.Random(index * 1_000_003 + tokens)
    size = tokens * CHARS_PER_TOKEN
    parts = [f"Summarise this story about {mark(index)} in one sentence, please."]
    length = len(parts[0])
    while length < size:
        words = rng.sample(_MARKS, 4)
        parts.append(rng.choice(_STATEMENTS).format(*words))
        length += len(parts[-1]) + 1
    return " ".join(parts)[: size - 1] + "."


def load_prompts(data_dir: Path, *, seed: int = 0) -> Prompts:
    """Read the data folder, or make prompts of the demo's own requests where it is absent."""
    if not all((data_dir / source.path).is_file() for source in SOURCES):
        return own_prompts(seed=seed)
    groups = [
        (list(_texts(data_dir / source.path, source.field)), source.weight) for source in SOURCES
    ]
    return Prompts(groups, seed=seed, name="public data: " + _named(SOURCES))


def own_prompts(*, seed: int = 0) -> Prompts:
    """Return prompts made of the demo's everyday requests, some of several joined."""
    rng = random.Random(seed)
    requests = [scenario.prompt for scenario in load_scenarios().requests]
    groups = [
        ([_joined(rng.sample(requests, parts)) for _ in range(400)], share)
        for parts, share in OWN_MIX
    ]
    mix = ", ".join(f"{share} % of {parts} requests" for parts, share in OWN_MIX)
    return Prompts(groups, seed=seed, name=f"the demo's own requests: {mix}")


def _joined(requests: Sequence[str]) -> str:
    return " ".join(text if text[-1] in ".?!" else f"{text}." for text in requests)


def _named(sources: Sequence[Source]) -> str:
    return ", ".join(f"{source.weight} % {source.path.partition('.')[0]}" for source in sources)


def _texts(path: Path, field: str) -> Iterator[str]:
    opened: Any = gzip.open if path.suffix == ".gz" else Path.open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = str(json.loads(line)[field]).strip()
            if text:
                yield text
