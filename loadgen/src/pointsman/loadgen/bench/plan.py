"""How long a run measures what: the full form, and the one for two minutes.

On a machine that others use, the short form measures fewer rounds rather than longer.
"""

from dataclasses import dataclass

SECTIONS = ("start", "closed", "open", "stream", "growth")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``closed`` lists (case, contender, concurrencies); ``growth_rounds`` of 0 leaves it out."""

    name: str
    rounds: int
    warmup_s: float
    duration_s: float
    starts: int
    closed: tuple[tuple[str, str, tuple[int, ...]], ...]
    open_shares: tuple[float, ...]
    stream_contenders: tuple[str, ...]
    growth_concurrency: tuple[int, ...]
    growth_tokens: tuple[int, ...]
    growth_rounds: int
    closed_budget_s: float
    """From when on, after the run's begin, no further round of closed loops is begun."""


EACH = (1, 16, 64)
OPEN_CONTENDERS = ("litellm", "fused", "seven")

FULL = Plan(
    name="full",
    rounds=5,
    warmup_s=1.0,
    duration_s=5.0,
    starts=3,
    closed=(
        ("plumbing", "direct", EACH),
        ("plumbing", "litellm", EACH),
        ("plumbing", "bare", EACH),
        ("plumbing", "fused", EACH),
        ("plumbing", "seven", EACH),
        ("all stages", "direct", EACH),
        ("all stages", "litellm", EACH),
        ("all stages", "fused", EACH),
        ("all stages", "seven", EACH),
    ),
    open_shares=(0.25, 0.5, 0.75, 0.9),
    stream_contenders=("direct", "litellm", "fused", "seven"),
    growth_concurrency=(1, 10, 100, 1000),
    growth_tokens=(100, 1_000, 10_000, 30_000),
    growth_rounds=3,
    closed_budget_s=float("inf"),
)

QUICK = Plan(
    name="quick",
    rounds=3,
    warmup_s=0.25,
    duration_s=1.0,
    starts=1,
    closed=(
        ("plumbing", "litellm", (64,)),
        ("plumbing", "bare", (64,)),
        ("plumbing", "fused", (64,)),
        ("plumbing", "seven", (64,)),
        ("all stages", "direct", (1,)),
        ("all stages", "litellm", (1, 64)),
        ("all stages", "fused", (1, 64)),
    ),
    open_shares=(),
    stream_contenders=("direct", "fused"),
    growth_concurrency=(1, 100, 1000),
    growth_tokens=(),
    growth_rounds=1,
    closed_budget_s=65.0,
)
