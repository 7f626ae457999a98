"""Which target of a route takes one request.

Owns the choice only: conditions filter, weights share among what is left, a hash of the key picks.
Knows no registry and no model beyond the target's name.
"""

import hashlib
from dataclasses import dataclass

from pointsman.contracts.parts import Signals
from pointsman.routes.semantic_route import SemanticRoute, Target
from pointsman.routes.signal_schema import values_of


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The chosen target, why, and the share (0..1) of equal requests that goes to it."""

    target: Target
    reason: str
    share: float


def default_targets(route: SemanticRoute) -> tuple[Target, ...]:
    """Return what takes a request for which no condition holds.

    The unconditional targets, else the last one listed. A target of weight 0 is passed over as long
    as another can be the default.
    """
    targets = route.spec.targets
    weighted = tuple(target for target in targets if target.weight > 0)
    unconditional = tuple(target for target in weighted if target.condition is None)
    if unconditional:
        return unconditional
    idle = tuple(target for target in targets if target.condition is None)
    return (weighted or idle or targets)[-1:]


def select(route: SemanticRoute, signals: Signals, *, key: str) -> Selection:
    """Choose the target for a request with these signals.

    The same key gives the same target in every process, and moves only as far as weights move.
    """
    values = values_of(signals)
    held = tuple(
        target
        for target in route.spec.targets
        if target.weight > 0 and (target.condition is None or target.condition.holds(values))
    )
    candidates = held or default_targets(route)
    total = sum(target.weight for target in candidates)
    target = _pick(candidates, total, key)
    is_matched = bool(held) and target.condition is not None
    return Selection(
        target=target,
        reason=str(target.condition) if is_matched else "default",
        share=target.weight / total if total else 1.0,
    )


def _pick(candidates: tuple[Target, ...], total: int, key: str) -> Target:
    # Python's own hash() differs from process to process; sha256 does not. Scaling the 64 bits by
    # the total, rather than taking the remainder, keeps most keys in place when weights change.
    point = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) * total >> 64
    for target in candidates:
        point -= target.weight
        if point < 0:
            return target
    return candidates[-1]
