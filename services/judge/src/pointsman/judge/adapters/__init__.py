"""What judges: rules, learned heads, a model as critic, and what applies a JSON Schema."""

from pointsman.judge.adapters.heads import SHIPPED, load_heads
from pointsman.judge.adapters.json_schema import schema_violation
from pointsman.judge.adapters.rules import INLINE_CHARS, CheapLayers, RulesScorer

__all__ = [
    "INLINE_CHARS",
    "SHIPPED",
    "CheapLayers",
    "RulesScorer",
    "load_heads",
    "schema_violation",
]
