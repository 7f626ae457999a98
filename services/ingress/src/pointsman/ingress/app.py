"""Composition root of ingress."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pointsman.ingress.adapters.http import Api
from pointsman.ingress.handler import Deps, accept
from pointsman.ingress.settings import Settings
from pointsman.routes.registry import load_registry
from pointsman.runtime import Bus, Service
from pointsman.runtime.health import serve_http
from pointsman.runtime.service import Problems


def build(settings: Settings) -> Service[Deps]:
    """Return the service. Its work comes over HTTP, so it has no consumer.

    Raises: InvalidRegistry when the registry file cannot be used.
    """
    registry = load_registry(settings.registry_path)

    @asynccontextmanager
    async def resources(bus: Bus) -> AsyncGenerator[Deps]:
        yield Deps(gate=bus)

    async def serve(bus: Bus, deps: Deps, problems: Problems) -> None:
        api = Api(settings=settings, registry=registry, bus=bus, deps=deps)
        await serve_http(api.app(problems), settings.host, settings.port, on_stop=api.stop)

    return Service(
        name="ingress", settings=settings, handle=accept, resources=resources, serve=serve
    )
