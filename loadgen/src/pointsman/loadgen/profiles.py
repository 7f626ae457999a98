"""What each simulated model declares about itself: speed, verbosity and weaknesses.

Every figure here is an assumption of the demo, shown at ``/profiles`` and in the README. None is a
measurement of the real model of that name. Costs are nowhere here: they are tokens times the
registry's price, computed by whoever calls.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How one simulated model behaves.

    ``verbosity_tokens`` is the length aimed at per answered part of a request, ``report_tokens``
    the length of an answer that reports tool results, ``reasoning_tokens`` is spent per call before
    anything is said. ``tool_rounds`` bounds calls that ask for tools; each asks for at most
    ``calls_per_round``. ``answers_every_part`` and ``reads_every_result`` are the weaknesses.
    """

    model: str
    time_to_first_token_s: float
    tokens_per_s: float
    verbosity_tokens: int
    report_tokens: int
    reasoning_tokens: int
    tool_rounds: int
    calls_per_round: int
    answers_every_part: bool
    reads_every_result: bool
    context_window: int
    weaknesses: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def duration_s(self, tokens: int) -> float:
        """Return how long ``tokens`` take once the first one is there."""
        return tokens / self.tokens_per_s


SMALL = Profile(
    model="llama-3-8b-instruct",
    time_to_first_token_s=0.15,
    tokens_per_s=90.0,
    verbosity_tokens=72,
    report_tokens=80,
    reasoning_tokens=0,
    tool_rounds=1,
    calls_per_round=1,
    answers_every_part=False,
    reads_every_result=False,
    context_window=8192,
    weaknesses=(
        "answers only the first part of a request that has several",
        "calls one tool once, whatever the task needs, and reports only that result",
    ),
)

BIG = Profile(
    model="gpt-4o-reasoning",
    time_to_first_token_s=0.6,
    tokens_per_s=80.0,
    verbosity_tokens=80,
    report_tokens=320,
    reasoning_tokens=240,
    tool_rounds=2,
    calls_per_round=3,
    answers_every_part=True,
    reads_every_result=True,
    context_window=128_000,
    weaknesses=("slow and dear: spends reasoning tokens on every call, also on simple requests",),
)

PROFILES: dict[str, Profile] = {profile.model: profile for profile in (SMALL, BIG)}
