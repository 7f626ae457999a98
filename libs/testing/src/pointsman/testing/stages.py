"""Stages that answer from a script: the whole pipeline without a model, a guard or a catalogue.

Owns simple handlers for each stage and a service around any handler.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from pointsman.contracts.chat import Answer
from pointsman.contracts.messages import (
    CheckSafety,
    Classified,
    Classify,
    Events,
    Execute,
    Executed,
    Fact,
    Judge,
    Judged,
    Recorded,
    RetrieveTools,
    SafetyChecked,
    ToolsRetrieved,
)
from pointsman.contracts.parts import (
    Evaluator,
    RouteDecision,
    ServiceName,
    Signals,
    Usage,
    Verdict,
)
from pointsman.runtime import Bus, Service, ServiceSettings
from pointsman.runtime.service import always, never

Handle = Callable[[Any], Awaitable[Fact]]

SMALL, LARGE = "small", "large"

SIGNALS = Signals(
    intent="simple", domain="general", complexity=0.1, urgency="normal", safety="safe"
)
DECISION = RouteDecision(
    route="scripted",
    revision="000000000000",
    target=SMALL,
    model=SMALL,
    reason="scripted",
    fallbacks=(LARGE,),
    escalations=(LARGE,),
    evaluator=Evaluator(min_score=8),
)


async def pass_safety(command: CheckSafety) -> SafetyChecked:
    return SafetyChecked(is_blocked=False, request=command.request)


async def classify_small(command: Classify) -> Classified:
    return Classified(signals=SIGNALS, decision=DECISION)


async def retrieve_nothing(command: RetrieveTools) -> ToolsRetrieved:
    return ToolsRetrieved()


async def answer_echo(command: Execute) -> Executed:
    """Answer with the user's words, 10 tokens in and 5 out at a millionth of a dollar each."""
    usage = Usage(
        model=command.model,
        input_tokens=10,
        output_tokens=5,
        cost_usd=Decimal("0.000015"),
        model_calls=1,
    )
    text = f"{command.model}: {command.request.last_user_text}"
    return Executed(status="succeeded", model=command.model, usage=usage, answer=Answer(text=text))


async def judge_accepts(command: Judge) -> Judged:
    verdict = Verdict(label="accepted", score=9.0)
    return Judged(model="scripted", verdict=verdict, usage=Usage(model="scripted"))


async def record_nothing(command: Events) -> Recorded:
    return Recorded()


HANDLERS: dict[ServiceName, Handle] = {
    "safety": pass_safety,
    "classifier": classify_small,
    "toolrag": retrieve_nothing,
    "executor": answer_echo,
    "judge": judge_accepts,
    "accounting": record_nothing,
}


def scripted(
    name: ServiceName, settings: ServiceSettings, handle: Handle | None = None
) -> Service[None]:
    """Return a service that answers with ``handle``, by default the simple one above."""
    answer = handle or HANDLERS[name]

    async def handler(command: Any, /, *, deps: None) -> Fact:
        return await answer(command)

    @asynccontextmanager
    async def resources(bus: Bus) -> AsyncGenerator[None]:
        yield None

    return Service(
        name=name,
        settings=settings,
        handle=handler,
        resources=resources,
        is_memoized=always if name == "executor" else never,
    )


def scripted_pipeline(settings: ServiceSettings, **handlers: Handle) -> list[Service[None]]:
    """Return every stage that has a consumer; ``handlers`` names those with another script."""
    return [scripted(name, settings, handlers.get(name)) for name in HANDLERS]
