"""What follows from an assessment, and the ports that safety needs.

Owns thresholds, findings and the fail policy. Computes no score and touches no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pointsman.contracts.parts import Finding, PlaceholderCount, RequestContext
from pointsman.safety.domain.injection import Assessment
from pointsman.safety.domain.spans import Span

GUARD_ERROR = "guard_error"

Verdict = Literal["pass", "flag", "block"]


class GuardFailed(Exception):
    """A guard could not give an answer. ``guard`` names it; the cause is chained."""

    def __init__(self, guard: str) -> None:
        super().__init__(f"the {guard} guard failed")
        self.guard = guard


class InjectionGuard(Protocol):
    """Says how much texts look like an attack."""

    async def assess(self, texts: Sequence[str]) -> Assessment:
        """Raises: GuardFailed."""
        ...


class PersonalDataGuard(Protocol):
    """Finds the values to mask, for each text its own."""

    async def find(self, texts: Sequence[str]) -> tuple[tuple[Span, ...], ...]:
        """Raises: GuardFailed."""
        ...


class Vault(Protocol):
    """Keeps the sealed values of one request's placeholders."""

    async def put_vault(self, context: RequestContext, sealed: bytes) -> None:
        """Raises: Retryable if it does not answer."""
        ...


@dataclass(frozen=True, kw_only=True)
class Policy:
    """``block_at`` and ``flag_at`` are scores; ``fails_open`` names guards that may be skipped."""

    block_at: float = 1.0
    flag_at: float = 0.5
    fails_open: frozenset[str] = frozenset()
    block_message: str = "The request was blocked by a safety policy."


def judge(assessment: Assessment, policy: Policy) -> Verdict:
    if assessment.score >= policy.block_at:
        return "block"
    return "flag" if assessment.score >= policy.flag_at else "pass"


def attack_findings(assessment: Assessment, verdict: Verdict) -> tuple[Finding, ...]:
    """Return one finding for each rule; none when the request passes."""
    if verdict == "pass":
        return ()
    return tuple(Finding(guard="injection", rule=rule, action=verdict) for rule in assessment.rules)


def mask_findings(counts: Sequence[PlaceholderCount]) -> tuple[Finding, ...]:
    return tuple(
        Finding(guard="personal_data", rule=count.kind.lower(), action="mask") for count in counts
    )


def failure_finding(guard: str, policy: Policy) -> Finding:
    """Return what a failed guard leaves: a block, or a flag where it may be skipped."""
    action = "flag" if guard in policy.fails_open else "block"
    return Finding(guard=guard, rule=GUARD_ERROR, action=action)
