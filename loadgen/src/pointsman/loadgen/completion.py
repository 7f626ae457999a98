"""One simulated model's turn: a request in, words or tool calls and their token counts out.

Pure and deterministic: the same seed, model and messages give the same turn. Knows no HTTP, no
clock and no pace; ``simulated`` adds those.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pointsman.contracts.chat import ChatRequest, FinishReason, JsonObject, Message
from pointsman.loadgen import answers, critic_answers, json_answers, tokens
from pointsman.loadgen.asks import Task, parse
from pointsman.loadgen.profiles import Profile
from pointsman.loadgen.tool_calls import Choice, choose, forced
from pointsman.loadgen.tool_results import ToolResult, report, results_of

_CRITIQUE = re.compile(r"\b(?:critique|reviewer|judge|previous answer|earlier answer)\b", re.I)

_CLOSING = (
    "Nothing here goes beyond what these results hold.",
    "What a tool did not show was left out on purpose.",
    "The next step is to look at the entries named above one by one, the most severe first.",
    "Findings that are still open need an owner and a date.",
    "Where nothing was listed, check that the source is switched on before calling it clean.",
    "Access that nobody uses any more should be taken away.",
    "Keep the logs long enough that the same question can be asked again later.",
    "Compare the names with the list of things that are meant to exist.",
    "An alarm on new entries of the same kind saves doing this by hand.",
    "Each statement can be checked with the tool named beside it.",
    "Groups without recent entries may have lost their agent.",
    "Failed sign-ins deserve a look at who tried, from where, and how often.",
    "Changes to the trail itself are worth a separate look.",
)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What the model says. ``output_tokens`` includes ``reasoning_tokens``, as OpenAI counts.

    ``is_replayed`` says that the words are a real model's, recorded earlier.
    """

    id: str
    text: str
    calls: tuple[Choice, ...]
    finish_reason: FinishReason
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    is_replayed: bool = False


def take_turn(request: ChatRequest, profile: Profile, *, seed: int = 0) -> Turn:
    """Return the model's turn."""
    digest = _digest(request, profile, seed)
    rng = random.Random(digest)
    spoken = _task_text(request.messages)
    turn_messages = _since_task(request.messages)
    results = results_of(turn_messages)
    calls = _calls(request, profile, spoken, results, turn_messages)
    text, finish = "", cast("FinishReason", "tool_calls")
    if not calls:
        text, finish = _words(request, profile, spoken, results, rng)
    said = tokens.count(text) + sum(
        tokens.count(call.name) + tokens.count(call.arguments) for call in calls
    )
    return Turn(
        id=f"chatcmpl-{digest}",
        text=text,
        calls=calls,
        finish_reason=finish,
        input_tokens=tokens.of_prompt(request),
        output_tokens=said + profile.reasoning_tokens,
        reasoning_tokens=profile.reasoning_tokens,
    )


def _digest(request: ChatRequest, profile: Profile, seed: int) -> str:
    asked = request.model_dump_json(include={"messages", "tools", "tool_choice", "response_format"})
    key = f"{seed}\0{profile.model}\0{asked}"
    return hashlib.blake2b(key.encode(), digest_size=12).hexdigest()


def _task_text(messages: Sequence[Message]) -> str:
    """The user's request. A critique that came as a user message is not the request."""
    spoken = [message.text for message in messages if message.role == "user" and message.text]
    if len(spoken) > 1 and _CRITIQUE.search(spoken[-1]):
        return spoken[-2]
    return spoken[-1] if spoken else ""


def _since_task(messages: Sequence[Message]) -> Sequence[Message]:
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=0)
    return messages[last:]


def _calls(
    request: ChatRequest,
    profile: Profile,
    spoken: str,
    results: Sequence[ToolResult],
    turn_messages: Sequence[Message],
) -> tuple[Choice, ...]:
    tools = request.tools or ()
    if not tools or request.tool_choice == "none":
        return ()
    rounds = sum(1 for message in turn_messages if message.tool_calls)
    if isinstance(request.tool_choice, dict):
        function: Any = request.tool_choice.get("function")
        name = cast("JsonObject", function).get("name") if isinstance(function, dict) else None
        named = [tool for tool in tools if tool.function.name == name]
        return (forced(spoken, named[0], results),) if named and not rounds else ()
    if rounds >= profile.tool_rounds:
        return ()
    limit = 1 if request.parallel_tool_calls is False else profile.calls_per_round
    chosen = choose(spoken, tools, results, limit=limit)
    if not chosen and request.tool_choice == "required" and not rounds:
        return (forced(spoken, tools[0], results),)
    return chosen


def _words(
    request: ChatRequest,
    profile: Profile,
    spoken: str,
    results: Sequence[ToolResult],
    rng: random.Random,
) -> tuple[str, FinishReason]:
    reviewed = critic_answers.review(request)
    if reviewed is not None:
        return _bounded(request, reviewed)
    task = parse(spoken)
    schema = json_answers.wanted(request.response_format, spoken)
    asks = task.asks if profile.answers_every_part else task.asks[:1]
    if results:
        text = _report(task, results, profile, rng)
    else:
        text = answers.answer(task, asks=asks, length=profile.verbosity_tokens, rng=rng)
    if schema is not None:
        text = json_answers.compose(schema, task, text)
    return _bounded(request, text)


def _report(task: Task, results: Sequence[ToolResult], profile: Profile, rng: random.Random) -> str:
    """An answer that says what the tools showed, under the words of the request."""
    read = results if profile.reads_every_result else results[:1]
    asks = task.asks if profile.answers_every_part else task.asks[:1]
    heads = [answers.revoiced(ask.text).strip(" .?!") for ask in asks]
    lines = [f"{heads[0][:1].upper()}{heads[0][1:]}: this is what the tools showed."]
    lines += [f"- {report(result)}" for result in read]
    lines += [f"On {head[:1].lower()}{head[1:]}: the same results apply." for head in heads[1:]]
    text = "\n".join(lines)
    left = profile.report_tokens - tokens.count(text)
    if left <= 0:
        return text
    closing = f"What follows for {answers.topic_of(asks[0])}:"
    return f"{text}\n\n{answers.padded(closing, pool=_CLOSING, length=left, rng=rng)}"


def _bounded(request: ChatRequest, text: str) -> tuple[str, FinishReason]:
    stops = (request.stop,) if isinstance(request.stop, str) else request.stop or ()
    for stop in stops:
        text = text.split(stop, 1)[0] if stop else text
    limit = request.max_completion_tokens or request.max_tokens
    if limit is not None and tokens.count(text) > limit:
        return tokens.cut(text, limit), "length"
    return text, "stop"
