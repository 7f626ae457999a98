"""Requests and contexts as tests need them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.identity import new_request_id
from pointsman.contracts.parts import RequestContext


def context(*, seconds: float = 60, **fields: Any) -> RequestContext:
    """Return the context of a request accepted now, ``seconds`` before its deadline."""
    now = datetime.now(UTC)
    defaults: dict[str, Any] = {
        "request_id": new_request_id(),
        "namespace": "test",
        "ingress": "test",
        "accepted_at": now,
        "deadline": now + timedelta(seconds=seconds),
    }
    return RequestContext.model_validate(defaults | fields)


def chat(text: str = "hello", **fields: Any) -> ChatRequest:
    """Return a request with one user message."""
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], **fields}
    return ChatRequest.model_validate(body)
