"""A cascade as the files that a platform reads: a registry of its models and a SemanticRoute.

Owns the two files' text. Decides nothing: the route does.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from pointsman.evaluation.recordings import LLAMA, PRICES, Cascade
from pointsman.routes.signal_schema import SIGNALS

PER_MILLION = Decimal(1_000_000)

CONTEXT_WINDOW = 128_000
"""Wide enough for every recorded prompt: no recording is refused for its length."""


@dataclass(frozen=True, kw_only=True)
class CascadeRoute:
    """The weak model first, unless ``strong_when`` holds; the strong one where the judge's score is
    below ``min_score``. The cascade's first sibling is asked where the judge is unsure.

    ``strong_when`` is a condition as a route writes it.
    """

    cascade: Cascade = LLAMA
    strong_when: str | None = None
    min_score: float = 8.0

    @property
    def weak(self) -> str:
        return self.cascade.weak

    @property
    def strong(self) -> str:
        return self.cascade.strong

    @property
    def sibling(self) -> str | None:
        return next(iter(self.cascade.siblings), None)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that the route may call, the weak one first."""
        return tuple(name for name in (self.weak, self.sibling, self.strong) if name)

    def __str__(self) -> str:
        straight = f", straight to it when {self.strong_when}" if self.strong_when else ""
        asking = f", asking {self.sibling} when unsure" if self.sibling else ""
        return f"{self.weak} -> {self.strong} below {self.min_score:g}{asking}{straight}"

    def cost_usd(self, model: str, input_tokens: int, output_tokens: int) -> Decimal:
        """Return tokens times price, in USD, unrounded."""
        into, out = _price(model)
        return (into * input_tokens + out * output_tokens) / PER_MILLION

    def registry_text(self) -> str:
        """Return the registry file. The address is the platform's to fill in."""
        return yaml.safe_dump({"models": [_model(name) for name in self.models]})

    def route_text(self) -> str:
        """Return the SemanticRoute file."""
        weak: dict[str, Any] = {"model": self.weak, "weight": 1}
        targets = [weak]
        if self.strong_when is not None:
            # Without a condition of its own the weak target would share what the strong one gets.
            weak["condition"] = f"not ({self.strong_when})"
            strong = {"model": self.strong, "weight": 1, "condition": self.strong_when}
            targets = [strong, weak]
        evaluator: dict[str, Any] = {"minScore": self.min_score, "maxAttempts": 2}
        if self.sibling is not None:
            evaluator["sibling"] = self.sibling
        return yaml.safe_dump(
            {
                "apiVersion": "ai.gateway/v1",
                "kind": "SemanticRoute",
                "metadata": {"name": "replayed-cascade"},
                "spec": {
                    "signals": list(SIGNALS),
                    "targets": targets,
                    "evaluator": evaluator,
                },
            },
            sort_keys=False,
        )


def _price(model: str) -> tuple[Decimal, Decimal]:
    """USD per million tokens, in and out."""
    into, out = PRICES[model]
    return Decimal(str(into)), Decimal(str(out))


def _model(name: str) -> dict[str, Any]:
    into, out = _price(name)
    return {
        "id": name,
        "provider": "replayed",
        "base_url": "http://127.0.0.1:9100/v1",
        "context_window": CONTEXT_WINDOW,
        "token_cost": {
            "input": f"{into / PER_MILLION:f}",
            "output": f"{out / PER_MILLION:f}",
        },
        "timeout_s": 60,
        "is_simulated": True,
    }
