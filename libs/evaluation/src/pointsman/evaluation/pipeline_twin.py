"""The offline twin of the platform: the services' own handlers, called one after the other.

Owns the walk from stage to stage, which follows the platform's own flow, and the stand-in for a
model's server: it reads the recordings where the platform asks over HTTP. No bus, no HTTP.
"""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from cryptography.fernet import Fernet

from pointsman.cli.platform import build_service
from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.flow import next_steps, stage_of
from pointsman.contracts.messages import BusCommand, CheckSafety, Completed, Fact, PublishedFact
from pointsman.contracts.parts import RequestContext, ServiceName
from pointsman.evaluation.pipeline_passage import Passage, Told
from pointsman.executor.domain.failures import failure_of_status
from pointsman.executor.domain.ports import ModelCall
from pointsman.executor.domain.reading import CHUNKS, Chunk
from pointsman.executor.handler import Deps as ExecutorDeps
from pointsman.loadgen.openai_wire import chunks
from pointsman.loadgen.recordings import Recordings
from pointsman.loadgen.replay import RecordingNotFound, replay
from pointsman.testing.bus import ScriptedBus

STAGES: tuple[ServiceName, ...] = ("safety", "classifier", "executor", "judge")
"""What a request without tools meets. Ingress is HTTP's side, accounting the books'."""

PATIENCE = timedelta(minutes=2)

Answer = Callable[[BusCommand], Awaitable[Fact]]


class UnexpectedStage(LookupError):
    """A request took a way that the twin does not know."""


class RecordedModels:
    """A ``ModelClient`` that reads what the replaying server would send."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    async def chat(self, call: ModelCall, take: Callable[[Sequence[Chunk]], None]) -> None:
        """Hand over the recorded answer in the pieces in which it is streamed.

        Raises: ModelFailed, as for status 404, where none was recorded.
        """
        request = ChatRequest.model_validate(call.body)
        try:
            turn = replay(request, self._recordings, model=request.model)
        except RecordingNotFound as error:
            raise failure_of_status(404) from error
        stream = chunks(turn, model=request.model, created=0, include_usage=True)
        for _, chunk in stream:
            take(CHUNKS.validate_python([chunk]))


class Twin:
    """Stages that answer in this process."""

    def __init__(self, stages: Mapping[ServiceName, Answer]) -> None:
        self._stages = stages

    async def passage(self, request: ChatRequest, context: RequestContext) -> Passage:
        """Return what the platform would do with ``request``, but for time.

        Raises: UnexpectedStage if the flow leads to a stage that is not among ``STAGES``.
        """
        now = datetime.now(UTC)
        timely = context.model_copy(update={"accepted_at": now, "deadline": now + PATIENCE})
        key = Fernet.generate_key().decode()
        waiting: deque[BusCommand] = deque(
            [CheckSafety(context=timely, request=request, vault_key=key)]
        )
        told: list[Told] = []
        answer: str | None = None
        while waiting:
            command = waiting.popleft()
            stage = stage_of(command)
            if stage not in self._stages:
                raise UnexpectedStage(f"the request went to {stage}, which the twin does not run")
            fact = await self._stages[stage](command)
            steps = next_steps(command, fact)
            waiting.extend(steps.commands)
            said = (fact, steps.outcome) if steps.outcome is not None else (fact,)
            told += [
                Told(stage=stage, attempt=command.attempt, fact=cast("PublishedFact", each))
                for each in said
            ]
            if isinstance(steps.outcome, Completed):
                answer = steps.outcome.answer.text
        return Passage(context=context, facts=tuple(told), answer=answer)


@asynccontextmanager
async def open_twin(overrides: Mapping[str, Any], recordings: Recordings) -> AsyncGenerator[Twin]:
    """Open what the handlers need, as the services themselves open it, and yield the twin.

    ``overrides`` are settings, the same that the platform was given.
    """
    async with AsyncExitStack() as stack:
        bus = ScriptedBus(lambda _: ())
        stages: dict[ServiceName, Answer] = {}
        for name in STAGES:
            service = build_service(name, overrides)
            deps = await stack.enter_async_context(service.resources(bus))
            if name == "executor":
                deps = _reading(cast("ExecutorDeps", deps), recordings)
            stages[name] = _answering(service.handle, deps)
        yield Twin(stages)


def _reading(deps: ExecutorDeps, recordings: Recordings) -> ExecutorDeps:
    return replace(deps, tooling=replace(deps.tooling, model=RecordedModels(recordings)))


def _answering(handle: Callable[..., Awaitable[Fact]], deps: object) -> Answer:
    async def answer(command: BusCommand) -> Fact:
        return await handle(command, deps=deps)

    return answer
