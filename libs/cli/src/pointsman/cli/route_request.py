"""The request that ``pointsman route explain`` asks about, from a prompt or a whole body.

Owns its making and the shape of what safety says of it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.identity import new_request_id
from pointsman.contracts.parts import Finding, RequestContext
from pointsman.contracts.topology import MAX_DEADLINE
from pointsman.routes.asking import AUTO

STDIN = "-"


@dataclass(frozen=True, kw_only=True)
class Safety:
    """What safety's rules found; a blocked request would never have been routed."""

    is_blocked: bool
    is_suspicious: bool
    findings: tuple[Finding, ...]


def chat_request(
    prompt: str | None, body: Path | None, metadata: Sequence[tuple[str, str]]
) -> ChatRequest:
    """Return the request; ``metadata`` is added to what the body has.

    Raises: click.ClickException if there is no request in what was given.
    """
    if (prompt is None) == (body is None):
        raise click.UsageError('give either a "prompt" or --file')
    try:
        request = _from_body(body) if body else _from_prompt(prompt or "")
        if metadata:
            given = (request.metadata or {}) | dict(metadata)
            fields: dict[str, Any] = {**request.model_dump(exclude_unset=True), "metadata": given}
            request = ChatRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        told = f"{where}: {first['msg']}" if where else first["msg"]
        raise click.ClickException(f"{body or 'the request'}: {told}") from error
    return request


def _from_prompt(prompt: str) -> ChatRequest:
    text = sys.stdin.read() if prompt == STDIN else prompt
    if not text.strip():
        raise click.ClickException("the prompt is empty")
    return ChatRequest.model_validate(
        {"model": AUTO, "messages": [{"role": "user", "content": text}]}
    )


def _from_body(body: Path) -> ChatRequest:
    try:
        return ChatRequest.model_validate_json(body.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{body}: {error.strerror}") from error


def context_of(namespace: str, request_id: str | None) -> RequestContext:
    """Return the context of a request that would come in now.

    Raises: click.ClickException if ``request_id`` is none.
    """
    now = datetime.now(UTC)
    try:
        return RequestContext(
            request_id=request_id or new_request_id(),
            namespace=namespace,
            ingress="",
            accepted_at=now,
            deadline=now + MAX_DEADLINE,
        )
    except ValidationError as error:
        raise click.ClickException(f"{request_id} is no request id") from error


def pairs(
    _: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Return ``key=value`` options as pairs."""
    split = [value.partition("=") for value in values]
    for value, (key, equals, _rest) in zip(values, split, strict=True):
        if not key or not equals:
            raise click.BadParameter(f"{value!r}: key=value is expected", param=param)
    return [(key, rest) for key, _equals, rest in split]
