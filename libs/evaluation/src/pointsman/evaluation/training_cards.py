"""The model cards of the shipped scorers: what they learned from, how well they do, where not."""

from collections.abc import Mapping

_LICENCES = {
    "replay": "MMLU-Pro recordings, github TIGER-AI-Lab/MMLU-Pro; Apache-2.0",
    "routellm": "RouteLLM's MMLU results, github lm-sys/RouteLLM; Apache-2.0",
    "judge": "HaluEval general, github RUCAIBox/HaluEval; MIT",
}


def gain_card(figures: Mapping[str, float], sources: Mapping[str, int], seed: int) -> str:
    """Return the card of ``gain.npz``."""
    return f"""# gain.npz

Predicts from the request alone whether a small and whether a strong model answers acceptably.
Two logistic regressions over the MiniLM vector, counts of the question's marks, and hashed words.
Written by `task train:routing`; do not edit.

## Learned from

{_table(sources)}

The small model is llama-3-8b-instruct or mixtral-8x7b, the strong one gpt-4o or gpt-4-1106.
Chat requests were answered by one model; they carry the same label for both, so no gain.
No row of a set that forbids commercial use (felm) was read. Seed {seed}.

## Figures, by five-fold cross-validation over requests

| figure | value |
|---|---|
| AUROC, the small model is right | {figures["gain_auroc_weak"]:.3f} |
| calibration error, 15 bins | {figures["gain_ece_weak"]:.3f} |

How well it routes: `task eval:routing`.

## Limits

- English; mostly multiple choice of an examination kind. Other requests lean on few chat rows.
- On subjects it did not learn from it keeps about two thirds of its lead over chance.
- It speaks of models like those it learned from; a stronger small model needs it less.
"""


def acceptance_card(figures: Mapping[str, float], sources: Mapping[str, int], seed: int) -> str:
    """Return the card of ``acceptance.npz``."""
    open_share = f"{figures['share_acceptable_without_options']:.3f}"
    rank = f"{figures['acceptance_auroc']:.3f} | {figures['acceptance_auroc_with_gain']:.3f}"
    error = f"{figures['acceptance_ece']:.3f} | {figures['acceptance_ece_with_gain']:.3f}"
    return f"""# acceptance.npz

The calibrated probability that an answer is acceptable, from what it shows of itself and, where
one was asked, from a sibling's answer. Boosted trees over counts and shares; no vector.
Written by `task train:routing`; do not edit.

## Learned from

{_table(sources)}

Answers of llama-3-8b, llama-3.1-8b, phi-3-mini, gemini-1.5-pro-002 and gpt-4o to each recorded
question, alone, and the two Llamas with each other as sibling; runaway answers are cut as the
executor cuts them. Acceptable is right (recordings) or not hallucinated (chat).
No row of a set that forbids commercial use (felm) was read. Seed {seed}.

## Figures, by five-fold cross-validation over requests

| figure | alone | with the gain head |
|---|---|---|
| AUROC | {rank} |
| calibration error, 15 bins | {error} |

With a sibling, alone: AUROC {figures["acceptance_auroc_sibling"]:.3f}, calibration error
{figures["acceptance_ece_sibling"]:.3f}.
Requests without options: mean probability {figures["acceptance_mean_without_options"]:.3f},
share acceptable {open_share}.

## Limits

- It sees form and agreement, not truth: a fluent wrong answer to an open question passes.
- For open requests it stays near the share of good answers in HaluEval's chat rows ({open_share});
  this is the prior for everyday requests, and little moves it. Refusals are the rules' to find.
- A sibling counts only where final answers can be compared, or the request has lettered options.
- English.
"""


def _table(sources: Mapping[str, int]) -> str:
    lines = [
        f"| {name} | {count:,} | {_licence(name)} |" for name, count in sources.items() if count
    ]
    return "\n".join(["| file | rows | source and licence |", "|---|---|---|", *lines])


def _licence(name: str) -> str:
    return next(words for key, words in _LICENCES.items() if name.startswith(key))
