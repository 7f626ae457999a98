"""The cheap layers: the rules, then the learned heads. No model is called.

Short cases are judged at once, long ones off the event loop.
"""

import asyncio
from typing import Final

from pointsman.contracts.messages import Judge
from pointsman.judge.adapters.json_schema import schema_violation
from pointsman.judge.domain import (
    Assessment,
    Heads,
    Score,
    assess,
    case_of,
    exchanged,
    judge_plan,
    preferred,
    score_case,
)

INLINE_CHARS: Final = 4_000
"""Text that is judged at once: about two milliseconds (``python -m pointsman.judge.cost``). A
thread costs a tenth of one, and a turn of the interpreter that the event loop then waits for."""


class RulesScorer:
    """Deterministic checks alone; costs nothing and never fails."""

    def assess(self, command: Judge) -> Score:
        return score_case(case_of(command, schema_violation))


class CheapLayers:
    """Rules and learned heads together."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    async def score(self, command: Judge) -> Assessment:
        # The first schema is slow to apply: it loads its library.
        has_schema = "json_schema" in (command.request.response_format or ())
        if not has_schema and not command.is_plan and _chars(command) <= INLINE_CHARS:
            return self.assess(command)
        return await asyncio.to_thread(self.assess, command)

    def assess(self, command: Judge) -> Assessment:
        """Judge without an event loop."""
        case = case_of(command, schema_violation)
        if command.is_plan:
            return judge_plan(case)
        found = assess(case, score_case(case), self._heads)
        if not any(sibling.answer.text.strip() for sibling in command.siblings):
            return found
        other = case_of(exchanged(command), schema_violation)
        return preferred(case, found, other, score_case(other), self._heads)


def _chars(command: Judge) -> int:
    """How much text is read."""
    asked = sum(len(message.text) for message in command.request.messages)
    told = sum(len(run.output) for run in command.tool_runs)
    others = sum(len(sibling.answer.text) for sibling in command.siblings)
    return asked + told + others + len(command.answer.text)
