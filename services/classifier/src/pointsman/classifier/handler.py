"""Classify: read the signals of a masked request and choose its target."""

from dataclasses import dataclass

from opentelemetry import trace

from pointsman.classifier.domain.ports import Array, Embedder, RouteSource
from pointsman.classifier.domain.prototypes import Prototypes
from pointsman.classifier.domain.signals import read_signals
from pointsman.classifier.domain.wording import request_text
from pointsman.contracts import telemetry
from pointsman.contracts.errors import Rejected
from pointsman.contracts.messages import Classified, Classify
from pointsman.routes.decision import decide
from pointsman.routes.registry import ModelRegistry, UnknownModel

tracer = trace.get_tracer(__name__)


@dataclass(frozen=True, kw_only=True)
class Deps:
    embedder: Embedder
    prototypes: Prototypes
    route: RouteSource
    registry: ModelRegistry


async def classify(command: Classify, *, deps: Deps) -> Classified:
    """Return the signals, the decision and the vector that later stages reuse.

    Raises: Rejected if the request names a model that is not registered; Retryable if the embedding
    model cannot be used now.
    """
    request = command.request
    text = request_text(request)
    vector = await _embed(text, deps.embedder)
    signals = read_signals(text, vector, deps.prototypes, is_suspicious=command.is_suspicious)
    try:
        decision = decide(
            deps.route.current,
            deps.registry,
            signals,
            request_id=command.context.request_id,
            requested_model=request.model,
            has_own_tools=bool(request.tools) or request.tool_choice == "none",
        )
    except UnknownModel as error:
        raise Rejected(str(error)) from error
    span = trace.get_current_span()
    span.set_attribute(telemetry.ROUTE_REVISION, decision.revision)
    span.set_attribute(telemetry.ROUTE_TARGET, decision.target)
    return Classified(
        signals=signals, decision=decision, vector=vector.astype("<f4", copy=False).tobytes()
    )


async def _embed(text: str, embedder: Embedder) -> Array:
    attributes = {
        telemetry.GEN_AI_OPERATION: "embeddings",
        telemetry.GEN_AI_PROVIDER: "sentence_transformers",
        telemetry.GEN_AI_REQUEST_MODEL: embedder.model,
    }
    name = f"embeddings {embedder.model}"
    with tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes):
        return await embedder.embed(text)
