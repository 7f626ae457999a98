"""One attempt against one model: calls it, runs the tools it asks for, and calls it again.

Bounded in rounds, calls, time and size. Keeps what it has used at every moment, so that an attempt
that fails or is cancelled half way still says what it cost. Never changes the model.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, Literal, TypeVar

import structlog

from pointsman.contracts.chat import Answer, Message, ToolCall
from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.messages import Execute, Executed
from pointsman.contracts.parts import BoundTool, Plan, ToolRun, Usage
from pointsman.executor.deltas import DeltaStream
from pointsman.executor.domain.failures import ModelFailed
from pointsman.executor.domain.loops import RUN_CHARS, LoopGuard
from pointsman.executor.domain.ports import (
    ArgumentCheck,
    Gone,
    Limits,
    ModelCall,
    ModelClient,
    ToolOutput,
    ToolRunner,
)
from pointsman.executor.domain.prompt import opening_messages, prompt_chars, request_body
from pointsman.executor.domain.reading import Chunk, Reading, has_token, text_chars
from pointsman.executor.domain.tools import (
    PlannedCall,
    RunsSoFar,
    SortedCalls,
    deferred_message,
    plan,
    replayable,
    sort_calls,
    tool_message,
    tool_run,
    tools_for,
)
from pointsman.executor.telemetry import model_span, tool_span
from pointsman.routes.registry import Model

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Tooling:
    """What an attempt works with."""

    model: ModelClient
    tools: ToolRunner
    check: ArgumentCheck
    limits: Limits
    now: Callable[[], datetime]
    guards_loops: bool = True


class _RunsInCircles(Exception):
    """The model repeats itself; the rest of the answer would be the same again."""


class Attempt:
    """The state of one attempt; ``run`` once, ``ended`` at any time."""

    def __init__(
        self, command: Execute, model: Model, *, tooling: Tooling, deltas: DeltaStream
    ) -> None:
        self._command = command
        self._model = model
        self._tooling = tooling
        self._deltas = deltas
        has_rounds = tooling.limits.max_rounds > 1
        self._tools = tools_for(command) if has_rounds else {}
        self._messages = list(opening_messages(command, tuple(self._tools.values())))
        self._readings: list[Reading] = []
        self._runs: list[ToolRun] = []
        self._so_far = RunsSoFar()
        self._words: list[str] = []
        self._is_loop_cut = False
        self._loop = asyncio.get_running_loop()
        self._started_at = perf_counter()  # finer than the loop's clock, which uvloop keeps in ms
        left = command.context.deadline - tooling.now()
        self._ends_at = self._loop.time() + left.total_seconds()
        self._tools_left_s = tooling.limits.tools_timeout_s
        self._first_token_s: float | None = None

    async def run(self) -> Executed:
        """Return the attempt's fact, whether it succeeded or failed."""
        try:
            carried_out = await self._carry_out(self._command.plan)
            for number in count(1 + carried_out):
                is_last = number >= self._tooling.limits.max_rounds or self._tools_left_s <= 0
                offered = {} if is_last else self._tools
                reading = await self._call_model(offered)
                calls = sort_calls(
                    reading.tool_calls(number), offered=offered, request=self._command.request
                )
                if not calls.platform:
                    return await self._answered(reading, calls.client)
                if self._plan_is_judged and number == 1:
                    return self._planned(reading)
                await self._run_tools(reading.text, calls)
            raise AssertionError  # the last round offers no tool, so it always answers
        except ModelFailed as failure:
            log.warning(
                "model.failed", model=self._model.id, code=failure.code, reason=failure.reason
            )
            return self.ended("failed", code=failure.code, is_retryable=failure.is_retryable)

    def ended(
        self,
        status: Literal["succeeded", "planned", "failed", "cancelled"],
        *,
        answer: Answer | None = None,
        code: ErrorCode | None = None,
        is_retryable: bool = False,
    ) -> Executed:
        """Return the fact of an attempt that ends now, with everything it has used."""
        return Executed(
            status=status,
            model=self._model.id,
            usage=self._usage(),
            role=self._command.role,
            because=self._command.because,
            is_loop_cut=self._is_loop_cut,
            answer=answer or Answer(),
            tool_runs=tuple(self._runs),
            error=code,
            is_retryable=is_retryable,
            has_streamed=self._deltas.has_sent,
            time_to_first_token_s=self._first_token_s,
            decision=self._command.decision,
        )

    async def _call_model(self, offered: Mapping[str, BoundTool]) -> Reading:
        timeout_s = min(self._model.timeout_s, self._ends_at - self._loop.time())
        if timeout_s <= 0:
            raise ModelFailed(
                ErrorCode.DEADLINE_EXCEEDED, "no time left for a model call", is_retryable=False
            )
        body = request_body(
            self._command.request,
            model=self._model,
            messages=self._messages,
            tools=tuple(offered.values()),
        )
        reading = Reading(partial(prompt_chars, body))
        self._readings.append(reading)
        guard = self._loop_guard()
        with model_span(self._model, reading):
            try:
                await self._tooling.model.chat(
                    ModelCall(model=self._model, body=body, timeout_s=timeout_s),
                    partial(self._take, reading, guard),
                )
            except _RunsInCircles:
                self._is_loop_cut = True
                log.info("answer.loop_cut", model=self._model.id)
                return reading
            except ModelFailed as failure:
                reading.was_processed = failure.was_processed
                raise
            if not reading.has_finished or reading.was_given_up:
                raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "the answer has no proper end")
        return reading

    def _loop_guard(self) -> LoopGuard | None:
        if not self._tooling.guards_loops:
            return None
        wanted = (self._command.request.response_format or {}).get("type", "text")
        return LoopGuard(is_json=wanted != "text")

    def _take(self, reading: Reading, guard: LoopGuard | None, chunks: Sequence[Chunk]) -> None:
        if self._first_token_s is None and any(map(has_token, chunks)):
            self._first_token_s = perf_counter() - self._started_at
        if guard is None or reading.text_chars + text_chars(chunks) <= RUN_CHARS:
            self._take_in(reading, guard, chunks)
            return
        # One by one: where a loop is cut must not depend on what the network delivers together.
        for chunk in chunks:
            self._take_in(reading, guard, (chunk,))

    def _take_in(self, reading: Reading, guard: LoopGuard | None, chunks: Sequence[Chunk]) -> None:
        is_first = not reading.has_text
        words = reading.add(chunks)
        if words:
            # Text before a tool call is part of the answer, streamed or not; rounds are paragraphs.
            shown = f"\n\n{words}" if is_first and self._words else words
            self._words.append(shown)
            self._deltas.push(shown)
            if guard is not None and not reading.has_finished and guard.feed(words):
                raise _RunsInCircles

    async def _answered(self, reading: Reading, calls: tuple[ToolCall, ...]) -> Executed:
        text = "".join(self._words)
        if reading.has_calls and not calls and not text:
            raise ModelFailed(ErrorCode.UPSTREAM_ERROR, "only calls to tools it was not given")
        await self._deltas.finish(calls, ends_at=self._ends_at)
        reason = "length" if self._is_loop_cut else reading.finish_reason
        if reason == "tool_calls" and not calls:
            reason = "stop"
        self._messages.append(
            Message(role="assistant", content=reading.text or None, tool_calls=calls or None)
        )
        answer = Answer(text=text, tool_calls=calls, finish_reason=reason)
        return self.ended("succeeded", answer=answer)

    @property
    def _plan_is_judged(self) -> bool:
        """Whether the calls that the model asks for first are judged before they are made."""
        evaluator = self._command.decision.evaluator
        if evaluator is None or evaluator.plan == "off" or evaluator.mode == "observe":
            return False
        return self._command.role != "continuation"

    def _planned(self, reading: Reading) -> Executed:
        calls = tuple(replayable(call) for call in reading.tool_calls(1))
        answer = Answer(text=reading.text, tool_calls=calls, finish_reason="tool_calls")
        return self.ended("planned", answer=answer)

    async def _carry_out(self, plan: Plan | None) -> bool:
        """Make the calls of an accepted plan; return whether there were any."""
        if plan is None or not plan.is_accepted:
            return False
        calls = sort_calls(plan.tool_calls, offered=self._tools, request=self._command.request)
        if not calls.platform:
            return False
        if plan.text:
            self._words.append(plan.text)
            self._deltas.push(plan.text)
        await self._run_tools(plan.text, calls)
        return True

    async def _run_tools(self, text: str, calls: SortedCalls) -> None:
        asked = (*calls.platform, *calls.client)
        self._messages.append(
            Message(
                role="assistant",
                content=text or None,
                tool_calls=tuple(replayable(call) for call in asked),
            )
        )
        await self._tooling.check.prepare()
        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._run_tool(self._plan(call, position)))
                for position, call in enumerate(calls.platform)
            ]
        self._tools_left_s -= perf_counter() - started
        runs = [task.result() for task in tasks]
        self._runs += runs
        self._so_far.add(runs)
        self._messages += [tool_message(run) for run in runs]
        self._messages += [deferred_message(call) for call in calls.client]

    def _plan(self, call: ToolCall, position: int) -> PlannedCall:
        return plan(
            call,
            position,
            tools=self._tools,
            check=self._tooling.check,
            limits=self._tooling.limits,
        )

    async def _run_tool(self, planned: PlannedCall) -> ToolRun:
        limits = self._tooling.limits
        if planned.verdict is not None or planned.tool is None:
            verdict = planned.verdict or ToolOutput(status="error", text="unknown tool")
            return tool_run(planned, verdict, 0.0, limits)
        again = self._so_far.repeated(planned)
        if again is not None:
            return again
        started = perf_counter()
        left_s = self._ends_at - self._loop.time()
        timeout_s = min(limits.tool_timeout_s, self._tools_left_s, left_s)
        with tool_span(planned.tool.definition.function.name) as span:
            try:
                async with asyncio.timeout(timeout_s):
                    output = await self._tooling.tools.run(planned.tool, planned.arguments)
            except TimeoutError:
                output = ToolOutput(status="error", text="the tool did not answer in time")
            if output.status != "ok":
                span.set_attribute("error.type", output.status)
        return tool_run(planned, output, perf_counter() - started, limits)

    def _usage(self) -> Usage:
        """Everything the attempt used, failed and unfinished calls included."""
        tokens = [reading.tokens for reading in self._readings]
        return self._model.usage(
            input_tokens=sum(each.input for each in tokens),
            output_tokens=sum(each.output for each in tokens),
            model_calls=len(tokens),
            estimated=any(each.is_estimated for each in tokens),
        )


async def unless(gone: Gone, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what ``work`` returns, or stop it and return None once ``gone`` is set.

    The work runs in the caller's own task, which is cancelled for it as ``asyncio.timeout`` does.
    """
    task = asyncio.current_task()
    if gone.is_set() or task is None:
        work.close()
        return None
    before = task.cancelling()
    is_stopped = False

    def stop(watched: asyncio.Task[bool]) -> None:
        nonlocal is_stopped
        if not watched.cancelled():
            is_stopped = True
            task.cancel()

    watch = asyncio.create_task(gone.wait())
    watch.add_done_callback(stop)
    try:
        return await work
    except asyncio.CancelledError:
        if not is_stopped or task.cancelling() > before + 1:
            raise  # somebody else stops the whole handler
        return None
    finally:
        watch.remove_done_callback(stop)
        watch.cancel()
        if is_stopped:
            task.uncancel()
