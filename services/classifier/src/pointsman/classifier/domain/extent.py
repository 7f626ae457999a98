"""How much a request makes a model read, in tokens, without a tokenizer; and whether it has images.

The rule: an ASCII letter or space 0.22 tokens, any other ASCII character 1.2, a letter of two UTF-8
bytes (Cyrillic, Arabic, accents) 0.5, one of three (Chinese, Japanese, Korean, Thai) 1, one of four
2; 4 a message; a call or a tool as its JSON; an image 765, or 85 in low detail. The first two are
least squares on the questions of ``replay.jsonl.gz`` with their Llama-2 counts (the tests'
``measure_extent.py`` prints the error). Tokenizers that group digits and signs need fewer, so this
errs upwards.
"""

import string
from typing import Final, Literal

from pointsman.contracts.chat import ChatRequest, ImagePart, Message

_LETTER: Final = 0.22
_SIGN: Final = 1.2
_TWO_BYTES: Final = 0.5
_THREE_BYTES: Final = 1.0
_FOUR_BYTES: Final = 2.0
_MESSAGE: Final = 4
# OpenAI's count for an image of 1024 x 1024 in high and in low detail.
_IMAGE: Final = 765
_IMAGE_LOW: Final = 85
# Of a longer text its two ends are counted and the rest is taken to be like them.
_COUNTED_CHARACTERS: Final = 16_000
_MOST: Final = 100_000_000

_LETTERS: Final = (string.ascii_letters + string.whitespace).encode()
_HIGH: Final = bytes(range(0x80, 0x100))
_NOT_LEADING_TWO: Final = bytes(set(range(0x100)) - set(range(0xC2, 0xE0)))
_NOT_LEADING_THREE: Final = bytes(set(range(0x100)) - set(range(0xE0, 0xF0)))
_NOT_LEADING_FOUR: Final = bytes(set(range(0x100)) - set(range(0xF0, 0xF5)))


def context_tokens(request: ChatRequest) -> int:
    """Return the estimated prompt tokens of the whole request: messages, images and tools."""
    total = sum(_message_tokens(message) for message in request.messages)
    for tool in request.tools or ():
        function = tool.function
        total += text_tokens(f"{function.name}{function.description or ''}")
        total += text_tokens(str(function.parameters or ""))
    return min(_MOST, round(total))


def text_tokens(text: str) -> float:
    """Return the estimated tokens of one text."""
    if len(text) > _COUNTED_CHARACTERS:
        half = _COUNTED_CHARACTERS // 2
        part = text[:half] + text[-half:]
        return text_tokens(part) * len(text) / len(part)
    # A lone surrogate has no UTF-8; it counts as one sign.
    encoded = text.encode(errors="replace")
    signs = len(encoded.translate(None, _LETTERS + _HIGH))
    if text.isascii():
        return _LETTER * (len(encoded) - signs) + _SIGN * signs
    two = len(encoded.translate(None, _NOT_LEADING_TWO))
    three = len(encoded.translate(None, _NOT_LEADING_THREE))
    four = len(encoded.translate(None, _NOT_LEADING_FOUR))
    letters = len(encoded) - signs - 2 * two - 3 * three - 4 * four
    wide = _TWO_BYTES * two + _THREE_BYTES * three + _FOUR_BYTES * four
    return _LETTER * letters + _SIGN * signs + wide


def modality(request: ChatRequest) -> Literal["text", "image"]:
    """Return ``image`` where any message holds one: the model must see the whole conversation."""
    return "image" if any(_images(message) for message in request.messages) else "text"


def _images(message: Message) -> tuple[ImagePart, ...]:
    if message.content is None or isinstance(message.content, str):
        return ()
    return tuple(part for part in message.content if isinstance(part, ImagePart))


def _message_tokens(message: Message) -> float:
    words = text_tokens(message.text)
    seen = sum(
        _IMAGE_LOW if part.image_url.detail == "low" else _IMAGE for part in _images(message)
    )
    calls = sum(
        text_tokens(call.function.name + call.function.arguments)
        for call in message.tool_calls or ()
    )
    return _MESSAGE + words + seen + calls
