"""Routes, registries and signals as these tests need them."""

from typing import Any

import yaml

from pointsman.contracts.parts import Signals
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.signal_schema import SIGNALS
from pointsman.routes.source import RouteRevision, load_route

SLIDE = """
apiVersion: ai.gateway/v1
kind: SemanticRoute
metadata:
  name: dynamic-model-routing
spec:
  signals: [intent, urgency, safety]
  targets:
  - model: llama-3-8b
    weight: 70
    condition: "intent == simple"
  - model: reasoning-frontier
    weight: 30
    condition: "intent == complex"
  evaluator:
    minScore: 8
"""


def signals(**fields: Any) -> Signals:
    defaults: dict[str, Any] = {
        "intent": "simple",
        "domain": "general",
        "complexity": 0.2,
        "urgency": "normal",
        "safety": "safe",
        "tool_need": 0.1,
    }
    return Signals.model_validate(defaults | fields)


def revision(*targets: dict[str, Any], **spec: Any) -> RouteRevision:
    document = {
        "apiVersion": "ai.gateway/v1",
        "kind": "SemanticRoute",
        "metadata": {"name": "test"},
        "spec": {
            "signals": list(SIGNALS),
            "targets": list(targets),
            **spec,
        },
    }
    return load_route(yaml.safe_dump(document))


def route(*targets: dict[str, Any], **spec: Any) -> SemanticRoute:
    return revision(*targets, **spec).route


def registry_of(*models: tuple[str, str, dict[str, Any]]) -> ModelRegistry:
    """Models by name, output price and whatever else is not as usual."""
    return ModelRegistry.model_validate(
        {
            "models": [
                {
                    "id": name,
                    "provider": "test",
                    "base_url": "http://127.0.0.1:9/v1",
                    "context_window": 100_000,
                    "token_cost": {"input": "0.000001", "output": output},
                    **fields,
                }
                for name, output, fields in models
            ]
        }
    )


def registry() -> ModelRegistry:
    """Four models; ``tiny`` < ``small`` < ``large`` < ``huge`` by output price."""
    return registry_of(
        ("huge", "0.00009", {}),
        ("small", "0.000002", {"aliases": ["llama-3-8b"], "fallbacks": ["reasoning-frontier"]}),
        ("large", "0.00003", {"aliases": ["reasoning-frontier"], "fallbacks": ["llama-3-8b"]}),
        ("tiny", "0.000001", {}),
    )
