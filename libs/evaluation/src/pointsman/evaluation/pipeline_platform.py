"""The platform's side of the comparison: ``pointsman up`` in this process, asked over HTTP.

Owns the start with recordings replayed, the requests, and the gathering of what the platform told.
Everything listens on loopback and ends with the block that opened it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from pointsman.cli.laptop import LaptopOptions, laptop
from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.messages import Blocked, Completed, Event, Failed
from pointsman.evaluation.pipeline_passage import Passage, Told
from pointsman.loadgen.recordings import Recording
from pointsman.runtime.nats_transport import NatsTransport
from pointsman.runtime.reading import read_events

CONCURRENCY = 8
SPEED = 1000.0
"""How many times faster than declared the recorded answers are played: pace is not compared."""

REQUEST_TIMEOUT_S = 60.0
SETTLE_S = 30.0
"""How long the facts of the last requests may take to be stored."""

_ANSWERS = TypeAdapter(dict[str, Any])


class FactsMissing(RuntimeError):
    """The platform answered requests and never told how they ended."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """What a platform is started with: a folder of its own, its files, settings that win.

    ``overrides`` name settings of the services by field, the same for every service that has it.
    """

    state_dir: Path
    registry: Path
    route: Path
    recordings: Path
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])


def request_of(recording: Recording) -> ChatRequest:
    """Return the request that asks what was recorded.

    ``tool_choice`` says what held for the recordings: the models had no tools.
    """
    return ChatRequest.model_validate(
        {
            "model": "auto",
            "messages": [{"role": "user", "content": recording.prompt}],
            "tool_choice": "none",
        }
    )


async def platform_passages(rows: Sequence[Recording], files: Files) -> tuple[Passage, ...]:
    """Send each row through a platform of its own and return what became of them, in order.

    Raises: ChildFailed where the recordings cannot be replayed; FactsMissing.
    """
    options = LaptopOptions(
        state_dir=files.state_dir,
        registry_path=files.registry,
        route_path=files.route,
        port=0,
        speed=SPEED,
        replay=files.recordings,
        overrides=dict(files.overrides),
        say=lambda _: None,
    )
    async with laptop(options) as running:
        begun = datetime.now(UTC)
        answers = await _asked(rows, running.base_url)
        events = await _told_by(running.transport, begun, {request_id for request_id, _ in answers})
    return tuple(_passage(events[request_id], text) for request_id, text in answers)


async def _asked(rows: Sequence[Recording], base_url: str) -> list[tuple[str, str | None]]:
    """The request id and the answer's text of each row."""
    free = asyncio.Semaphore(CONCURRENCY)
    async with httpx.AsyncClient(
        base_url=base_url, timeout=REQUEST_TIMEOUT_S, trust_env=False
    ) as client:

        async def ask(row: Recording) -> tuple[str, str | None]:
            body = request_of(row).model_dump(mode="json", exclude_none=True)
            async with free:
                response = await client.post("/v1/chat/completions", json=body)
            return response.headers["x-request-id"], _text(response)

        return list(await asyncio.gather(*(ask(row) for row in rows)))


def _text(response: httpx.Response) -> str | None:
    if not response.is_success:
        return None
    content: str | None = _ANSWERS.validate_json(response.content)["choices"][0]["message"][
        "content"
    ]
    return content or ""


async def _told_by(
    transport: NatsTransport, since: datetime, wanted: set[str]
) -> dict[str, list[Event]]:
    """The events of the wanted requests, once the end of each is among them."""
    found: dict[str, list[Event]] = {}
    try:
        async with asyncio.timeout(SETTLE_S):
            while True:
                found = await _events(transport, since, wanted)
                ended = {
                    request_id
                    for request_id, events in found.items()
                    if any(isinstance(e.fact, Completed | Blocked | Failed) for e in events)
                }
                if ended == wanted:
                    return found
                await asyncio.sleep(0.2)
    except TimeoutError as error:
        raise FactsMissing(f"no end was told of {len(wanted - set(found))} requests") from error


async def _events(
    transport: NatsTransport, since: datetime, wanted: set[str]
) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    async for event in read_events(transport, since=since):
        if event.context.request_id in wanted:
            found[event.context.request_id].append(event)
    return found


def _passage(events: Sequence[Event], answer: str | None) -> Passage:
    told = tuple(
        Told(stage=event.service, attempt=event.attempt, fact=event.fact) for event in events
    )
    return Passage(context=events[0].context, facts=told, answer=answer)
