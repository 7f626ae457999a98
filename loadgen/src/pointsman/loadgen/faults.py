"""Faults on demand and what was counted meanwhile: the simulated models' control desk.

Owns the plan of coming faults and the figures tests read. Applies no fault; ``simulated`` does.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

ANY_MODEL = "*"


class Fault(StrEnum):
    """``slow`` is ten times as slow; ``hang`` never answers; ``cut_stream`` closes half-way."""

    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    SLOW = "slow"
    HANG = "hang"
    CUT_STREAM = "cut_stream"
    WRONG_JSON = "wrong_json"


SLOWNESS = 10
RETRY_AFTER_S = 1


@dataclass
class ModelFigures:
    """``calls`` counts requests that reached the model; ``cancelled`` those whose client left.

    ``tokens_sent`` counts, about, the visible tokens that left, also those of a cancelled answer.
    """

    calls: int = 0
    active: int = 0
    most_active: int = 0
    completed: int = 0
    cancelled: int = 0
    tokens_sent: int = 0
    faults: dict[str, int] = field(default_factory=dict[str, int])

    def begin(self) -> None:
        self.calls += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)

    def count_fault(self, fault: Fault) -> None:
        self.faults[fault.value] = self.faults.get(fault.value, 0) + 1


@dataclass
class Desk:
    """The state of one server: figures by model and the faults still to come."""

    figures: dict[str, ModelFigures] = field(default_factory=dict[str, ModelFigures])
    _plan: dict[str, list[Fault]] = field(default_factory=dict[str, list[Fault]])

    def of(self, model: str) -> ModelFigures:
        return self.figures.setdefault(model, ModelFigures())

    def plan(self, model: str, fault: Fault, count: int) -> None:
        """Let the next ``count`` calls of ``model`` (``*`` for any) meet ``fault``; 0 clears."""
        if count == 0:
            self._plan.pop(model, None)
        else:
            self._plan.setdefault(model, []).extend([fault] * count)

    def take(self, model: str) -> Fault | None:
        """Return the fault this call must meet, if any, and count it as used."""
        for name in (model, ANY_MODEL):
            if self._plan.get(name):
                return self._plan[name].pop(0)
        return None

    def reset(self) -> None:
        self.figures.clear()
        self._plan.clear()

    def as_json(self) -> dict[str, Any]:
        return {
            "models": {name: asdict(figures) for name, figures in self.figures.items()},
            "calls": sum(figures.calls for figures in self.figures.values()),
            "active": sum(figures.active for figures in self.figures.values()),
            "cancelled": sum(figures.cancelled for figures in self.figures.values()),
            "tokens_sent": sum(figures.tokens_sent for figures in self.figures.values()),
            "planned_faults": {name: [*faults] for name, faults in self._plan.items() if faults},
        }
