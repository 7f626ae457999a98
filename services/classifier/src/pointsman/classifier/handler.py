"""Classify: read the signals of a masked request and choose its target."""

from dataclasses import dataclass

from opentelemetry import trace

from pointsman.classifier.domain.ports import Array, Embedder, RouteSource
from pointsman.classifier.domain.reading import Known
from pointsman.classifier.domain.signals import read_signals
from pointsman.classifier.domain.wording import request_text
from pointsman.contracts import telemetry
from pointsman.contracts.errors import ErrorCode, Rejected
from pointsman.contracts.messages import Classified, Classify
from pointsman.contracts.parts import RouteDecision
from pointsman.routes.asking import TOOL_USE, Asking
from pointsman.routes.choice import NoEligibleModel
from pointsman.routes.decision import decide_for
from pointsman.routes.registry import ModelRegistry, UnknownModel
from pointsman.routes.source import RouteRevision

tracer = trace.get_tracer(__name__)


@dataclass(frozen=True, kw_only=True)
class Deps:
    embedder: Embedder
    known: Known
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
    signals = read_signals(request, text, vector, deps.known, is_suspicious=command.is_suspicious)
    revision = deps.route.current
    asking = Asking.of(
        revision.route,
        signals,
        request_id=command.context.request_id,
        requested_model=request.model,
        has_own_tools=bool(request.tools) or request.tool_choice == "none",
        namespace=command.context.namespace,
        metadata=request.metadata,
        conversation_id=request.conversation_id,
        needs=(TOOL_USE,) if request.tools else (),
    )
    refused = None
    try:
        decision = decide_for(revision, deps.registry, asking)
    except UnknownModel as error:
        raise Rejected(str(error)) from error
    except NoEligibleModel as error:
        decision, refused = _undecided(revision, request.model, error), ErrorCode.NO_ELIGIBLE_MODEL
    span = trace.get_current_span()
    span.set_attribute(telemetry.ROUTE_REVISION, decision.revision)
    span.set_attribute(telemetry.ROUTE_TARGET, decision.target)
    return Classified(
        signals=signals,
        decision=decision,
        inputs=asking.inputs,
        refused=refused,
        vector=vector.astype("<f4", copy=False).tobytes(),
    )


def _undecided(revision: RouteRevision, asked: str, error: NoEligibleModel) -> RouteDecision:
    """What the route came to for a request that no model may see."""
    return RouteDecision(
        route=revision.route.name,
        revision=revision.revision,
        target="",
        model=asked,
        reason="no model meets the regions and compliance asked for",
        excluded=error.excluded,
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
