"""A turn in OpenAI's words: the response object, the stream's chunks, the error body.

Source: OpenAI API reference, Chat Completions and streaming.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from pointsman.contracts.chat import JsonObject
from pointsman.loadgen.completion import Turn
from pointsman.loadgen.tool_calls import Choice

_PIECE = re.compile(r"\s*\S{1,6}|\s+$")


def call_id(turn: Turn, index: int) -> str:
    return f"call_{turn.id.removeprefix('chatcmpl-')[:18]}{index}"


def usage(turn: Turn) -> JsonObject:
    return {
        "prompt_tokens": turn.input_tokens,
        "completion_tokens": turn.output_tokens,
        "total_tokens": turn.input_tokens + turn.output_tokens,
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
    }


def response(turn: Turn, *, model: str, created: int) -> JsonObject:
    """Return the body of an answer that is not streamed."""
    message: JsonObject = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.calls:
        message["tool_calls"] = [
            _call(turn, index, call.name, call.arguments) for index, call in enumerate(turn.calls)
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": turn.finish_reason,
    }
    return {
        **_envelope(turn, model, created, "chat.completion"),
        "choices": [choice],
        "usage": usage(turn),
    }


def pieces(text: str) -> list[str]:
    """Return ``text`` as it is streamed, in pieces that join to it."""
    return _PIECE.findall(text)


def chunks(
    turn: Turn, *, model: str, created: int, include_usage: bool
) -> Iterator[tuple[int, JsonObject]]:
    """Yield (visible tokens so far, about; chunk) in the order of the stream.

    Words are cut into short pieces as a tokenizer would, so that a reader must join them. A piece
    counts as one token; of a recorded answer, as its share of the recorded ones.
    """
    envelope = _envelope(turn, model, created, "chat.completion.chunk")

    def chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        extra: JsonObject = {"usage": None} if include_usage else {}
        return {**envelope, "choices": [choice], **extra}

    yield 0, chunk({"role": "assistant", "content": "" if turn.text else None})
    spoken = 0
    said = pieces(turn.text)
    for number, piece in enumerate(said, 1):
        spoken = turn.output_tokens * number // len(said) if turn.is_replayed else number
        yield spoken, chunk({"content": piece})
    for index, call in enumerate(turn.calls):
        for fragment in _fragments(turn, index, call):
            spoken += 2
            yield spoken, chunk({"tool_calls": [fragment]})
    yield spoken, chunk({}, turn.finish_reason)
    if include_usage:
        yield spoken, {**envelope, "choices": [], "usage": usage(turn)}


def error(message: str, *, kind: str, code: str | None = None) -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def event(data: JsonObject) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def _envelope(turn: Turn, model: str, created: int, kind: str) -> JsonObject:
    return {
        "id": turn.id,
        "object": kind,
        "created": created,
        "model": model,
        "system_fingerprint": "replayed" if turn.is_replayed else "simulated",
    }


def _call(turn: Turn, index: int, name: str, arguments: str) -> JsonObject:
    return {
        "id": call_id(turn, index),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _fragments(turn: Turn, index: int, call: Choice) -> Iterator[dict[str, Any]]:
    """The call's name comes first, then its arguments in pieces that are no JSON by themselves."""
    yield {"index": index, **_call(turn, index, call.name, "")}
    for start in range(0, len(call.arguments), 8):
        piece = call.arguments[start : start + 8]
        yield {"index": index, "function": {"arguments": piece}}
