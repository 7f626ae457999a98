"""How the chunks of a backend become text, calls, a reason and tokens."""

from typing import Any

import pytest
from pydantic import ValidationError

from pointsman.executor.domain.reading import CHUNK, CHUNKS, Reading, Tokens, error_status

from .backend import call_piece, end, usage, words


def read(*chunks: dict[str, Any], prompt_chars: int = 400) -> Reading:
    reading = Reading(lambda: prompt_chars)
    reading.add(CHUNKS.validate_python(chunks))
    return reading


def calls_of(reading: Reading) -> list[tuple[str, str, str]]:
    return [(c.id, c.function.name, c.function.arguments) for c in reading.tool_calls(2)]


def test_words_are_joined_and_each_chunk_says_what_it_added() -> None:
    reading = Reading(lambda: 0)
    chunks = CHUNKS.validate_python([words("a"), end(), words("b"), usage()])
    assert [reading.add([chunk]) for chunk in chunks] == ["a", "", "b", ""]
    assert reading.text == "ab"


def test_chunks_that_arrive_together_say_together_what_they_added() -> None:
    reading = read(words("a"))
    assert reading.add(CHUNKS.validate_python([words("b"), words("c"), end()])) == "bc"
    assert reading.text == "abc"


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param(
            [
                call_piece(0, name="f", id="x", arguments=""),
                call_piece(1, name="g", id="y", arguments='{"b"'),
                call_piece(0, arguments='{"a":1}'),
                call_piece(1, arguments=":2}"),
            ],
            [("x", "f", '{"a":1}'), ("y", "g", '{"b":2}')],
            id="interleaved by index",
        ),
        pytest.param(
            [
                call_piece(None, name="f", id="x", arguments="{"),
                call_piece(None, arguments="}"),
                call_piece(None, name="g", id="y", arguments="{}"),
            ],
            [("x", "f", "{}"), ("y", "g", "{}")],
            id="no index: a new id opens a new call",
        ),
        pytest.param(
            [call_piece(0, name="f", arguments="{}"), call_piece(1, name="g", arguments="{}")],
            [("call_2_0", "f", "{}"), ("call_2_1", "g", "{}")],
            id="no id",
        ),
        pytest.param(
            [
                call_piece(0, name="f", id="x", arguments="{}"),
                call_piece(1, name="g", id="x", arguments="{}"),
            ],
            [("x", "f", "{}"), ("call_2_1", "g", "{}")],
            id="the same id twice",
        ),
        pytest.param(
            [
                {
                    "choices": [
                        {
                            "message": {
                                "content": None,
                                "tool_calls": [
                                    {"function": {"name": "f", "arguments": "{}"}},
                                    {"function": {"name": "g", "arguments": "{}"}},
                                ],
                            },
                            "finish_reason": "tool_calls",
                        }
                    ]
                }
            ],
            [("call_2_0", "f", "{}"), ("call_2_1", "g", "{}")],
            id="whole message",
        ),
    ],
)
def test_fragments_of_tool_calls_are_merged(
    chunks: list[dict[str, Any]], expected: list[tuple[str, str, str]]
) -> None:
    assert calls_of(read(*chunks)) == expected


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("eos_token", "stop"),
    ],
)
def test_a_finish_reason_is_read_in_our_words(sent: str, read_as: str) -> None:
    reading = read(end(sent))
    assert reading.has_finished
    assert reading.finish_reason == read_as


@pytest.mark.parametrize(("sent", "read_as"), [("stop", "tool_calls"), ("length", "length")])
def test_calls_outrank_a_stop_but_not_a_cut(sent: str, read_as: str) -> None:
    reading = read(call_piece(0, name="f", id="x", arguments="{}"), end(sent))
    assert reading.finish_reason == read_as


def test_the_backends_count_wins_and_the_latest_is_taken() -> None:
    reading = read(words("abc"), usage(completion_tokens=1), usage(completion_tokens=9))
    assert reading.tokens == Tokens(input=100, output=9)


def test_tokens_are_estimated_from_everything_the_model_wrote() -> None:
    thought = {"choices": [{"delta": {"reasoning": "x" * 8}}]}
    call = call_piece(0, name="f", id="x", arguments="y" * 8)
    reading = read(words("z" * 8), thought, call, prompt_chars=402)
    assert reading.tokens == Tokens(input=101, output=6, is_estimated=True)


def test_a_call_that_was_never_taken_up_costs_nothing() -> None:
    reading = read()
    reading.was_processed = False
    assert reading.tokens == Tokens()


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": "none"},
        call_piece(-1, arguments=""),
        call_piece(10_000, arguments=""),
        {"usage": {"prompt_tokens": -1}},
    ],
)
def test_a_chunk_of_a_wrong_shape_is_refused(chunk: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CHUNK.validate_python(chunk)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, None),
        ({"message": "m", "code": 429}, 429),
        ({"message": "m", "code": "server_error"}, 500),
        ({"message": "m", "code": 7}, 500),
        ({"message": "m"}, 500),
        ("boom", 500),
    ],
)
def test_an_error_after_status_200_has_a_status(error: object, status: int | None) -> None:
    assert error_status(CHUNK.validate_python({"error": error})) == status
