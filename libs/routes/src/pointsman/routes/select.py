"""Which targets of a route may take one request, in the order in which they are tried.

Owns the choice only: conditions filter, priority ranks, weights share among the highest rank, the
request's point picks. Knows no registry and no model beyond the target's name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import Value
from pointsman.routes.targets import Target


@dataclass(frozen=True, kw_only=True)
class Selection:
    """One target that may take the request, why, and the share (0..1) of equal ones it gets.

    ``rank`` tells which targets stood beside it: those of its priority, or the implied default.
    """

    target: Target
    reason: str
    share: float
    rank: int


def does_hold(target: Target, values: Mapping[str, Value]) -> bool:
    return target.condition is None or target.condition.holds(values)


def selections(
    route: SemanticRoute, values: Mapping[str, Value], *, point: int
) -> Iterator[Selection]:
    """Yield the targets that may take a request, the chosen one first.

    The same point gives the same target in every process, and moves only as far as weights move.
    After the targets whose conditions hold comes the default, unless it was among them.
    """
    default = route.spec.default
    is_default_among_them = False
    rank = 0
    for rank, targets in enumerate(route.spec.ranks):
        held = [target for target in targets if does_hold(target, values)]
        # By identity: comparing targets field by field takes longer than all the rest.
        is_default_among_them |= any(target is default for target in held)
        while held:
            at, share = _pick(held, point)
            target = held.pop(at)
            yield Selection(target=target, reason=target.reason, share=share, rank=rank)
    if not is_default_among_them:
        yield Selection(target=default, reason="default", share=1.0, rank=rank + 1)


def _pick(candidates: Sequence[Target], point: int) -> tuple[int, float]:
    """Return the position of the candidate that the point falls on, and its share."""
    # Scaling the 64 bits by the total, rather than taking the remainder, keeps most requests in
    # place when weights change.
    total = sum(target.share for target in candidates)
    left = point * total >> 64
    for at, target in enumerate(candidates):
        left -= target.share
        if left < 0:
            return at, target.share / total
    raise AssertionError("a point below the total falls on some candidate")
