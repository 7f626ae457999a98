"""Measure the rules against labelled answers: ``python -m pointsman.judge.evaluate --data FOLDER``.

Owns the reading of the data sets, the figures and their controls. The rules read form and
coverage, not truth; the figures say how far that goes. Needs judge.jsonl.gz and replay.jsonl.gz.
"""

import argparse
import gzip
import json
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pointsman.contracts.chat import Answer, ChatRequest, Message
from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Evaluator, RequestContext, RouteDecision, Signals
from pointsman.judge.adapters import RulesScorer

JUDGE_SETS = ("halueval_general", "begin_wow", "halueval_qa")
MIN_SCORE = 8.0
RUNAWAY_TOKENS = 1_500
"""What the data's README calls a runaway loop: an answer of more tokens than this."""

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One scored answer. ``is_bad`` is its label; ``size`` its characters, for the control."""

    name: str
    score: float
    size: int
    is_bad: bool
    is_runaway: bool = False


def auroc(bad: Sequence[float], good: Sequence[float]) -> float:
    """Return the chance that a bad answer has the higher value than a good one; ties count half."""
    ordered = sorted(good)
    wins = sum((bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in bad)
    return wins / (len(bad) * len(good))


def judge_command(question: str, answer: str, context: str | None = None) -> Judge:
    """Return the command that the pipeline would send for one recorded answer."""
    text = (
        f"Answer according to this text.\nContext: {context}\n\n{question}" if context else question
    )
    return Judge(
        context=RequestContext(
            request_id="00000000-0000-0000-0000-000000000000",
            namespace="evaluation",
            ingress="none",
            accepted_at=_NOW,
            deadline=_NOW,
        ),
        request=ChatRequest(model="auto", messages=(Message(role="user", content=text),)),
        signals=Signals(
            intent="simple", domain="general", complexity=0.5, urgency="normal", safety="safe"
        ),
        decision=RouteDecision(
            route="evaluation",
            revision="none",
            target="recorded",
            model="recorded",
            reason="evaluation",
            evaluator=Evaluator(min_score=MIN_SCORE),
        ),
        model="recorded",
        answer=Answer(text=answer),
    )


def read_judge(path: Path, limit: int | None) -> Iterator[Sample]:
    scorer = RulesScorer()
    counts: dict[str, int] = defaultdict(int)
    for row in _rows(path):
        name = row["set"]
        if name not in JUDGE_SETS or (limit is not None and counts[name] >= limit):
            continue
        counts[name] += 1
        score = scorer.assess(judge_command(row["question"], row["answer"], row["context"]))
        yield Sample(
            name=name, score=score.value, size=len(row["answer"]), is_bad=bool(row["label"])
        )


def read_replay(path: Path, limit: int | None) -> Iterator[Sample]:
    scorer = RulesScorer()
    for number, row in enumerate(_rows(path)):
        if limit is not None and number >= limit:
            return
        for model, answer in row["answers"].items():
            score = scorer.assess(judge_command(row["prompt"], answer["text"]))
            yield Sample(
                name=model,
                score=score.value,
                size=len(answer["text"]),
                is_bad=not answer["correct"],
                is_runaway=answer["output_tokens"] > RUNAWAY_TOKENS,
            )


def table(samples: Sequence[Sample]) -> Iterator[str]:
    """One line a set: AUROC of a low score for a bad answer, and of length alone, both ways."""
    yield (
        f"{'set':24}{'n':>7}{'bad':>7}{'AUROC':>8}"
        f"{'longer':>8}{'shorter':>8}{'ok kept':>9}{'bad caught':>11}"
    )
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.name].append(sample)
    for name, group in groups.items():
        bad = [sample for sample in group if sample.is_bad]
        good = [sample for sample in group if not sample.is_bad]
        if not bad or not good:
            continue
        longer = auroc([s.size for s in bad], [s.size for s in good])
        yield (
            f"{name:24}{len(group):>7}{len(bad):>7}"
            f"{auroc([-s.score for s in bad], [-s.score for s in good]):>8.3f}"
            f"{longer:>8.3f}{1 - longer:>8.3f}"
            f"{_share(s.score >= MIN_SCORE for s in good):>9}"
            f"{_share(s.score < MIN_SCORE for s in bad):>11}"
        )


def runaways(samples: Sequence[Sample]) -> str:
    runaway = [sample for sample in samples if sample.is_runaway]
    others = [sample for sample in samples if not sample.is_runaway]
    return (
        f"answers over {RUNAWAY_TOKENS} tokens: {len(runaway)}, "
        f"of them scored below {MIN_SCORE:g}: "
        f"{_share(s.score < MIN_SCORE for s in runaway)}; of the other {len(others)}: "
        f"{_share(s.score < MIN_SCORE for s in others)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the judge's rules on labelled answers.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/routing"))
    parser.add_argument("--limit", type=int, help="rows of each set; all without it")
    options = parser.parse_args(arguments)
    judged, replayed = options.data / "judge.jsonl.gz", options.data / "replay.jsonl.gz"
    absent = [str(path) for path in (judged, replayed) if not path.exists()]
    if absent:
        sys.stderr.write(f"no data: {', '.join(absent)} is absent; give its folder with --data\n")
        return 2
    for title, samples in (
        (
            "judge.jsonl.gz (bad: hallucinated, wrong, not attributable)",
            read_judge(judged, options.limit),
        ),
        ("replay.jsonl.gz (bad: wrong answer)", read_replay(replayed, options.limit)),
    ):
        found = list(samples)
        lines = [title, *table(found)]
        if any(sample.is_runaway for sample in found):
            lines.append(runaways(found))
        sys.stdout.write("\n".join(lines) + "\n\n")
    return 0


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _share(flags: Iterator[bool]) -> str:
    found = list(flags)
    return f"{sum(found) / len(found):.1%}" if found else "-"


if __name__ == "__main__":
    sys.exit(main())
