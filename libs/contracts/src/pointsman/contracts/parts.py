"""The values that messages are made of: context, signals, decision, tools, usage, verdict.

Owns their shapes only. What is decided with them is in each service's ``domain.py``.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from pointsman.contracts.chat import JsonObject, ToolDefinition
from pointsman.contracts.wire import Content, Wire

ServiceName = Literal[
    "ingress", "safety", "classifier", "toolrag", "executor", "judge", "accounting"
]


class RequestContext(Wire):
    """What stays the same for one request on its whole way.

    ``ingress`` is the id of the ingress process that holds the client's connection.
    ``redrive`` counts how often an operator sent the request on again from the dead letters.
    """

    request_id: str = Field(pattern=r"^[0-9a-f-]{36}$")
    namespace: str
    ingress: str
    accepted_at: datetime
    deadline: datetime
    stream: bool = False
    redrive: int = 0


class Signals(Wire):
    """What the classifier read from one request; the names a route's conditions may use.

    ``complexity`` runs from 0 (a lookup) to 1 (many dependent steps); ``tool_need`` likewise.
    ``confidence`` maps a signal's name to 0..1.
    """

    intent: Literal["simple", "complex"]
    domain: str
    complexity: float = Field(ge=0, le=1)
    urgency: Literal["low", "normal", "high"]
    safety: Literal["safe", "suspicious"]
    tool_need: float = Field(default=0.0, ge=0, le=1)
    confidence: dict[str, float] = Field(default_factory=dict)


class Evaluator(Wire):
    """How a route wants answers judged. ``min_score`` is on the scale 0 to 10.

    ``gate`` holds tokens until the answer is accepted; ``observe`` streams at once and judges for
    the record. ``max_attempts`` counts all attempts of a request, fallbacks included.
    """

    min_score: float = Field(ge=0, le=10)
    mode: Literal["gate", "observe"] = "gate"
    max_attempts: int = Field(default=3, ge=1, le=10)
    on_low_score: Literal["escalate", "flag"] = "escalate"
    on_judge_failure: Literal["accept", "flag", "fail"] = "flag"


class RouteDecision(Wire):
    """What the route in force chose for one request.

    ``target`` is the name in the route file, ``model`` the registry id it stands for.
    ``fallbacks`` are tried when a model fails, ``escalations`` when an answer is judged too weak;
    both ordered, both registry ids. ``revision`` is the content hash of the route file.
    """

    route: str
    revision: str
    target: str
    model: str
    reason: str
    fallbacks: tuple[str, ...] = ()
    escalations: tuple[str, ...] = ()
    evaluator: Evaluator | None = None
    use_tools: bool = False


class PlaceholderCount(Wire):
    """How many different values of one kind were masked."""

    kind: str
    count: int


class Finding(Wire):
    """One thing a guard found; ``guard`` and ``rule`` are ours, never the text that matched."""

    guard: str
    rule: str
    action: Literal["block", "mask", "flag"]


class BoundTool(Wire):
    """A tool the model may call in this request, with what the executor needs to run it.

    ``tool_id`` is the catalogue's id; ``effect`` decides whether it may run without a person.
    ``score`` is the retrieval score, higher is better.
    """

    tool_id: str
    definition: ToolDefinition
    effect: Literal["read", "write"] = "read"
    score: float = 0.0


class ToolRun(Wire):
    """One tool call that the executor made or refused, as later stages may see it."""

    call_id: str
    tool_id: str
    status: Literal["ok", "error", "refused"]
    duration_s: float = 0.0
    arguments: Content[JsonObject] = Field(default_factory=dict)
    output: Content[str] = ""


class Usage(Wire):
    """Tokens and money of one attempt, as the backend counted them.

    ``cost_usd`` is tokens times the registry's price. ``model_calls`` counts requests to the
    backend (a tool loop makes several). ``estimated`` is true where the backend sent no usage.
    """

    model: str
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost_usd: Decimal = Decimal(0)
    model_calls: int = Field(default=0, ge=0)
    estimated: bool = False


class Check(Wire):
    """One deterministic check of an answer and what it took from the score."""

    name: str
    passed: bool
    penalty: float = 0.0


class Verdict(Wire):
    """What the judge says of one answer. A judge that failed says ``unjudged`` and no score."""

    label: Literal["accepted", "low", "unjudged"]
    score: float | None = Field(default=None, ge=0, le=10)
    checks: tuple[Check, ...] = ()
    critique: Content[str] = ""


class AttemptSummary(Wire):
    """One line of a request's history of attempts."""

    attempt: int
    model: str
    status: Literal["succeeded", "failed", "cancelled"]
    usage: Usage
    score: float | None = None
    reason: str = ""
