"""/healthz, /readyz and /metrics: the same three paths in every process.

Owns the routes and the server for processes without one; ingress mounts the routes into its own.
"""

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pointsman.runtime.observability import PROBLEMS
from pointsman.runtime.service import Problems


def health_routes(problems: Problems) -> list[Route]:
    """Return the three routes over what ``problems`` says now."""
    known: set[tuple[str, str]] = set()

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        found = problems()
        fatal = any(name in FATAL for service in found.values() for name in service)
        status = 503 if fatal else 200
        return JSONResponse({"ready": not fatal, "problems": found}, status_code=status)

    async def metrics(_: Request) -> Response:
        now = {(service, name) for service, all_ in problems().items() for name in all_}
        known.update(now)
        for service, name in known:
            PROBLEMS.labels(service, name).set(1 if (service, name) in now else 0)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


FATAL = frozenset({"nats", "resources"})
"""Dependencies without which a process should get no traffic; other problems are told, no more."""


class _Server(uvicorn.Server):
    """Signals belong to the process's composition, not to one of its servers."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve_health(host: str, port: int, problems: Problems) -> None:
    """Serve the routes until cancelled."""
    app = Starlette(routes=health_routes(problems))
    await serve_http(app, host, port)


async def serve_http(
    app: Starlette, host: str, port: int, *, on_stop: Callable[[], None] | None = None
) -> None:
    """Serve ``app`` until cancelled; open requests get a moment to end, after ``on_stop``.

    Raises: OSError if the port is taken.
    """
    # Bound here, because uvicorn exits the whole process when it cannot bind.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=1024)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # Nothing here asks who calls, so nothing needs to read it from a proxy's headers.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        if on_stop is not None:
            on_stop()
        server.should_exit = True
        await serving
        raise
