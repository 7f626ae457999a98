"""Runs the models' server on a port: inside a test or a demo, or as a process of its own.

The socket listens before anything is announced, so a client may connect at once.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from starlette.types import ASGIApp

from pointsman.loadgen.recordings import Recordings
from pointsman.loadgen.simulated import build

BACKLOG = 2048


class _Embedded(uvicorn.Server):
    """A server that leaves the process's signals to whoever embeds it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, port: int = 0, host: str = "127.0.0.1") -> AsyncGenerator[str]:
    """Serve ``app`` while entered and yield its base address; port 0 takes a free one."""
    listener = socket.create_server((host, port), backlog=BACKLOG)
    server = _Embedded(_config(app))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await running
        listener.close()


@contextlib.asynccontextmanager
async def serving_models(
    *,
    port: int = 0,
    speed: float = 1.0,
    seed: int = 0,
    recordings: Recordings | None = None,
    simulates_rest: bool = False,
) -> AsyncGenerator[str]:
    """Serve the models and yield their base address (add ``/v1`` for OpenAI clients)."""
    app = build(speed=speed, seed=seed, recordings=recordings, simulates_rest=simulates_rest)
    async with serving(app, port=port) as address:
        yield address


async def serve_models(
    *,
    host: str,
    port: int,
    speed: float,
    seed: int,
    recordings: Recordings | None = None,
    simulates_rest: bool = False,
) -> None:
    """Serve the models until a signal; prints what is replayed, and one line when ready."""
    app = build(speed=speed, seed=seed, recordings=recordings, simulates_rest=simulates_rest)
    for line in _replayed(recordings):
        print(line, flush=True)
    listener = socket.create_server((host, port), backlog=BACKLOG)
    address = f"http://{host}:{listener.getsockname()[1]}"
    kinds = "simulated and replayed" if recordings else "simulated"
    print(f"models ready at {address}/v1 ({kinds}, speed {speed:g})", flush=True)
    await uvicorn.Server(_config(app)).serve(sockets=[listener])


def _replayed(recordings: Recordings | None) -> list[str]:
    """What is replayed, a line for each model, and what of it counts as wrong."""
    if recordings is None:
        return []
    lines = [
        f"replaying {model}: {recorded.answers} answers of {recordings.file}, in"
        f" {recorded.null_extractions} of them no answer was found (they count as wrong)"
        for model, recorded in recordings.models.items()
    ]
    if repeated := recordings.repeated_prompts:
        lines.append(f"{repeated} rows are not replayed: an earlier one has the same prompt")
    return lines


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", ws="none", log_config=None
    )
