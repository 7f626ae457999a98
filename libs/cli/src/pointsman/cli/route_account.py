"""The account that ``pointsman route explain`` gives: tables for a person, or one document."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter
from rich.console import Console

from pointsman.cli.route_request import Safety
from pointsman.cli.route_tables import add_row, console, say, table
from pointsman.contracts.parts import Evaluator, RouteDecision
from pointsman.routes.explain import Explanation, Part, SignalReading, TargetReading


@dataclass(frozen=True, kw_only=True)
class Account:
    """One request's way through one route, with what safety said of it before."""

    route: str
    revision: str
    request_id: str
    safety: Safety
    explanation: Explanation

    def as_json(self) -> str:
        # An int is a float to the type checker, but worth a warning to pydantic.
        return _ACCOUNT.dump_json(self, indent=2, warnings="none").decode()


_ACCOUNT = TypeAdapter(Account)


def print_account(account: Account) -> None:
    out = console()
    found = account.explanation
    say(out, f"route {account.route}@{account.revision}")
    say(out, f"request {account.request_id}")
    say(out, f"safety: {_safety(account.safety)}")
    out.print()
    _print_signals(out, found)
    _print_targets(out, found)
    for line in conditions(found):
        say(out, line)
    out.print()
    for line in conclusions(found):
        say(out, line)


def _safety(safety: Safety) -> str:
    rules = ", ".join(f"{each.guard}/{each.rule}: {each.action}" for each in safety.findings)
    if safety.is_blocked:
        return f"BLOCKED ({rules}); what follows is as if it had passed"
    if safety.is_suspicious:
        return f"passes, marked as suspicious ({rules})"
    return f"passes ({rules})" if rules else "passes, nothing found"


def _print_signals(out: Console, found: Explanation) -> None:
    signals = table(out, "signals", "signal", "value", "confidence", "in a condition", words=2)
    for each in found.signals:
        confidence = "-" if each.confidence is None else f"{each.confidence:.2f}"
        add_row(signals, each.name, _value(each), confidence, "yes" if each.is_used else "")
    out.print(signals)
    out.print()


def _value(signal: SignalReading) -> str:
    if isinstance(signal.value, str):
        return signal.value or "(none)"
    return f"{signal.value:g}"


def _print_targets(out: Console, found: Explanation) -> None:
    columns = ("#", "target", "model", "role", "standing", "priority", "weight", "share")
    targets = table(out, "targets", *columns, words=5)
    for each in found.targets:
        is_shadow = each.percent is not None
        add_row(
            targets,
            str(each.index + 1),
            each.name,
            ", ".join(each.models),
            each.role,
            each.standing,
            "-" if is_shadow else str(each.priority),
            f"{each.percent:g} %" if is_shadow else str(each.weight),
            f"{100 * each.share:.1f} %" if each.share else "-",
        )
    out.print(targets)
    out.print()


def conditions(found: Explanation) -> Iterator[str]:
    """Yield each target's condition, part by part, with what the request has."""
    for target in found.targets:
        against = ", ".join(f"{each.model}: {each.reason}" for each in target.excluded)
        ruled_out = f"; ruled out: {against}" if against else ""
        if target.condition is None:
            yield f"{_title(target)}: no condition, always holds{ruled_out}"
            continue
        verdict = "holds" if target.held else "does not hold"
        yield f"{_title(target)}: {verdict}{ruled_out}"
        yield from _parts(target.condition, depth=1)


def _title(target: TargetReading) -> str:
    return f"#{target.index + 1} {target.name}"


_KINDS = {"all": "all of", "any": "any of", "not": "not"}


def _parts(part: Part, *, depth: int) -> Iterator[str]:
    mark = "yes" if part.held else "no "
    indent = "  " * depth
    if part.kind == "test":
        actual = part.actual if isinstance(part.actual, str) else f"{part.actual:g}"
        yield f"{indent}{mark}  {part.text}   (it is {actual or 'empty'})"
        return
    yield f"{indent}{mark}  {_KINDS[part.kind]}:"
    for inner in part.parts:
        yield from _parts(inner, depth=depth + 1)


def conclusions(found: Explanation) -> Iterator[str]:
    """Yield what was decided and what would follow, one sentence a line."""
    decision = found.decision
    if decision is None:
        yield f"choice: none: {found.problem}"
        return
    yield _choice(decision)
    if 0 < decision.share < 1:
        yield (
            f"weights: drawn by the {found.stickiness}; this target gets "
            f"{100 * decision.share:.1f} % of such requests, another {found.stickiness} may "
            "be drawn otherwise"
        )
    yield f"if it fails: {_models(decision, decision.fallbacks, codes=True) or 'no fallback'}"
    evaluator = decision.evaluator
    if evaluator is None:
        yield "evaluator: none, the answer is not judged"
    else:
        yield f"evaluator: {_evaluator(evaluator)}"
        yield f"if it is weak: {_models(decision, decision.escalations) or 'no stronger model'}"
    if decision.shadows:
        yield f"shadows, whose answers nobody sees: {_models(decision, decision.shadows)}"
    if decision.excluded:
        ruled_out = ", ".join(f"{each.model} ({each.reason})" for each in decision.excluded)
        yield f"ruled out: {ruled_out}"
    yield f"tools of ours: {'bound' if decision.use_tools else 'not bound'}"
    yield "estimates are for one attempt: the prompt as estimated, an answer of usual length"


def _choice(decision: RouteDecision) -> str:
    target = "" if decision.target == decision.model else f" (target {decision.target})"
    role = "" if decision.role == "primary" else f", as {decision.role}"
    cost = _usd(decision, decision.model)
    return f"choice: {decision.model}{target}{role}, {cost}, because: {decision.reason}"


def _models(decision: RouteDecision, models: tuple[str, ...], *, codes: bool = False) -> str:
    named: list[str] = []
    for model in models:
        errors = ", ".join(decision.fallback_on.get(model, ())) if codes else ""
        on = f" on {errors}" if errors else ""
        named.append(f"{model} ({_usd(decision, model)}){on}")
    return ", then ".join(named)


def _usd(decision: RouteDecision, model: str) -> str:
    estimate = decision.estimates_usd.get(model)
    return "cost not estimated" if estimate is None else f"about ${estimate:.6f}"


def _evaluator(evaluator: Evaluator) -> str:
    said = [
        f"at least {evaluator.min_score:g} of 10",
        "tokens wait for the judge"
        if evaluator.mode == "gate"
        else "streams at once, for the record",
        f"at most {evaluator.max_attempts} attempts",
    ]
    if evaluator.budget_usd is not None:
        said.append(f"at most ${evaluator.budget_usd:f} a request")
    said += [
        f"when low: {evaluator.on_low_score}",
        f"when unsure: {evaluator.on_unsure}",
        f"when the judge fails: {evaluator.on_judge_failure}",
        f"plans of tool calls: {'judged first' if evaluator.plan == 'gate' else 'not judged'}",
    ]
    if evaluator.sibling:
        said.append(f"second opinion: {evaluator.sibling}")
    if evaluator.critic:
        said.append(f"critic: {evaluator.critic}")
    return "; ".join(said)
