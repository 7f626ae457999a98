"""Recorded requests as these tests need them, made of the real message types."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pointsman.contracts.identity import new_request_id
from pointsman.contracts.messages import Classified, Event, Events, Executed, PublishedFact
from pointsman.contracts.parts import (
    RequestContext,
    RouteDecision,
    RoutingInputs,
    ServiceName,
    Signals,
    Usage,
)
from pointsman.contracts.wire import redacted_json
from pointsman.routes.source import revision_of

NOW = datetime.now(UTC)

OLD = """\
apiVersion: ai.gateway/v1
kind: SemanticRoute
metadata: {name: test}
spec:
  signals: [intent, complexity]
  targets:
  - {model: small, condition: intent == simple}
  - {model: large, condition: intent == complex}
"""
NEW = OLD.replace("intent == simple", "complexity < 0.4").replace(
    "intent == complex", "complexity >= 0.4"
)

REGISTRY = """\
models:
- id: small
  provider: test
  base_url: http://127.0.0.1:9/v1
  context_window: 8192
  token_cost: {input: 0.000001, output: 0.000002}
- id: large
  provider: test
  base_url: http://127.0.0.1:9/v1
  context_window: 8192
  token_cost: {input: 0.00001, output: 0.00003}
- id: unseen
  provider: test
  base_url: http://127.0.0.1:9/v1
  context_window: 8192
  token_cost: {input: 0.0001, output: 0.0001}
  typical_output_tokens: 700
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def signals(**fields: Any) -> Signals:
    defaults: dict[str, Any] = {
        name: field.get_default(call_default_factory=True)
        for name, field in Signals.model_fields.items()
        if not field.is_required()
    }
    required = {"intent": "simple", "domain": "general", "complexity": 0.2}
    plain = {"urgency": "normal", "safety": "safe"}
    return Signals.model_validate(defaults | required | plain | fields)


def context(**fields: Any) -> RequestContext:
    defaults: dict[str, Any] = {
        "request_id": new_request_id(),
        "namespace": "test",
        "ingress": "test",
        "accepted_at": NOW,
        "deadline": NOW + timedelta(minutes=1),
    }
    return RequestContext.model_validate(defaults | fields)


def event(service: ServiceName, about: RequestContext, fact: PublishedFact, **fields: Any) -> Event:
    body = {"service": service, "context": about, "at": NOW, "fact": fact, **fields}
    return Event.model_validate(body)


def classified(
    about: RequestContext,
    seen: Signals,
    model: str,
    *,
    route: str = OLD,
    role: str = "primary",
    **inputs: Any,
) -> Event:
    """A decision as the route ``route`` made it."""
    decision = RouteDecision.model_validate(
        {
            "route": "test",
            "revision": revision_of(route),
            "target": model,
            "model": model,
            "reason": "recorded",
            "role": role,
        }
    )
    fact = Classified(signals=seen, decision=decision, inputs=RoutingInputs.model_validate(inputs))
    return event("classifier", about, fact)


def executed(
    about: RequestContext,
    model: str,
    tokens: tuple[int, int] = (100, 50),
    *,
    seconds: float = 1.0,
    attempt: int = 1,
    **fields: Any,
) -> Event:
    """An attempt with (input, output) ``tokens``; it succeeded unless said otherwise."""
    usage = Usage(model=model, input_tokens=tokens[0], output_tokens=tokens[1], model_calls=1)
    body: dict[str, Any] = {"status": "succeeded", "model": model, "usage": usage, **fields}
    fact = Executed.model_validate(body)
    return event("executor", about, fact, attempt=attempt, duration_s=seconds)


def answered(model: str, tokens: tuple[int, int] = (100, 50), **fields: Any) -> list[Event]:
    """A request that ``model`` took and answered."""
    seconds = fields.pop("seconds", 1.0)
    inputs = fields.pop("inputs", {})
    about = context(**fields.pop("context", {}))
    first = classified(about, signals(**fields), model, **inputs)
    return [first, executed(about, model, tokens, seconds=seconds)]


def write_events(folder: Path, *events: Iterable[Event], name: str = "events.jsonl") -> Path:
    """One event a line, as ``pointsman route events`` writes them."""
    path = folder / name
    lines = [redacted_json(each) for some in events for each in some]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def write_batch(folder: Path, events: Sequence[Event]) -> Path:
    """All events in one line, as they lie in LLM_EVENTS."""
    path = folder / "batch.jsonl"
    path.write_text(Events(events=tuple(events)).model_dump_json() + "\n", encoding="utf-8")
    return path
