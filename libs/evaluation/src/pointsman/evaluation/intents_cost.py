"""What all signals of a request cost in CPU once its vector is there."""

import time
from pathlib import Path
from typing import Final

from pointsman.classifier.adapters import read_heads, read_prototype_groups
from pointsman.classifier.cost import unit_vectors
from pointsman.classifier.domain.prototypes import prototypes
from pointsman.classifier.domain.reading import Known
from pointsman.classifier.domain.signals import read_signals
from pointsman.classifier.domain.wording import request_text
from pointsman.classifier.settings import Settings
from pointsman.contracts.chat import ChatRequest, Message
from pointsman.evaluation.intents_data import rows_of
from pointsman.scorers.intents import IntentHead

_PROMPTS: Final = 300
_REPEATS: Final = 10
_FILES: Final = (("replay", "prompt"), ("clinc150", "text"), ("routellm_mmlu", "prompt"))


def signal_cost_ms(head: IntentHead, folder: Path) -> list[float]:
    """Return the milliseconds of CPU for each of some real prompts, the best of ten runs.

    With the shipped gain scorer where there is one. The vectors mean nothing; they cost the same.
    """
    texts: list[str] = []
    for name, field in _FILES:
        rows = rows_of(folder, name)
        texts += [str(row[field]) for row in rows[:: max(1, len(rows) * len(_FILES) // _PROMPTS)]]
    groups = read_prototype_groups()
    sentences = unit_vectors(sum(len(group.texts) for group in groups), seed=0)
    known = Known(
        prototypes=prototypes(groups, sentences),
        intents=head,
        gain=read_heads(Settings().heads_dir).gain,
    )
    return [_cost_ms(text, known) for text in texts]


def _cost_ms(prompt: str, known: Known) -> float:
    request = ChatRequest(model="auto", messages=(Message(role="user", content=prompt),))
    vector = unit_vectors(1, seed=1)[0]
    best = float("inf")
    for _ in range(_REPEATS):
        started = time.process_time()
        read_signals(request, request_text(request), vector, known)
        best = min(best, time.process_time() - started)
    return 1_000 * best
