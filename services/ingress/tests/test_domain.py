"""Who may call, what may come in, what a stream may show."""

import json
from datetime import timedelta
from typing import Any

import pytest

from pointsman.contracts.errors import ErrorCode
from pointsman.contracts.messages import Delta
from pointsman.ingress.domain import (
    Limits,
    Refused,
    ShownText,
    admit,
    namespace_of,
    namespaces_by_key,
    parse_request,
)
from pointsman.runtime.bus import Backlog
from pointsman.testing.stages import DECISION

LIMITS = Limits(
    max_messages=3, max_queue_depth=10, max_in_flight=5, retry_after=timedelta(seconds=2)
)
MODELS = frozenset({"small", "llama-3-8b"})
USER = {"role": "user", "content": "hi"}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "auto", "messages": [USER], **fields}).encode()


def test_without_keys_everybody_is_the_default_namespace() -> None:
    assert namespace_of(None, {}) == "default"


@pytest.mark.parametrize("sent", ["Bearer secret-b", "bearer secret-b"])
def test_key_names_its_namespace(sent: str) -> None:
    assert namespace_of(sent, namespaces_by_key({"a": "secret-a", "b": "secret-b"})) == "b"


def test_key_of_two_namespaces_names_the_first() -> None:
    assert namespace_of("Bearer same", namespaces_by_key({"a": "same", "b": "same"})) == "a"


@pytest.mark.parametrize("sent", [None, "", "secret-a", "Basic secret-a", "Bearer wrong", "Bearer"])
def test_wrong_key_is_refused(sent: str | None) -> None:
    with pytest.raises(Refused) as refused:
        namespace_of(sent, namespaces_by_key({"a": "secret-a"}))
    assert refused.value.code is ErrorCode.INVALID_API_KEY


@pytest.mark.parametrize(
    ("sent", "code", "param"),
    [
        (b"", ErrorCode.INVALID_REQUEST, None),
        (b"[]", ErrorCode.INVALID_REQUEST, None),
        (b"{", ErrorCode.INVALID_REQUEST, None),
        (b"{}", ErrorCode.INVALID_REQUEST, "model"),
        (body(messages=[]), ErrorCode.INVALID_REQUEST, "messages"),
        (body(messages="hi"), ErrorCode.INVALID_REQUEST, "messages"),
        (body(messages=[{"role": "wizard"}]), ErrorCode.INVALID_REQUEST, "messages.0.role"),
        (body(temperature="hot"), ErrorCode.INVALID_REQUEST, "temperature"),
        (body(temperature=9), ErrorCode.INVALID_REQUEST, "temperature"),
        (body(stream="yes"), ErrorCode.INVALID_REQUEST, "stream"),
        (body(max_tokens="5"), ErrorCode.INVALID_REQUEST, "max_tokens"),
        (
            body(messages=[{"role": "user", "content": 7}]),
            ErrorCode.INVALID_REQUEST,
            "messages.0.content",
        ),
        (body(n=2), ErrorCode.INVALID_REQUEST, "n"),
        (body(max_tokens=0), ErrorCode.INVALID_REQUEST, "max_tokens"),
        (body(tools=[{"type": "function"}]), ErrorCode.INVALID_REQUEST, "tools.0.function"),
        (body(messages=[USER] * 4), ErrorCode.TOO_MANY_MESSAGES, "messages"),
        (body(model="unheard-of"), ErrorCode.MODEL_NOT_FOUND, "model"),
    ],
)
def test_bad_body_is_refused_with_the_path_of_the_field(
    sent: bytes, code: ErrorCode, param: str | None
) -> None:
    with pytest.raises(Refused) as refused:
        parse_request(sent, models=MODELS, limits=LIMITS)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_unknown_fields_are_ignored_and_known_models_accepted() -> None:
    request = parse_request(
        body(model="llama-3-8b", surprise={"a": 1}), models=MODELS, limits=LIMITS
    )
    assert request.model == "llama-3-8b"


@pytest.mark.parametrize(
    ("backlog", "in_flight"),
    [(Backlog(commands=10), 0), (Backlog(), 5), (Backlog(fill=0.5), 0)],
    ids=["too many commands", "too many clients", "too little room"],
)
def test_full_pipeline_refuses_with_a_time_to_wait(backlog: Backlog, in_flight: int) -> None:
    with pytest.raises(Refused) as refused:
        admit(backlog, in_flight=in_flight, limits=LIMITS)
    assert refused.value.code is ErrorCode.QUEUE_FULL
    assert refused.value.retry_after == timedelta(seconds=2)


def test_pipeline_with_room_admits() -> None:
    admit(Backlog(commands=9, fill=0.4), in_flight=4, limits=LIMITS)


def delta(text: str, sequence: int, *, attempt: int = 1, delivery: int = 1) -> Delta:
    return Delta(
        request_id="r",
        attempt=attempt,
        delivery=delivery,
        sequence=sequence,
        model="small",
        decision=DECISION,
        text=text,
    )


def test_redelivered_attempt_continues_where_the_client_stopped() -> None:
    shown = ShownText()
    assert shown.accept(delta("one ", 0)) == "one "
    assert shown.accept(delta("two ", 1)) == "two "
    assert shown.accept(delta("one tw", 0, delivery=2)) == ""
    assert shown.accept(delta("o thr", 1, delivery=2)) == "thr"
    assert shown.accept(delta("late", 2)) == ""
    assert shown.rest_of("one two three", "small") == "ee"


@pytest.mark.parametrize(
    "second",
    [delta("other", 0, delivery=2), delta("gap", 2)],
    ids=["another text", "a missing piece"],
)
def test_stream_that_cannot_be_continued_is_interrupted(second: Delta) -> None:
    shown = ShownText()
    shown.accept(delta("one", 0))
    with pytest.raises(Refused) as refused:
        shown.accept(second)
    assert refused.value.code is ErrorCode.STREAM_INTERRUPTED


def test_final_answer_that_contradicts_the_stream_is_interrupted() -> None:
    shown = ShownText()
    shown.accept(delta("one", 0))
    for answer, model in (("two", "small"), ("one and more", "large")):
        with pytest.raises(Refused):
            shown.rest_of(answer, model)


def test_no_other_model_continues_a_stream() -> None:
    shown = ShownText()
    shown.accept(delta("one", 0))
    other = delta("one more", 0, attempt=2).model_copy(update={"model": "large"})
    with pytest.raises(Refused) as refused:
        shown.accept(other)
    assert refused.value.code is ErrorCode.STREAM_INTERRUPTED
