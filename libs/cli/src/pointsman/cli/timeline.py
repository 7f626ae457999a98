"""One request's timeline as lines for a person, or data for a program."""

from datetime import datetime
from typing import Any

from pointsman.contracts.messages import (
    Accepted,
    Blocked,
    Classified,
    Completed,
    Event,
    Executed,
    Failed,
    Judged,
    SafetyChecked,
    ToolsRetrieved,
)
from pointsman.contracts.parts import RouteDecision, Signals


def timeline_data(events: list[Event]) -> list[dict[str, Any]]:
    """Return the events as JSON-ready data, oldest first, with seconds since the first."""
    start = _start(events)
    return [
        {"offset_s": round((event.at - start).total_seconds(), 6), **event.model_dump(mode="json")}
        for event in events
    ]


def render_timeline(events: list[Event]) -> str:
    """Return one line per event: when, which stage, how long, and what it decided."""
    start = _start(events)
    context = events[0].context
    lines = [
        f"request {context.request_id}  namespace {context.namespace}",
        f"accepted {start:%Y-%m-%d %H:%M:%S} UTC",
    ]
    for event in events:
        offset_ms = (event.at - start).total_seconds() * 1000
        again = f" (delivery {event.delivery})" if event.delivery > 1 else ""
        lines.append(
            f"{offset_ms:>9.1f} ms  {event.service:<10} {event.duration_s * 1000:>8.1f} ms  "
            f"#{event.attempt}  {event.fact.type:<15} {summary(event)}{again}".rstrip()
        )
    return "\n".join(lines)


def summary(event: Event) -> str:
    """Return what a fact decided, in one line without any content."""
    fact = event.fact
    match fact:
        case Accepted():
            return f"model={fact.model} messages={fact.messages} bytes={fact.size_bytes}"
        case SafetyChecked():
            found = ",".join(f"{f.guard}/{f.rule}:{f.action}" for f in fact.findings) or "nothing"
            masked = ",".join(f"{m.kind}x{m.count}" for m in fact.masked) or "none"
            return f"blocked={fact.is_blocked} found={found} masked={masked}"
        case Classified():
            return _decided(fact.signals, fact.decision)
        case ToolsRetrieved():
            return (
                f"{len(fact.tool_ids)} of {fact.catalogue_tools} tools, "
                f"{fact.bound_tokens} of {fact.catalogue_tokens} tokens"
            )
        case Executed():
            tools = f" tool_calls={len(fact.tool_runs)}" if fact.tool_runs else ""
            error = f" error={fact.error}" if fact.error else ""
            why = "" if fact.role == "first" else f" as {fact.role}"
            why += f" because {fact.because}" if fact.because else ""
            looped = " stopped in a loop" if fact.is_loop_cut else ""
            return (
                f"{fact.status}{why}{looped} model={fact.model} tokens={fact.usage.input_tokens}"
                f"+{fact.usage.output_tokens} ${fact.usage.cost_usd:.6f}{tools}{error}"
            )
        case Judged():
            failed = ",".join(check.name for check in fact.verdict.checks if not check.passed)
            verdict = fact.verdict
            score = "-" if verdict.score is None else f"{verdict.score:.1f}"
            sure = "" if verdict.probability is None else f" p={verdict.probability:.2f}"
            of = "plan " if fact.is_plan else ""
            why = f" ({', '.join(verdict.reasons)})" if verdict.reasons else ""
            broken = f" failed={failed}" if failed else ""
            return f"{of}{verdict.label} score={score}{sure}{why}{broken}"
        case Completed():
            flagged = " flagged" if fact.is_flagged else ""
            flagged += " for a person" if fact.needs_person else ""
            cost = f"${fact.usage.cost_usd:.6f}"
            return f"model={fact.model} attempts={len(fact.attempts)} {cost}{flagged}"
        case Blocked():
            return "model_calls=0 $0.000000"
        case Failed():
            return f"code={fact.code} at={fact.stage} ${fact.cost_usd:.6f}"
        case _:
            return fact.stage


def _decided(signals: Signals, decision: RouteDecision) -> str:
    topic = f" topic={signals.topic}" if signals.topic else ""
    role = "" if decision.role == "primary" else f" as {decision.role}"
    ruled_out = ",".join(f"{left.model}:{left.reason}" for left in decision.excluded)
    return (
        f"intent={signals.intent} domain={signals.domain}{topic} "
        f"complexity={signals.complexity:.2f} urgency={signals.urgency} "
        f"criticality={signals.criticality} gain={signals.gain:.2f} "
        f"novelty={signals.novelty:.2f} language={signals.language} "
        f"-> {decision.target} ({decision.model}){role} because {decision.reason} "
        f"[{decision.route}@{decision.revision}]"
        + (f" excluded={ruled_out}" if ruled_out else "")
        + (f" shadows={','.join(decision.shadows)}" if decision.shadows else "")
    )


def _start(events: list[Event]) -> datetime:
    return min(event.context.accepted_at for event in events)
