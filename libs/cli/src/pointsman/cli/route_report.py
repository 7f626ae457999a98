"""A comparison of two routes as tables and sentences for a person."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from rich.console import Console

from pointsman.cli.route_comparison import Comparison
from pointsman.cli.route_estimates import Cost, Latency, Source, Sources
from pointsman.cli.route_tables import add_row, console, say, table
from pointsman.routes.replay import NO_MODEL

_UNKNOWN = "unknown"


def print_comparison(found: Comparison) -> None:
    out = console()
    say(out, f"old  {found.old_route}@{found.old_revision}")
    say(out, f"new  {found.new_route}@{found.new_revision}")
    out.print()
    _print_moves(out, found)
    if found.causes:
        _print_causes(out, found)
    _print_models(out, found)
    for line in sentences(found):
        say(out, line)


def _print_moves(out: Console, found: Comparison) -> None:
    columns = ("from", "to", "requests", "%", "USD old", "USD new", "change", "s old", "s new")
    moves = table(out, "moves", *columns, words=2)
    for move in found.moves:
        share = _percent(move.requests, found.requests)
        names = _model(move.old_model), _model(move.new_model)
        add_row(moves, *names, *_figures(move.requests, share, move.cost, move.latency))
    moved = f"{found.moved_percent:.2f}"
    all_figures = _figures(found.requests, moved, found.cost, found.latency)
    add_row(moves, "all requests", f"{found.moved:,} moved", *all_figures)
    out.print(moves)
    out.print()


def _print_causes(out: Console, found: Comparison) -> None:
    causes = table(
        out, "why they move", "old target", "because", "new target", "because", "requests", words=4
    )
    for cause in found.causes:
        add_row(
            causes,
            cause.old_target or "-",
            cause.old_reason,
            cause.new_target or "-",
            cause.new_reason,
            f"{cause.requests:,}",
        )
    out.print(causes)
    out.print()


def _print_models(out: Console, found: Comparison) -> None:
    columns = ("model", "given by old", "given by new", "answers", "tokens out", "s", "escalated")
    models = table(out, "what was recorded of each model (means)", *columns)
    for model in found.models:
        firsts = model.first_attempts
        escalated = f"{_percent(model.escalated, firsts)} % of {firsts:,}" if firsts else "-"
        add_row(
            models,
            _model(model.model),
            f"{model.old_requests:,}",
            f"{model.new_requests:,}",
            f"{model.answers:,}",
            _number(model.mean_output_tokens, 1),
            _number(model.mean_latency_s, 3),
            escalated,
        )
    out.print(models)
    out.print()


def sentences(found: Comparison) -> Iterable[str]:
    """Yield what the tables do not say: what was left out, and where figures are from."""
    yield (
        f"{found.requests:,} requests decided by both: {found.same:,} the same, "
        f"{found.moved:,} moved ({found.moved_percent:.2f} %)"
    )
    if found.pinned:
        yield f"{found.pinned:,} requests named their model and are left out: no route moves them"
    if found.undecided:
        names = ", ".join(f"{name} {count:,}" for name, count in found.cannot_tell.items())
        yield f"{found.undecided:,} requests: cannot tell, since this was not recorded: {names}"
    if found.drifted:
        yield (
            f"{found.drifted:,} requests were decided otherwise when they came than the old route "
            f"decides now ({found.other_revision:,} came under another revision)"
        )
    if found.shadow_events:
        yield f"{found.shadow_events:,} events of shadows' copies are left out"
    for name, sums in (("cost", found.cost), ("latency", found.latency)):
        yield f"{name}: old from {_sources(sums.old_from)}; new from {_sources(sums.new_from)}"
    if unknown := max(found.cost.unknown, found.latency.unknown):
        yield f"{unknown:,} requests are unknown on one side and count on neither in the sums"
    yield (
        "cost and latency are of the routed model's answer, at today's prices in the registry; "
        "what escalations, second opinions and judging take comes on top"
    )
    firsts = sum(model.first_attempts for model in found.models)
    escalated = sum(model.escalated for model in found.models)
    yield (
        f"as recorded, {escalated:,} of {firsts:,} first answers were escalated; what the judge "
        "would say of an answer that was never given is unknown, and so is how many of the moved "
        "requests would be"
    )


def _figures(requests: int, share: str, cost: Cost, latency: Latency) -> Sequence[str]:
    change = _UNKNOWN if cost.delta_usd is None else f"{cost.delta_usd:+.6f}"
    return (
        f"{requests:,}",
        share,
        _usd(cost.old_usd),
        _usd(cost.new_usd),
        change,
        _number(latency.old_s, 3),
        _number(latency.new_s, 3),
    )


_WORDS: Mapping[Source, str] = {
    "recorded": "the request's own answer",
    "mean": "the mean of the model's recorded answers",
    "registry": "the registry's typical output tokens",
    "unknown": "nothing (unknown)",
}


def _sources(sources: Sources) -> str:
    return ", ".join(
        f"{words} {sources[source]:,}" for source, words in _WORDS.items() if sources.get(source)
    )


def _usd(amount: Decimal | None) -> str:
    return _UNKNOWN if amount is None else f"{amount:.6f}"


def _number(value: float | None, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value:,.{digits}f}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "0.00"


def _model(name: str) -> str:
    return "(no model)" if name == NO_MODEL else name
