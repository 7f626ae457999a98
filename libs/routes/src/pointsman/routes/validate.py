"""What is wrong or surprising about a route that parses.

Owns the list of checks and those of weights, names and policies; rules that cannot be reached and
what needs the model registry are in modules of their own. An error fails ``route validate``.
"""

from collections import Counter
from collections.abc import Iterator

from pointsman.routes.evaluators import RouteEvaluator
from pointsman.routes.followers import MAX_SHADOWS
from pointsman.routes.issue import Issue, error, warning
from pointsman.routes.model_checks import model_issues, same_model
from pointsman.routes.reachability import unreachable_rules
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.targets import Target


def validate(route: SemanticRoute, registry: ModelRegistry | None) -> list[Issue]:
    """Return every issue of ``route``, by kind; models are looked up only with a registry."""
    return [
        *(model_issues(route, registry) if registry is not None else ()),
        *_weights(route),
        *_sums(route),
        *_duplicates(route, registry),
        *unreachable_rules(route),
        *_implied_default(route),
        *_sharing_defaults(route),
        *_canaries(route),
        *_shadows(route),
        *_policies(route),
    ]


def _weights(route: SemanticRoute) -> Iterator[Issue]:
    if not route.spec.ranks:
        yield error("spec.targets", "every weight is 0")
        return
    for index, target in enumerate(route.spec.targets):
        if target.weight == 0:
            message = f"weight 0: {target.label} is never chosen"
            yield warning(f"spec.targets[{index}].weight", message)


def _sums(route: SemanticRoute) -> Iterator[Issue]:
    """Warn of written weights that are not percent: most people read them so."""
    by_priority: dict[int, list[Target]] = {}
    for target in route.spec.targets:
        if target.role != "shadow":
            by_priority.setdefault(target.priority, []).append(target)
    if sum(target.share for rank in by_priority.values() for target in rank) == 100:
        return
    for priority, rank in sorted(by_priority.items(), reverse=True):
        total = sum(target.share for target in rank)
        is_shared = sum(target.share > 0 for target in rank) > 1
        is_written = any(target.weight is not None for target in rank)
        if total == 100 or not is_shared or not is_written:
            continue
        sum_of = " + ".join(str(target.share) for target in rank)
        where = f" of priority {priority}" if len(by_priority) > 1 else ""
        yield warning(
            "spec.targets",
            f"the weights{where} add up to {total} ({sum_of}), not 100; "
            "they are relative among the targets whose condition holds",
        )


def _duplicates(route: SemanticRoute, registry: ModelRegistry | None) -> Iterator[Issue]:
    first: dict[object, int] = {}
    for index, target in enumerate(route.spec.targets):
        names = tuple(same_model(name, registry) for name in target.names)
        condition = str(target.condition)
        same = first.setdefault((names, condition, target.role, target.priority), index)
        if same == index:
            continue
        message = f"same model and condition as spec.targets[{same}]"
        adding = "" if target.role == "shadow" else "; their weights add up"
        yield warning(f"spec.targets[{index}]", message + adding)
    labels = Counter(target.name for target in route.spec.targets if target.name)
    for index, target in enumerate(route.spec.targets):
        if target.name and labels[target.name] > 1:
            message = f"{target.name!r} is the name of {labels[target.name]} targets"
            yield warning(f"spec.targets[{index}].name", message)


def _implied_default(route: SemanticRoute) -> Iterator[Issue]:
    if any(target.condition is None and target.role != "shadow" for target in route.spec.targets):
        return
    default = route.spec.default
    yield warning(
        f"spec.targets[{_index(route, default)}]",
        f"no target is without a condition; {default.label} is the default",
    )


def _sharing_defaults(route: SemanticRoute) -> Iterator[Issue]:
    """Warn of a target that reads like a default, and takes its share of everything else, too."""
    targets = route.spec.targets
    for index, target in enumerate(targets):
        if target.role != "primary" or target.condition is not None or target.weight is not None:
            continue
        beside = [
            f"spec.targets[{at}]"
            for at, other in enumerate(targets)
            if other.condition is not None
            and (other.role, other.weight, other.priority) == ("primary", None, target.priority)
        ]
        if beside:
            yield warning(
                f"spec.targets[{index}]",
                "without a condition it is no mere default: it shares, one to one, where "
                f"{' or '.join(beside)} holds; a higher priority there would leave it the rest",
            )


def _canaries(route: SemanticRoute) -> Iterator[Issue]:
    """Warn of a canary with nobody beside it: it takes all that its condition holds for."""
    for index, target in enumerate(route.spec.targets):
        beside = [
            other
            for other in route.spec.targets
            if other.role == "primary" and other.priority == target.priority and other.share > 0
        ]
        if target.role == "canary" and target.share > 0 and not beside:
            message = f"no primary target of priority {target.priority} shares with this canary"
            yield warning(f"spec.targets[{index}]", message)


def _shadows(route: SemanticRoute) -> Iterator[Issue]:
    if len(route.spec.shadows) > MAX_SHADOWS:
        message = f"{len(route.spec.shadows)} shadows: at most {MAX_SHADOWS} copies are made"
        yield warning("spec.targets", message)
    for index, target in enumerate(route.spec.targets):
        if target.role != "shadow":
            continue
        if target.percent == 0:
            yield warning(f"spec.targets[{index}].percent", "percent 0: nothing is copied")
        if target.priority:
            message = "a shadow is never chosen: its priority has no effect"
            yield warning(f"spec.targets[{index}].priority", message)


def _policies(route: SemanticRoute) -> Iterator[Issue]:
    for path, evaluator in _evaluators(route):
        for name, policy in (
            ("onLowScore", evaluator.on_low_score),
            ("onUnsure", evaluator.on_unsure),
        ):
            if policy == "human":
                message = (
                    "until there is a queue for people, the answer is returned at once, flagged "
                    "as needing one"
                )
                yield warning(f"{path}.{name}", message)
        if evaluator.mode == "observe" and "plan" in evaluator.model_fields_set:
            yield warning(f"{path}.plan", "observe holds nothing back: no plan is judged")


def _evaluators(route: SemanticRoute) -> Iterator[tuple[str, RouteEvaluator]]:
    if route.spec.evaluator is not None:
        yield "spec.evaluator", route.spec.evaluator
    for index, target in enumerate(route.spec.targets):
        if target.evaluator is not None:
            yield f"spec.targets[{index}].evaluator", target.evaluator


def _index(route: SemanticRoute, wanted: Target) -> int:
    return next(index for index, target in enumerate(route.spec.targets) if target is wanted)
