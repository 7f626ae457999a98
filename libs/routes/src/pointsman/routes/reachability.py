"""Rules of a route that no request can reach.

Owns the proof by cases: a condition can tell apart only finitely many combinations of values, and
each is tried. Beyond a bound on that work no verdict is given.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from pointsman.routes.condition import comparisons
from pointsman.routes.issue import Issue, unreachable
from pointsman.routes.select import does_hold
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import SignalType, Value, name_type
from pointsman.routes.targets import Target

# Evaluations of conditions over the whole route: a third of a second, while a classifier may wait.
_MAX_EVALUATIONS = 200_000


def unreachable_rules(route: SemanticRoute) -> Iterator[Issue]:
    """Say which targets never take a request: never true, or always outranked."""
    most = _MAX_EVALUATIONS // len(route.spec.targets) // 2
    for index, target in enumerate(route.spec.targets):
        if _never_holds(target, most):
            yield unreachable(f"spec.targets[{index}].condition", "the condition can never hold")
        elif outranking := _always_outranked(target, route, most):
            others = " or ".join(f"spec.targets[{other}]" for other in outranking)
            message = f"whenever this target holds, {others} of higher priority holds, too"
            yield unreachable(f"spec.targets[{index}]", message)


def _never_holds(target: Target, most: int) -> bool:
    if target.condition is None:
        return False
    cases = _cases([target], most)
    return cases is not None and not any(target.condition.holds(case) for case in cases)


def _always_outranked(target: Target, route: SemanticRoute, most: int) -> list[int]:
    """The targets of higher priority of which at least one holds whenever this one does."""
    if target.share == 0:
        return []
    above = {
        index: other
        for index, other in enumerate(route.spec.targets)
        if other.share > 0 and other.priority > target.priority
    }
    certain = [index for index, other in above.items() if other.condition is None]
    if certain or not above:
        return certain[:1]
    cases = _cases([target, *above.values()], most)
    if cases is None:
        return []
    needed: set[int] = set()
    for case in cases:
        if does_hold(target, case):
            first = next((i for i, other in above.items() if does_hold(other, case)), None)
            if first is None:
                return []
            needed.add(first)
    return sorted(needed)


def _cases(targets: Sequence[Target], most: int) -> Iterator[dict[str, Value]] | None:
    """One case for each combination of values that the conditions can tell apart, if not too many.

    Metadata and a namespace are any text, like a signal of that kind.
    """
    seen: dict[str, set[Value]] = {}
    for target in targets:
        for name, value in comparisons(target.condition.expression) if target.condition else ():
            seen.setdefault(name, set()).add(value)
    choices = {name: _samples(name_type(name), values) for name, values in seen.items()}
    size = 1
    for values in choices.values():
        size *= len(values)
    if size * len(targets) > most:
        return None
    return (dict(zip(choices, case, strict=True)) for case in product(*choices.values()))


# No word of a condition begins with a space that was typed by a person; it stands for all others.
_ANY_OTHER = " any other"


def _samples(kind: SignalType | None, values: set[Value]) -> tuple[Value, ...]:
    if kind is None or kind.kind == "text":
        return ("", _ANY_OTHER, *sorted(str(value) for value in values if value))
    if kind.kind == "closed":
        return kind.values
    edges = sorted({kind.low, kind.high, *(float(value) for value in values)})
    between = ((low + high) / 2 for low, high in pairwise(edges))
    return (*edges, *between)
